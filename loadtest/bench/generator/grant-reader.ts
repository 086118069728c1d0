/**
 * Reads of a frame in MessagePack only what a cycle needs: which answer it is, to what, and where the lease's token stands.
 * Fields may come in any order; all others are passed over unread.
 */

/** Neither `granted` nor `released`: a refusal, an error, a push. */
export const OTHER = 0;
export const GRANTED = 1;
export const RELEASED = 2;

const TYPE = Buffer.from('type');
const ID = Buffer.from('id');
const LEASE = Buffer.from('lease');
const GRANTED_VALUE = msgpackText('granted');
const RELEASED_VALUE = msgpackText('released');
const UINT64 = 0xcf;

function msgpackText(text: string): Buffer {
  return Buffer.concat([Uint8Array.of(0xa0 | text.length), Buffer.from(text)]);
}

function matches(bytes: Buffer, at: number, wanted: Buffer): boolean {
  for (let index = 0; index < wanted.length; index += 1) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}

export class GrantReader {
  kind = OTHER;
  id = -1;
  /** Where the eight bytes of `lease` begin; -1 where there is none. */
  leaseAt = -1;

  /**
   * Reads the frame at `at`. Returns where it ends; but where it `isLast` in its message, it stops as soon as it knows all.
   * Throws on bytes that are no frame.
   */
  read(bytes: Buffer, at: number, isLast: boolean): number {
    this.kind = OTHER;
    this.id = -1;
    this.leaseAt = -1;
    let next = at + 1;
    let fields = bytes[at]! & 0x0f;
    if (bytes[at] === 0xde) {
      fields = bytes.readUInt16BE(at + 1);
      next = at + 3;
    } else if (bytes[at]! >>> 4 !== 8) throw new Error(`a frame begins with ${bytes[at]}`);
    for (; fields > 0; fields -= 1) {
      const length = bytes[next]! & 0x1f;
      if (bytes[next]! >>> 5 !== 5) next = skip(bytes, skip(bytes, next, 1), 1);
      else next = this.#field(bytes, next + 1, length);
      if (isLast && this.id >= 0 && (this.kind === RELEASED || (this.kind === GRANTED && this.leaseAt >= 0))) break;
    }
    return next;
  }

  #field(bytes: Buffer, nameAt: number, length: number): number {
    const at = nameAt + length;
    if (length === TYPE.length && matches(bytes, nameAt, TYPE)) {
      if (matches(bytes, at, GRANTED_VALUE)) this.kind = GRANTED;
      else if (matches(bytes, at, RELEASED_VALUE)) this.kind = RELEASED;
    } else if (length === ID.length && matches(bytes, nameAt, ID)) {
      this.id = readId(bytes, at);
    } else if (length === LEASE.length && matches(bytes, nameAt, LEASE) && bytes[at] === UINT64) {
      this.leaseAt = at + 1;
    }
    return skip(bytes, at, 1);
  }
}

/** An id as the coordinator writes those that we choose: an unsigned integer of up to 32 bits. */
function readId(bytes: Buffer, at: number): number {
  const head = bytes[at]!;
  if (head < 0x80) return head;
  if (head === 0xcc) return bytes[at + 1]!;
  if (head === 0xcd) return bytes[at + 1]! * 0x100 + bytes[at + 2]!;
  if (head === 0xce) return bytes.readUInt32BE(at + 1);
  throw new Error(`an id begins with ${head}`);
}

/** Bytes of a value behind its head, for c0 to d3; what has a length of its own is apart. */
const FIXED_BYTES = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

/** The end of so many values. */
function skip(bytes: Buffer, from: number, count: number): number {
  let at = from;
  for (let left = count; left > 0; left -= 1) {
    const head = bytes[at]!;
    at += 1;
    if (head < 0x80 || head >= 0xe0) continue;
    if (head < 0x90) left += (head & 0x0f) * 2;
    else if (head < 0xa0) left += head & 0x0f;
    else if (head < 0xc0) at += head & 0x1f;
    else if (head >= 0xc4 && head <= 0xc6) at += lengthAt(bytes, at, head - 0xc4) + (1 << (head - 0xc4));
    else if (head <= 0xd3) at += FIXED_BYTES[head - 0xc0]!;
    else if (head >= 0xd9 && head <= 0xdb) at += lengthAt(bytes, at, head - 0xd9) + (1 << (head - 0xd9));
    else if (head === 0xdc || head === 0xdd) {
      left += lengthAt(bytes, at, head - 0xdb);
      at += 1 << (head - 0xdb);
    } else if (head === 0xde || head === 0xdf) {
      left += lengthAt(bytes, at, head - 0xdd) * 2;
      at += 1 << (head - 0xdd);
    } else throw new Error(`a value begins with ${head}`);
  }
  return at;
}

/** A length of 1, 2 or 4 bytes. */
function lengthAt(bytes: Buffer, at: number, power: number): number {
  if (power === 0) return bytes[at]!;
  return power === 1 ? bytes.readUInt16BE(at) : bytes.readUInt32BE(at);
}
