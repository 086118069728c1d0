/**
 * The frames that come by the hundred thousand a second (`acquire`, `renew`, `release`, `report`, `ping`), read from
 * MessagePack without building what the decoder and the schemas need for it.
 *
 * It reads only what it is sure of, and that as they would: whatever else stands in a message (any other frame or field,
 * `where`, other text than ASCII, a value out of its bounds, a rare encoding) makes the message theirs as a whole. So it
 * refuses nothing and words no error. A test holds it to them with random messages.
 */
import { OUTCOMES, type Outcome, STRATEGIES, type Strategy } from './codes.ts';
import { type AcquireFrame, type CollectorFrame, type RenewFrame, stickyAgrees } from './frames.ts';
import {
  BATCH_FRAMES_MAX,
  COUNT_MAX,
  FRAME_BYTES_MAX,
  MESSAGE_VALUES_MAX,
  NAME_LENGTH_MAX,
  RENEW_LEASES_MAX,
  REQUESTS_MAX,
  WAIT_MS_MAX,
} from './limits.ts';

const NOTHING: Uint8Array = new Uint8Array(0);

/** Shared by all calls: a call neither waits nor calls back. */
let bytes = NOTHING;
let offset = 0;
/** What is read at the moment, by name. `seen` has a bit for each that is there; the others are left from earlier. */
let seen = 0;
let type = 0;
let id = 0;
let resource = 0;
let ttlMs = 0;
let lease = 0;
let waitMs = 0;
let count = 0;
let requests = 0;
let leases: number[] = [];
let outcome: Outcome = 'ok';
let strategy: Strategy = 'random';
let sticky = '';
let key = '';
/** The word read last: its length, its first four bytes as one integer and the next four as another. */
let wordLength = 0;
let wordHead = 0;
let wordTail = 0;

interface Word {
  readonly length: number;
  readonly head: number;
  readonly tail: number;
}

const WORD_LENGTH_MAX = 8;

function wordOf(text: string): Word {
  bytes = new TextEncoder().encode(text);
  offset = 0;
  if (!readWord(bytes.length)) throw new Error(`${text} has more than ${WORD_LENGTH_MAX} letters`);
  return { length: wordLength, head: wordHead, tail: wordTail };
}

function isWord({ length, head, tail }: Word): boolean {
  return wordHead === head && wordTail === tail && wordLength === length;
}

const TYPE = wordOf('type');
const ID = wordOf('id');
const RESOURCE = wordOf('resource');
const TTL_MS = wordOf('ttl_ms');
const LEASE = wordOf('lease');
const LEASES = wordOf('leases');
const OUTCOME = wordOf('outcome');
const REQUESTS = wordOf('requests');
const STRATEGY = wordOf('strategy');
const STICKY = wordOf('sticky');
const WAIT_MS = wordOf('wait_ms');
const COUNT = wordOf('count');
const KEY = wordOf('key');

const ACQUIRE = wordOf('acquire');
const RENEW = wordOf('renew');
const RELEASE = wordOf('release');
const REPORT = wordOf('report');
const PING = wordOf('ping');

const OUTCOME_WORDS = OUTCOMES.map(wordOf);

/** Bits of `seen`. */
const HAS_TYPE = 1;
const HAS_ID = 1 << 1;
const HAS_RESOURCE = 1 << 2;
const HAS_TTL_MS = 1 << 3;
const HAS_LEASE = 1 << 4;
const HAS_LEASES = 1 << 5;
const HAS_OUTCOME = 1 << 6;
const HAS_REQUESTS = 1 << 7;
const HAS_STRATEGY = 1 << 8;
const HAS_STICKY = 1 << 9;
const HAS_WAIT_MS = 1 << 10;
const HAS_COUNT = 1 << 11;
const HAS_KEY = 1 << 12;

const PING_NEEDS = HAS_TYPE | HAS_ID;
const ACQUIRE_NEEDS = PING_NEEDS | HAS_RESOURCE | HAS_TTL_MS;
const ACQUIRE_TAKES = ACQUIRE_NEEDS | HAS_STRATEGY | HAS_STICKY | HAS_WAIT_MS | HAS_COUNT | HAS_KEY;
const SETTLE_NEEDS = PING_NEEDS | HAS_LEASE;
const SETTLE_TAKES = SETTLE_NEEDS | HAS_OUTCOME | HAS_REQUESTS;
const RENEW_ONE_NEEDS = PING_NEEDS | HAS_LEASE;
const RENEW_MANY_NEEDS = PING_NEEDS | HAS_LEASES;

/** Values of `type`. */
const IS_ACQUIRE = 1;
const IS_RENEW = 2;
const IS_RELEASE = 3;
const IS_REPORT = 4;
const IS_PING = 5;

/** No field is negative. */
const NONE = -1;

/**
 * One frame, or those of an array, as `decode` and `parseCollectorFrame` give them; undefined: those are to look at it.
 * Of `message` nothing is kept.
 */
