/**
 * etcd's own protocol, gRPC over HTTP/2, by hand: a transaction that puts the key if it isn't there, tied to the session's
 * etcd lease (as its own recipe of a lock does), then a delete. A request is one HEADERS and one DATA frame; of an answer we
 * read the message, whose field 2 says whether it was done, and that the stream has ended.
 *
 *     frame     length (3) | type (1) | flags (1) | stream (4) | payload
 *     message   compressed (1) = 0 | length (4) | protobuf
 *
 * What is in flight on a connection, a few KB, stays far below HTTP/2's first window of 64 KB, of which etcd gives back what
 * it has read; ours is as large as may be.
 */
import { KEY, type KeyRange, LaneKeys, TOKEN } from './lane-keys.ts';
import { type Load, Session } from './session.ts';

const FRAME_HEAD_BYTES = 9;
const MESSAGE_HEAD_BYTES = 5;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const WINDOW_BYTES_MAX = 2 ** 31 - 1;
const WINDOW_BYTES_FIRST = 65_535;
const LEASE_STREAM = 1;
const LEASE_SECONDS = 3_600;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** HPACK's string, as it is. */
function text(value: string): Buffer {
  return Buffer.concat([Uint8Array.of(value.length), Buffer.from(value)]);
}

/** Protobuf: a field of bytes, and one of an integer below 2 ** 28. */
function bytesField(field: number, value: Uint8Array | string): Buffer {
  return Buffer.concat([Uint8Array.of((field << 3) | 2), varint(value.length), Buffer.from(value)]);
}

