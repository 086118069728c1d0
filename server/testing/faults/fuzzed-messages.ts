import { Packr } from 'msgpackr';
import type { Codec } from '../../../protocol/codec.ts';
import { OUTCOMES, STRATEGIES } from '../../../protocol/codes.ts';
import { BATCH_FRAMES_MAX, FRAME_BYTES_MAX, SUBPROTOCOL_JSON } from '../../../protocol/limits.ts';
import type { Random } from '../simulation/random.ts';

/** Resources of the pool, and one that isn't there. */
const RESOURCES = [1, 2, 3, 99];
const TTL_MS_MAX = 4_000;
/** Far deeper than any peer may nest, within what a frame may be long. */
const DEPTH_MAX = 8_000;
const BYTES_CHANGED_MAX = 4;
/** Frames of one message to a session that is to last, at most. */
const TAME_BATCH_MAX = 12;
/** First bytes of MessagePack that say more than they seem to: ext types, huge lengths, numbers of eight bytes. */
const TELLING_BYTES = [0xc1, 0xc6, 0xc7, 0xc9, 0xcb, 0xcf, 0xd3, 0xd4, 0xd8, 0xdb, 0xdd, 0xdf, 0x00, 0x7f, 0x80, 0xff];
const TELLING_TEXTS = ['{', '}', '[', ']', '"', ',', ':', '\\u0000', '\\ud800', '1e999', '-0', 'null', '__proto__'];

/** What a session was told, for frames that speak of what there is. */
export interface Known {
  nextId(): number;
  /** Of leases that it holds or held. */
  readonly tokens: readonly number[];
  /** Ids of acquires that may still wait. */
  readonly asked: readonly number[];
}

/** What no JSON holds, and MessagePack only by ext types, which are refused, or as what a frame never has. */
const STRANGE: readonly unknown[] = [new Date(0), new Set([1]), new Map([[1, 2]]), /x/, new Error('x'), undefined];

/** Frames as `FuzzedMessages` alters them: nothing is known of their fields any more. */
type Loose = Record<string, unknown>;

/**
 * Messages from sound to senseless: frames that are right, that are wrong in one place, bytes of either with some of them
 * changed, values of any shape, mere noise. Sound ones among them, since what follows on nonsense matters as well.
 */