export function readFrames(message: Uint8Array): CollectorFrame | CollectorFrame[] | undefined {
  bytes = message;
  offset = 0;
  const first = message[0];
  const read = first === undefined ? undefined : isMapHead(first) ? readAlone() : readArray();
  const isWhole = offset === message.length;
  bytes = NOTHING;
  return isWhole ? read : undefined;
}

function readAlone(): CollectorFrame | undefined {
  return bytes.length > FRAME_BYTES_MAX ? undefined : readFrame();
}

function readArray(): CollectorFrame[] | undefined {
  // A value takes a byte at least, so there aren't more of them either.
  if (bytes.length > MESSAGE_VALUES_MAX) return undefined;
  const length = readArrayLength();
  if (length < 1 || length > BATCH_FRAMES_MAX) return undefined;
  const frames: CollectorFrame[] = [];
  for (let index = 0; index < length; index += 1) {
    const frame = readFrame();
    if (!frame) return undefined;
    frames.push(frame);
  }
  return frames;
}

function readFrame(): CollectorFrame | undefined {
  const head = bytes[offset];
  if (head === undefined || !isMapHead(head)) return undefined;
  offset += 1;
  seen = 0;
  for (let fields = head & 0x0f; fields > 0; fields -= 1) {
    const before = seen;
    // Of a key that comes twice the decoder takes one: it knows which.
    if (!readField() || seen === before) return undefined;
  }
  switch (type) {
    case IS_ACQUIRE:
      return has(ACQUIRE_NEEDS, ACQUIRE_TAKES) ? acquireFrame() : undefined;
    case IS_RELEASE:
      return has(SETTLE_NEEDS, SETTLE_TAKES) ? settleFrame('release') : undefined;
    case IS_REPORT:
      return has(SETTLE_NEEDS, SETTLE_TAKES) ? settleFrame('report') : undefined;
    case IS_RENEW:
      return renewFrame();
    case IS_PING:
      return seen === PING_NEEDS ? { type: 'ping', id } : undefined;
    default:
      return undefined;
  }
}

/** Whether all of `needed` have been seen, and nothing but what is in `taken`. */
function has(needed: number, taken: number): boolean {
  return (seen & needed) === needed && (seen & ~taken) === 0;
}

function acquireFrame(): AcquireFrame | undefined {
  const frame: AcquireFrame = { type: 'acquire', id, resource, ttl_ms: ttlMs };
  if (seen === ACQUIRE_NEEDS) return frame;
  if ((seen & HAS_STRATEGY) !== 0) frame.strategy = strategy;
  if ((seen & HAS_STICKY) !== 0) frame.sticky = sticky;
  if ((seen & HAS_WAIT_MS) !== 0) frame.wait_ms = waitMs;
  if ((seen & HAS_COUNT) !== 0) frame.count = count;
  if ((seen & HAS_KEY) !== 0) frame.key = key;
  return stickyAgrees(frame) ? frame : undefined;
}

function settleFrame<Type extends 'release' | 'report'>(settles: Type) {
  const frame: { type: Type; id: number; lease: number; outcome?: Outcome; requests?: number } = {
    type: settles,
    id,
    lease,
  };
  if ((seen & HAS_OUTCOME) !== 0) frame.outcome = outcome;
  if ((seen & HAS_REQUESTS) !== 0) frame.requests = requests;
  return frame as Extract<CollectorFrame, { type: Type }>;
}

function renewFrame(): RenewFrame | undefined {
  if (has(RENEW_ONE_NEEDS, RENEW_ONE_NEEDS | HAS_TTL_MS)) {
    return (seen & HAS_TTL_MS) === 0 ? { type: 'renew', id, lease } : { type: 'renew', id, lease, ttl_ms: ttlMs };
  }
  if (!has(RENEW_MANY_NEEDS, RENEW_MANY_NEEDS | HAS_TTL_MS)) return undefined;
  return (seen & HAS_TTL_MS) === 0 ? { type: 'renew', id, leases } : { type: 'renew', id, leases, ttl_ms: ttlMs };
}

/** A key and its value, which must be good in any frame that has it. */
function readField(): boolean {
  if (!readWord(readTextLength())) return false;
  switch (wordHead) {
    case TYPE.head:
      return isWord(TYPE) && readType();
    case ID.head:
      seen |= HAS_ID;
      return isWord(ID) && (id = readNumber()) >= 0;
    case LEASE.head:
      if (isWord(LEASES)) return readLeases();
      seen |= HAS_LEASE;
      return isWord(LEASE) && (lease = readNumber()) >= 1;
    case RESOURCE.head:
      seen |= HAS_RESOURCE;
      return isWord(RESOURCE) && (resource = readNumber()) >= 1;
    case TTL_MS.head:
      seen |= HAS_TTL_MS;
      return isWord(TTL_MS) && (ttlMs = readNumber()) >= 1;
    case REQUESTS.head:
      seen |= HAS_REQUESTS;
      return isWord(REQUESTS) && (requests = readNumber()) >= 0 && requests <= REQUESTS_MAX;
    case WAIT_MS.head:
      seen |= HAS_WAIT_MS;
      return isWord(WAIT_MS) && (waitMs = readNumber()) >= 0 && waitMs <= WAIT_MS_MAX;
    case COUNT.head:
      seen |= HAS_COUNT;
      return isWord(COUNT) && (count = readNumber()) >= 1 && count <= COUNT_MAX;
    case KEY.head:
      seen |= HAS_KEY;
      return isWord(KEY) && (key = readText()) !== '';
    case OUTCOME.head:
      seen |= HAS_OUTCOME;
      return isWord(OUTCOME) && readOutcome();
    case STRATEGY.head:
      seen |= HAS_STRATEGY;
      return isWord(STRATEGY) && readStrategy();
    case STICKY.head:
      seen |= HAS_STICKY;
      return isWord(STICKY) && (sticky = readText()) !== '';
    default:
      return false;
  }
}

