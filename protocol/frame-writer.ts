/**
 * Frames of the coordinator as MessagePack, written one behind the other into memory that all messages share.
 *
 * The bytes are those of `msgpackCodec`, which makes a copy of each frame that names a token and memory for each message.
 * What has no such form, or a rare one (other text than ASCII, a map with many keys, a class), is left to it as a whole
 * message. A test compares the two over random frames.
 */
import type { CoordinatorFrame } from './frames.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';

const FIRST_BYTES = 16_384;
/** Messages up to this length are handed out as views that are made once. */
const VIEWED_BYTES_MAX = 512;
const TEXT_LENGTH_MAX = 0xff;
const KEYS_MAX = 0x0f;
const ELEMENTS_MAX = 0xffff;
/** The longest number, and its first byte. */
const NUMBER_BYTES_MAX = 9;
/** Deeper records are rare, and how deep they nest is nobody's promise. */
const DEPTH_MAX = 8;

/** Shared by all calls: a call neither waits nor calls back. */
let out = new Uint8Array(FIRST_BYTES);
let view = new DataView(out.buffer);
/** Of the beginning of `out`, by their length. */
let views = noViews();
let offset = 0;
/** Whether all that was written so far is as the codec would have it. */
let isSure = true;

/**
 * One frame, or those of a `batch` session as an array. The bytes are lent: the next call writes over them. Undefined: the
 * codec is to encode it.
 */
export function writeFrames(frames: CoordinatorFrame | readonly CoordinatorFrame[]): Uint8Array | undefined {
  offset = 0;
  isSure = true;
  if (isList(frames)) {
    writeArrayHead(frames.length);
    for (const frame of frames) writeFrame(frame);
  } else writeFrame(frames);
  return isSure ? written() : undefined;
}

function noViews(): (Uint8Array | undefined)[] {
  return Array.from({ length: VIEWED_BYTES_MAX + 1 }, () => undefined);
}

function written(): Uint8Array {
  if (offset > VIEWED_BYTES_MAX) return out.subarray(0, offset);
  return (views[offset] ??= out.subarray(0, offset));
}

function isList(frames: CoordinatorFrame | readonly CoordinatorFrame[]): frames is readonly CoordinatorFrame[] {
  return Array.isArray(frames);
}

/** A frame or an entry of its list: what its fields name as a lease is a token. */
function writeFrame(frame: object): void {
  const fields = frame as Readonly<Record<string, unknown>>;
  const headAt = openMap();
  let count = 0;
  for (const name of Object.keys(fields)) {
    count += 1;
    writeText(name);
    const value = fields[name];
    if (name === 'lease' && typeof value === 'number') writeToken(value);
    else if (name === 'leases' && Array.isArray(value)) writeTokens(value);
    // Tokens further inside, of frames that are rare.
    else if (name === 'ended' || name === 'substitute') isSure = false;
    else writeValue(value, 1);
  }
  closeMap(headAt, count);
}

function writeTokens(entries: readonly unknown[]): void {
  writeArrayHead(entries.length);
  for (const entry of entries) {
    if (typeof entry === 'number') writeToken(entry);
    else if (isEntry(entry)) writeFrame(entry);
    else isSure = false;
  }
}

/** That names one lease, and no list of them. */
function isEntry(value: unknown): value is object {
  return isPlain(value) && typeof value['lease'] === 'number' && value['leases'] === undefined;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && value.constructor === Object;
}

function writeValue(value: unknown, depth: number): void {
  if (typeof value === 'string') writeText(value);
  else if (typeof value === 'number') writeNumber(value);
  else if (typeof value === 'boolean') writeByte(value ? 0xc3 : 0xc2);
  else if (value === null) writeByte(0xc0);
  else if (typeof value !== 'object' || depth > DEPTH_MAX) isSure = false;
  else if (Array.isArray(value)) {
    writeArrayHead(value.length);
    for (const element of value) writeValue(element, depth + 1);
  } else if (isPlain(value)) {
    const headAt = openMap();
    let count = 0;
    for (const name of Object.keys(value)) {
      count += 1;
      writeText(name);
      writeValue(value[name], depth + 1);
    }
    closeMap(headAt, count);
  } else isSure = false;
}

function openMap(): number {
  writeByte(0);
  return offset - 1;
}

function closeMap(headAt: number, count: number): void {
  out[headAt] = 0x80 | count;
  if (count > KEYS_MAX) isSure = false;
}

function writeArrayHead(length: number): void {
  if (length > ELEMENTS_MAX) isSure = false;
  if (length < 0x10) return writeByte(0x90 | length);
  reserve(3);
  out[offset] = 0xdc;
  out[offset + 1] = length >>> 8;
  out[offset + 2] = length;
  offset += 3;
}

function writeByte(byte: number): void {
  reserve(1);
  out[offset] = byte;
  offset += 1;
}

function writeText(text: string): void {
  const { length } = text;
  if (length > TEXT_LENGTH_MAX) {
    isSure = false;
    return;
  }
  reserve(length + 2);
  // Read once: a write to shared memory could, for all that the compiler knows, be one to these.
  const target = out;
  let place = offset;
  if (length >= 0x20) target[place++] = 0xd9;
  target[place++] = length < 0x20 ? 0xa0 | length : length;
  let all = 0;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    all |= code;
    target[place + index] = code;
  }
  offset = place + length;
  if (all >= 0x80) isSure = false;
}

/** As wire-token.ts has it. */
function writeToken(token: number): void {
  reserve(NUMBER_BYTES_MAX);
  out[offset] = 0xcf;
  view.setUint32(offset + 1, Math.floor(token / 2 ** 32));
  view.setUint32(offset + 5, token >>> 0);
  offset += 9;
}

/** The shortest integer up to 32 bits, else float64. Negative ones are rare. */
function writeNumber(value: number): void {
  reserve(NUMBER_BYTES_MAX);
  if (value >>> 0 === value) {
    if (value < 0x80) out[offset++] = value;
    else if (value < 0x100) {
      out[offset] = 0xcc;
      out[offset + 1] = value;
      offset += 2;
    } else if (value < 0x10000) {
      out[offset] = 0xcd;
      view.setUint16(offset + 1, value);
      offset += 3;
    } else {
      out[offset] = 0xce;
      view.setUint32(offset + 1, value);
      offset += 5;
    }
  } else if (value >> 0 === value) isSure = false;
  else {
    out[offset] = 0xcb;
    view.setFloat64(offset + 1, value);
    offset += 9;
  }
}

function reserve(length: number): void {
  if (offset + length > out.length) grow(length);
}

function grow(length: number): void {
  if (offset + length > MESSAGE_BYTES_MAX) {
    // From here on it is written in vain, over what was there.
    isSure = false;
    offset = 0;
    return;
  }
  const grown = new Uint8Array(Math.min(Math.max(2 * out.length, offset + length), MESSAGE_BYTES_MAX));
  grown.set(out);
  out = grown;
  view = new DataView(out.buffer);
  views = noViews();
}