export class FuzzedMessages {
  readonly #random: Random;
  /** Writes what our own encoder never would: ext types, records, undefined. */
  readonly #loose = new Packr({
    useRecords: false,
    variableMapSize: true,
    moreTypes: true,
    encodeUndefinedAsNil: false,
  });

  constructor(random: Random) {
    this.#random = random;
  }

  /** One that decodes, and mostly means something: what a session that is to last is sent. */
  tame(codec: Codec, known: Known, isBatch: boolean): Uint8Array | string {
    const frame = this.#random.chance(0.7) ? this.#frame(known) : this.#altered(known);
    const isAlone = !isBatch || this.#random.chance(0.6);
    return this.#encode(codec, isAlone ? frame : [frame, ...this.#frames(known, this.#random.below(TAME_BATCH_MAX))]);
  }

  wild(codec: Codec, known: Known): Uint8Array | string {
    const random = this.#random;
    const kind = random.next();
    if (kind < 0.5) return this.#encode(codec, this.#altered(known));
    if (kind < 0.8)
      return this.#changed(this.#encode(codec, random.chance(0.8) ? this.#frame(known) : this.#altered(known)));
    if (kind < 0.9) return this.#encode(codec, this.#value(0));
    if (kind < 0.94) return this.#encode(codec, this.#frames(known, random.below(4)));
    if (kind < 0.95) return this.#encode(codec, { type: 'ping', id: known.nextId(), more: random.pick(STRANGE) });
    if (kind < 0.97) return this.#noise(codec);
    if (kind < 0.975) return this.#large(codec, known);
    // The other subprotocol's bytes.
    const message = this.#encode(codec, this.#frame(known));
    return typeof message === 'string' ? Buffer.from(message) : Buffer.from(message).toString('latin1');
  }

  // ---- frames

  #frames(known: Known, count: number): Loose[] {
    return Array.from({ length: count }, () => (this.#random.chance(0.8) ? this.#frame(known) : this.#altered(known)));
  }

  #frame(known: Known): Loose {
    const random = this.#random;
    const id = known.nextId();
    const lease = known.tokens.length > 0 && random.chance(0.9) ? random.pick(known.tokens) : random.below(2 ** 31);
    const settled = {
      id,
      lease,
      ...(random.chance(0.3) ? { outcome: random.pick(OUTCOMES) } : {}),
      ...(random.chance(0.3) ? { requests: random.below(1_000) } : {}),
    };
    switch (random.below(16)) {
      case 0:
        return { type: 'ping', id };
      case 1:
        return { type: 'explain', id, ...this.#terms() };
      case 2:
        return { type: 'cancel', id, request: known.asked.length > 0 ? random.pick(known.asked) : random.below(100) };
      case 3:
        return { type: 'renew', id, lease, ...(random.chance(0.5) ? { ttl_ms: this.#ttlMs() } : {}) };
      case 4:
        return { type: 'renew', id, leases: [lease, ...known.tokens.slice(0, 5)] };
      case 5:
      case 6:
      case 7:
        return { type: 'release', ...settled };
      case 8:
        return { type: 'report', ...settled };
      case 9:
        return { type: 'count', id, counter: 'pages', by: 1 };
      default:
        return {
          type: 'acquire',
          id,
          ...this.#terms(),
          ...(random.chance(0.2) ? { key: `k${random.below(20)}` } : {}),
        };
    }
  }

  #terms(): Loose {
    const random = this.#random;
    const strategy = random.chance(0.3) ? random.pick(STRATEGIES) : undefined;
    return {
      resource: random.pick(RESOURCES),
      ttl_ms: this.#ttlMs(),
      ...(random.chance(0.1) ? { where: this.#where(0) } : {}),
      ...(strategy ? { strategy } : {}),
      ...(strategy === 'sticky' ? { sticky: `page ${random.below(10)}` } : {}),
      ...(random.chance(0.2) ? { wait_ms: random.below(TTL_MS_MAX) } : {}),
      ...(random.chance(0.1) ? { count: 1 + random.below(5) } : {}),
    };
  }

  #where(depth: number): Loose {
    const random = this.#random;
    const below = () => Array.from({ length: random.below(3) }, () => this.#where(depth + 1));
    switch (random.below(depth < 3 ? 8 : 5)) {
      case 0:
        return { country: { [random.pick(['eq', 'ne'])]: random.pick(['US', 'de', 'ß', '']) } };
      case 1:
        return { rpw: { [random.pick(['lt', 'gte', 'ne'])]: 10 * random.below(3) } };
      case 2:
        return { resource_ids: { [random.pick(['has_any', 'has_all', 'has_none'])]: [random.pick(RESOURCES)] } };
      case 3:
        return { labels: { [random.pick(['tier', '__proto', 'constructor', ''])]: { exists: random.chance(0.5) } } };
      case 4:
        return {};
      case 5:
        return { and: below() };
      case 6:
        return { or: below() };
      default:
        return { not: this.#where(depth + 1) };
    }
  }

  #ttlMs(): number {
    return 1 + Math.floor(this.#random.magnitude(100, TTL_MS_MAX));
  }

  // ---- what is wrong with them

  /** A frame in which some field is missing, is one too many, or holds something else. */
  #altered(known: Known): Loose {
    const random = this.#random;
    let frame: Loose = random.chance(0.1)
      ? { type: 'hello', id: known.nextId(), protocol: random.below(3) }
      : this.#frame(known);
    for (let changes = 1 + random.below(2); changes > 0; changes -= 1) {
      const field = random.pick(Object.keys(frame).length > 0 ? Object.keys(frame) : ['type']);
      const kind = random.next();
      if (kind < 0.2) delete frame[field];
      else {
        // Not by assignment: a name may be `__proto__`.
        const name = kind < 0.4 ? this.#name() : field;
        frame = Object.fromEntries([...Object.entries(frame), [name, this.#value(2)]]);
      }
    }
    return frame;
  }

  #value(depth: number): unknown {
    const random = this.#random;
    const size = random.below(5);
    switch (random.below(depth > 4 ? 8 : 12)) {
      case 0:
        return random.pick([null, true, false, '', 0, -0]);
      case 1:
        return random.pick([
          NaN,
          Infinity,
          -Infinity,
          2 ** 53,
          -(2 ** 53),
          2 ** 53 + 2,
          1e308,
          0.5,
          -1,
          2 ** 31,
          2 ** 32,
        ]);
      case 2:
      case 3:
        return Math.floor(random.magnitude(1, 1e9));
      case 4:
        return this.#name();
      case 5:
        return random.pick(['\ud800', '\u0000', '😀'.repeat(size), 'x'.repeat(random.below(600)), '10.0.0.1:8080']);
      case 6:
        return random.pick([...STRATEGIES, ...OUTCOMES]);
      case 7:
        return random.bytes(size);
      case 8:
      case 9:
        return Array.from({ length: size }, () => this.#value(depth + 1));
      default:
        return Object.fromEntries(Array.from({ length: size }, () => [this.#name(), this.#value(depth + 1)]));
    }
  }

  #name(): string {
    const names = ['type', 'id', 'lease', 'leases', 'resource', 'ttl_ms', 'where', 'and', 'or', 'not', 'in', 'has'];
    const strange = ['__proto__', 'constructor', 'toString', 'length', '', 'acquire', 'welcome', 'hello', 'labels'];
    return this.#random.pick(this.#random.chance(0.6) ? names : strange);
  }

  /** A few bytes (or characters) are others, come twice, or are gone. */
  #changed(message: Uint8Array | string): Uint8Array | string {
    const random = this.#random;
    const isText = typeof message === 'string';
    // A character of JSON is a byte, but for those that are no ASCII: what becomes of them is as good as any change.
    let bytes = Buffer.from(isText ? message : Uint8Array.from(message));
    for (let changes = 1 + random.below(BYTES_CHANGED_MAX); changes > 0; changes -= 1) {
      const at = random.below(bytes.length + 1);
      const size = random.chance(0.7) ? 1 : random.below(16);
      const kind = random.below(4);
      if (kind === 0) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
      else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at + size), bytes.subarray(at)]);
      else if (kind === 2) {
        const put = isText ? Buffer.from(random.pick(TELLING_TEXTS)) : Buffer.of(random.pick(TELLING_BYTES));
        bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + 1)]);
      } else if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
    }
    return isText ? bytes.toString('latin1') : bytes;
  }

  // ---- on the wire

  /** By an encoder that takes anything: our own is for frames. */
  #encode({ subprotocol }: Codec, value: unknown): Uint8Array | string {
    return subprotocol === SUBPROTOCOL_JSON ? JSON.stringify(value) : Buffer.from(this.#loose.pack(value));
  }

  #noise({ subprotocol }: Codec): Uint8Array | string {
    const bytes = this.#random.bytes(this.#random.below(40));
    return subprotocol === SUBPROTOCOL_JSON ? bytes.toString('latin1') : bytes;
  }

  /** Long, deep, or of many parts: each beyond what a frame may be. */
  #large(codec: Codec, known: Known): Uint8Array | string {
    const random = this.#random;
    const id = known.nextId();
    switch (random.below(4)) {
      case 0:
        return this.#encode(codec, { type: 'ping', id, more: 'x'.repeat(FRAME_BYTES_MAX) });
      case 1:
        return this.#deep(codec, id, Math.ceil(random.magnitude(8, DEPTH_MAX)));
      case 2:
        return this.#encode(
          codec,
          Array.from({ length: BATCH_FRAMES_MAX + 1 }, () => ({ type: 'ping', id })),
        );
      default:
        return this.#encode(codec, { type: 'renew', id, leases: Array.from({ length: 2_000 }, (_, index) => index) });
    }
  }

  /** An acquire that is sound but for its condition: `{not: {not: {…}}}`. */
  #deep(codec: Codec, id: number, depth: number): Uint8Array | string {
    const frame = { type: 'acquire', id, resource: 1, ttl_ms: 1_000 };
    const message = this.#encode(codec, frame);
    if (typeof message === 'string') {
      return `${message.slice(0, -1)},"where":${'{"not":'.repeat(depth)}{}${'}'.repeat(depth + 1)}`;
    }
    const where = Buffer.concat([Buffer.of(0xa5), Buffer.from('where')]);
    const not = Buffer.concat([Buffer.of(0x81, 0xa3), Buffer.from('not')]);
    const fields = Object.keys(frame).length;
    const levels = Array.from({ length: depth }, () => not);
    return Buffer.concat([Buffer.of(0x80 | (fields + 1)), message.subarray(1), where, ...levels, Buffer.of(0x80)]);
  }
}