function readType(): boolean {
  seen |= HAS_TYPE;
  if (!readWord(readTextLength())) return false;
  if (isWord(ACQUIRE)) type = IS_ACQUIRE;
  else if (isWord(RELEASE)) type = IS_RELEASE;
  else if (isWord(RENEW)) type = IS_RENEW;
  else if (isWord(REPORT)) type = IS_REPORT;
  else if (isWord(PING)) type = IS_PING;
  else return false;
  return true;
}

function readLeases(): boolean {
  seen |= HAS_LEASES;
  const length = readArrayLength();
  if (length < 1 || length > RENEW_LEASES_MAX) return false;
  leases = [];
  for (let index = 0; index < length; index += 1) {
    const token = readNumber();
    if (token < 1) return false;
    leases.push(token);
  }
  return true;
}

function readOutcome(): boolean {
  const known = readWord(readTextLength()) ? OUTCOMES[OUTCOME_WORDS.findIndex(isWord)] : undefined;
  if (known !== undefined) outcome = known;
  return known !== undefined;
}

function readStrategy(): boolean {
  const text = readText();
  const known = STRATEGIES.find((word) => word === text);
  if (known !== undefined) strategy = known;
  return known !== undefined;
}

// ---- values; what is cut off, too long or anything else gives NONE or ''

function isMapHead(byte: number): boolean {
  return (byte & 0xf0) === 0x80;
}

function readArrayLength(): number {
  const head = bytes[offset];
  if (head === undefined) return NONE;
  offset += 1;
  if ((head & 0xf0) === 0x90) return head & 0x0f;
  return head === 0xdc ? readInteger(2) : NONE;
}

/** Of a text whose bytes are all there; how it is encoded must be how anybody would. */
function readTextLength(): number {
  const head = bytes[offset];
  if (head === undefined) return NONE;
  offset += 1;
  const length = (head & 0xe0) === 0xa0 ? head & 0x1f : head === 0xd9 ? readInteger(1) : NONE;
  return length <= bytes.length - offset ? length : NONE;
}

/** The next `length` bytes, as a word to compare with. */
function readWord(length: number): boolean {
  if (length < 1 || length > WORD_LENGTH_MAX) return false;
  const end = offset + length;
  const middle = length > 4 ? offset + 4 : end;
  let head = 0;
  let tail = 0;
  for (; offset < middle; offset += 1) head = (head << 8) | bytes[offset]!;
  for (; offset < end; offset += 1) tail = (tail << 8) | bytes[offset]!;
  wordLength = length;
  wordHead = head;
  wordTail = tail;
  return true;
}

const ascii = new TextDecoder('latin1');

/** From one to NAME_LENGTH_MAX characters of ASCII. */
function readText(): string {
  const length = readTextLength();
  if (length < 1 || length > NAME_LENGTH_MAX) return '';
  const end = offset + length;
  for (let index = offset; index < end; index += 1) if (bytes[index]! >= 0x80) return '';
  const text = ascii.decode(bytes.subarray(offset, end));
  offset = end;
  return text;
}

/** Any integer from 0 to 2⁵³ - 1, in whichever of the encodings that writers use for one. */
function readNumber(): number {
  const head = bytes[offset];
  if (head === undefined) return NONE;
  offset += 1;
  if (head < 0x80) return head;
  switch (head) {
    case 0xcc:
      return readInteger(1);
    case 0xcd:
      return readInteger(2);
    case 0xce:
      return readInteger(4);
    case 0xcf: {
      const value = readInteger(8);
      return value <= Number.MAX_SAFE_INTEGER ? value : NONE;
    }
    case 0xcb:
      return readFloat();
    default:
      return NONE;
  }
}

/** Big-endian. */
function readInteger(length: number): number {
  if (length > bytes.length - offset) return NONE;
  let value = 0;
  for (const end = offset + length; offset < end; offset += 1) value = value * 256 + bytes[offset]!;
  return value;
}

const float = new DataView(new ArrayBuffer(8));

function readFloat(): number {
  if (8 > bytes.length - offset) return NONE;
  for (let index = 0; index < 8; index += 1) float.setUint8(index, bytes[offset + index]!);
  offset += 8;
  const value = float.getFloat64(0);
  return Number.isSafeInteger(value) ? value : NONE;
}
