/** A collector's session with the coordinator: WebSocket and MessagePack by hand. With several requests in flight it batches. */
import { msgpackCodec } from '../../../protocol/codec.ts';
import { SUBPROTOCOL_MSGPACK } from '../../../protocol/limits.ts';
import { GRANTED, GrantReader, RELEASED } from './grant-reader.ts';
import { HEAD_BYTES_MAX, writeAcquire, writeArrayHead, writeMessageHead, writeRelease } from './request-writer.ts';
import { ACQUIRING, type Load, Session } from './session.ts';

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL_MSGPACK}\r\n\r\n`;
const SWITCHING = 'HTTP/1.1 101 ';
const BINARY = 0x82;
const PING = 0x89;
/** Ids below are none of a lane's. */
const HELLO_ID = 0;
const TOKEN_BYTES = 8;
/** Masked by a key of zero, as all that we send. */
const EMPTY_PONG = Uint8Array.of(0x8a, 0x80, 0, 0, 0, 0);

const reader = new GrantReader();

export class LeaseholdSession extends Session {
  /** A message of its own for each request takes one of these heads; so does a batch. */
  protected override readonly headRoom = HEAD_BYTES_MAX;
  readonly #isBatching: boolean;
  readonly #ids: Float64Array;
  readonly #tokens: Buffer;
  #batched = 0;
  #isUpgraded = false;

  constructor(load: Load, port: number, inFlight: number) {
    super(load, port, inFlight);
    this.#isBatching = inFlight > 1;
    this.#ids = Float64Array.from({ length: inFlight }, (_, lane) => lane);
    this.#tokens = Buffer.alloc(inFlight * TOKEN_BYTES);
  }

  protected override greeting(): Uint8Array {
    return Buffer.from(HANDSHAKE);
  }

  protected override takeGreeting(bytes: Buffer, end: number): number {
    if (this.#isUpgraded) return this.take(bytes, end);
    const headEnd = bytes.indexOf('\r\n\r\n') + 4;
    if (headEnd < 4 || headEnd > end) return 0;
    if (!bytes.toString('latin1', 0, headEnd).startsWith(SWITCHING)) {
      this.fail(new Error(`the handshake was answered ${bytes.toString('latin1', 0, end)}`));
      return end;
    }
    this.#isUpgraded = true;
    const hello = Buffer.alloc(256);
    const frame = msgpackCodec.encode({
      type: 'hello',
      id: HELLO_ID,
      protocol: 1,
      client: 'bench',
      ...(this.#isBatching && { batch: true }),
    }) as Uint8Array;
    hello.set(frame, HEAD_BYTES_MAX);
    this.send(hello.subarray(writeMessageHead(hello, HEAD_BYTES_MAX, frame.length), HEAD_BYTES_MAX + frame.length));
    return headEnd;
  }

  protected override writeAcquire(lane: number, out: Buffer, at: number): number {
    const id = this.#nextId(lane);
    this.#batched += 1;
    return writeAcquire(out, at, id);
  }

  protected override writeRelease(lane: number, out: Buffer, at: number): number {
    const id = this.#nextId(lane);
    this.#batched += 1;
    return writeRelease(out, at, id, this.#tokens, lane * TOKEN_BYTES);
  }

  /** Its rest by the number of lanes is the lane. */
  #nextId(lane: number): number {
    this.#ids[lane]! += this.inFlight;
    return this.#ids[lane]!;
  }

  protected override wrap(out: Buffer, end: number): number {
    const at = this.#isBatching ? writeArrayHead(out, HEAD_BYTES_MAX, this.#batched) : HEAD_BYTES_MAX;
    this.#batched = 0;
    return writeMessageHead(out, at, end - at);
  }

  protected override take(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 2) {
      let length = bytes[at + 1]!;
      let body = at + 2;
      if (length === 126) {
        length = (bytes[body]! << 8) | bytes[body + 1]!;
        body += 2;
      } else if (length > 126) {
        if (end - at < 10) break;
        length = bytes.readUInt32BE(body + 4);
        body += 8;
      }
      if (body + length > end) break;
      if (bytes[at] === BINARY) this.#message(bytes, body, body + length);
      else if (bytes[at] === PING && length === 0) this.send(EMPTY_PONG);
      else this.fail(new Error(`a WebSocket frame began with ${bytes.toString('hex', at, body + length)}`));
      at = body + length;
    }
    return at;
  }

  #message(bytes: Buffer, from: number, end: number): void {
    const head = bytes[from]!;
    if (head >>> 4 === 8 || head === 0xde) {
      this.#frame(bytes, from, end, true);
      return;
    }
    let count = head & 0x0f;
    let at = from + 1;
    if (head === 0xdc) {
      count = bytes.readUInt16BE(at);
      at += 2;
    } else if (head >>> 4 !== 9) this.fail(new Error(`a message began with ${head}`));
    for (; count > 0; count -= 1) at = this.#frame(bytes, at, end, count === 1);
  }

  #frame(bytes: Buffer, from: number, end: number, isLast: boolean): number {
    const next = reader.read(bytes, from, isLast);
    const { kind, id, leaseAt } = reader;
    const lane = id % this.inFlight;
    if (id < this.inFlight || id !== this.#ids[lane]) this.#unexpected(bytes, from, end, id);
    else if (this.phases[lane] === ACQUIRING && kind === GRANTED && leaseAt >= 0) {
      for (let index = 0; index < TOKEN_BYTES; index += 1) {
        this.#tokens[lane * TOKEN_BYTES + index] = bytes[leaseAt + index]!;
      }
      this.answered(lane);
    } else if (this.phases[lane] !== ACQUIRING && kind === RELEASED) this.answered(lane);
    else this.#unexpected(bytes, from, end, -1);
    return next;
  }

  #unexpected(bytes: Buffer, from: number, end: number, id: number): void {
    const decoded = msgpackCodec.decode(bytes.subarray(from, end));
    const frame = decoded.ok ? (decoded.value as { type?: unknown }) : undefined;
    if (id === HELLO_ID && frame?.type === 'welcome') this.ready();
    else this.fail(new Error(`the coordinator answered ${JSON.stringify(frame ?? decoded)}`));
  }
}