function integerField(field: number, value: number): Buffer {
  return Buffer.concat([Uint8Array.of(field << 3), varint(value)]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Uint8Array.of(...bytes, left);
}

function dataFrame(stream: number, message: Buffer): Buffer {
  return frame(DATA, END_STREAM, stream, Buffer.concat([Uint8Array.of(0), uint32(message.length), message]));
}

/** :method POST and :scheme http by their static indexes, :path spelt out and never indexed. */
function pathFields(path: string): Buffer {
  return Buffer.concat([Uint8Array.of(0x83, 0x86, 0x04), text(path)]);
}

/** The first request puts these into the peer's table of headers; they are 64, 63 and 62 there from then on. */
const FIRST_FIELDS = Buffer.concat([
  Uint8Array.of(0x41),
  text('127.0.0.1'),
  Uint8Array.of(0x40 | 31),
  text('application/grpc'),
  Uint8Array.of(0x40),
  text('te'),
  text('trailers'),
]);
const LATER_FIELDS = Uint8Array.of(0x80 | 64, 0x80 | 63, 0x80 | 62);

function laterHeaders(path: string): Buffer {
  return frame(HEADERS, END_HEADERS, 0, Buffer.concat([pathFields(path), LATER_FIELDS]));
}

interface Template {
  readonly bytes: Buffer;
  /** Where the second frame, DATA, begins. */
  readonly dataAt: number;
  readonly keyEnds: readonly number[];
  readonly tokenEnd: number;
}

function template(path: string, message: Buffer): Template {
  const headers = laterHeaders(path);
  const bytes = Buffer.concat([headers, dataFrame(0, message)]);
  const keyEnds: number[] = [];
  for (let at = bytes.indexOf(KEY); at >= 0; at = bytes.indexOf(KEY, at + 1)) keyEnds.push(at + KEY.length);
  return { bytes, dataAt: headers.length, keyEnds, tokenEnd: bytes.indexOf(TOKEN, keyEnds.at(-1)) + TOKEN.length };
}

/** Compare: create_revision of the key equals 0. The numbers are those of etcd's rpc.proto. */
const IS_ABSENT = Buffer.concat([integerField(2, 1), bytesField(3, KEY), integerField(5, 0)]);
const DELETE = template('/etcdserverpb.KV/DeleteRange', bytesField(1, KEY));

/** With the session's lease, an integer as protobuf has it. */
function createTemplate(leaseId: Uint8Array): Template {
  const put = Buffer.concat([bytesField(1, KEY), bytesField(2, TOKEN), Uint8Array.of(3 << 3), leaseId]);
  const message = Buffer.concat([bytesField(1, IS_ABSENT), bytesField(2, bytesField(2, put))]);
  return template('/etcdserverpb.KV/Txn', message);
}

export class EtcdSession extends Session {
  readonly #keys: LaneKeys;
  readonly #streams: Int32Array;
  /** Whether the stream's message has come, and says that it is done. */
  readonly #isDone: Uint8Array;
  #lastStream = LEASE_STREAM;
  /** Made when the session has its lease. */
  #create: Template | undefined;

  constructor(load: Load, port: number, inFlight: number, range: KeyRange) {
    super(load, port, inFlight);
    this.#keys = new LaneKeys(range, inFlight);
    this.#streams = new Int32Array(inFlight);
    this.#isDone = new Uint8Array(inFlight);
  }

  protected override greeting(): Uint8Array {
    const settings = Buffer.concat([Uint8Array.of(0, 4), uint32(WINDOW_BYTES_MAX)]);
    return Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(SETTINGS, 0, 0, settings),
      frame(8, 0, 0, uint32(WINDOW_BYTES_MAX - WINDOW_BYTES_FIRST)),
      frame(
        HEADERS,
        END_HEADERS,
        LEASE_STREAM,
        Buffer.concat([pathFields('/etcdserverpb.Lease/LeaseGrant'), FIRST_FIELDS]),
      ),
      dataFrame(LEASE_STREAM, integerField(1, LEASE_SECONDS)),
    ]);
  }

  protected override takeGreeting(bytes: Buffer, end: number): number {
    return this.take(bytes, end);
  }

  protected override writeAcquire(lane: number, out: Buffer, at: number): number {
    this.#keys.next(lane);
    const { bytes, tokenEnd } = this.#write(this.#create!, lane, out, at);
    this.#keys.writeToken(lane, out, at + tokenEnd);
    return at + bytes.length;
  }

  protected override writeRelease(lane: number, out: Buffer, at: number): number {
    return at + this.#write(DELETE, lane, out, at).bytes.length;
  }

  #write(template: Template, lane: number, out: Buffer, at: number): Template {
    this.#lastStream += 2;
    this.#streams[lane] = this.#lastStream;
    this.#isDone[lane] = 0;
    out.set(template.bytes, at);
    out.writeUInt32BE(this.#lastStream, at + 5);
    out.writeUInt32BE(this.#lastStream, at + template.dataAt + 5);
    for (const keyEnd of template.keyEnds) this.#keys.writeKey(lane, out, at + keyEnd);
    return template;
  }

  protected override take(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= FRAME_HEAD_BYTES) {
      const body = at + FRAME_HEAD_BYTES;
      const next = body + bytes.readUIntBE(at, 3);
      if (next > end) break;
      this.#frame(bytes, at, body, next);
      at = next;
    }
    return at;
  }

  #frame(bytes: Buffer, at: number, body: number, next: number): void {
    const [type, flags, stream] = [bytes[at + 3]!, bytes[at + 4]!, bytes.readUInt32BE(at + 5)];
    if (type === DATA) this.#message(bytes, stream, body, next);
    if (type === DATA || type === HEADERS) {
      if (flags & END_STREAM) this.#ended(bytes, stream, body, next);
    } else if (type === SETTINGS && (flags & ACK) === 0) this.send(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (type === PING && (flags & ACK) === 0) this.send(frame(PING, ACK, 0, bytes.subarray(body, next)));
    else if (type === RST_STREAM || type === GOAWAY) this.#refused(bytes, body, next);
  }

  #message(bytes: Buffer, stream: number, body: number, end: number): void {
    const fieldAt = fieldTwo(bytes, body + MESSAGE_HEAD_BYTES, end);
    if (stream === LEASE_STREAM && fieldAt > 0) {
      let idEnd = fieldAt;
      while (bytes[idEnd]! > 0x7f) idEnd += 1;
      this.#create = createTemplate(bytes.subarray(fieldAt, idEnd + 1));
      return;
    }
    const lane = this.#streams.indexOf(stream);
    // TxnResponse.succeeded, DeleteRangeResponse.deleted.
    if (lane >= 0 && fieldAt > 0 && bytes[fieldAt] === 1) this.#isDone[lane] = 1;
  }

  /** The stream of a call that failed ends without a message. */
  #ended(bytes: Buffer, stream: number, body: number, end: number): void {
    const lane = this.#streams.indexOf(stream);
    if (stream === LEASE_STREAM && this.#create) this.ready();
    else if (lane >= 0 && this.#isDone[lane] === 1) this.answered(lane);
    else this.#refused(bytes, body, end);
  }

  #refused(bytes: Buffer, body: number, end: number): void {
    this.fail(new Error(`etcd answered ${JSON.stringify(bytes.toString('latin1', body, end))}`));
  }
}

/** Where field 2, an integer, begins; -1 where there is none. In front of it is at most field 1, of up to 127 bytes. */
function fieldTwo(bytes: Buffer, from: number, end: number): number {
  const at = bytes[from] === 0x0a ? from + 2 + bytes[from + 1]! : from;
  return at + 1 < end && bytes[at] === 0x10 ? at + 1 : -1;
}
