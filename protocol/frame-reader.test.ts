import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exceedsFrameBytes, msgpackCodec } from './codec.ts';
import { OUTCOMES, STRATEGIES } from './codes.ts';
import { readFrames } from './frame-reader.ts';
import { parseCollectorFrame } from './frames.ts';
import {
  BATCH_FRAMES_MAX,
  COUNT_MAX,
  FRAME_BYTES_MAX,
  MESSAGE_VALUES_MAX,
  REQUESTS_MAX,
  WAIT_MS_MAX,
} from './limits.ts';

/** What the decoder and the schemas make of a message that they take as a whole. */
function readSlowly(message: Uint8Array): unknown {
  const decoded = msgpackCodec.decode(message);
  if (!decoded.ok) return undefined;
  if (!Array.isArray(decoded.value)) return exceedsFrameBytes(message) ? undefined : frameOf(decoded.value);
  const frames = decoded.value.map(frameOf);
  return frames.length === 0 || frames.length > BATCH_FRAMES_MAX || frames.includes(undefined) ? undefined : frames;
}

function frameOf(value: unknown): unknown {
  const parsed = parseCollectorFrame(value);
  return parsed.ok ? parsed.frame : undefined;
}

function mustAgree(message: Uint8Array): void {
  const read = readFrames(message);
  if (read === undefined || isDeepStrictEqual(read, readSlowly(message))) return;
  expect(read, Buffer.from(message).toString('hex')).toStrictEqual(readSlowly(message));
}

// ---- bytes in every form that a writer may choose

type Bytes = readonly number[];
const bigEndian = (value: number, length: number): Bytes =>
  Array.from({ length }, (_, index) => Math.floor(value / 256 ** (length - 1 - index)) % 256);
const float64 = (value: number): Bytes => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return [0xcb, ...bytes];
};
const float32 = (value: number): Bytes => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [0xca, ...bytes];
};

/** All encodings of a natural number; those that writers choose, and others that the decoder takes as well. */
function numberForms(value: number): { usual: Bytes[]; rare: Bytes[] } {
  const usual: Bytes[] = [[0xcf, ...bigEndian(value, 8)], float64(value)];
  const rare: Bytes[] = [[0xd3, ...bigEndian(value, 8)]];
  if (value < 0x80) usual.push([value]);
  for (const [width, length] of [1, 2, 4].entries()) {
    if (value < 256 ** length) usual.push([0xcc + width, ...bigEndian(value, length)]);
    if (value < 256 ** length / 2) rare.push([0xd0 + width, ...bigEndian(value, length)]);
  }
  if (Math.fround(value) === value) rare.push(float32(value));
  return { usual, rare };
}

function textForms(text: string): { usual: Bytes[]; rare: Bytes[] } {
  const bytes = [...Buffer.from(text)];
  const usual: Bytes[] = [];
  const rare: Bytes[] = [[0xda, ...bigEndian(bytes.length, 2), ...bytes]];
  if (bytes.length < 256) usual.push([0xd9, bytes.length, ...bytes]);
  if (bytes.length < 32) usual.push([0xa0 | bytes.length, ...bytes]);
  return { usual, rare };
}

/** A frame as bytes: its fields in any order, each value in any form. */
function written(value: unknown, forms: 'usual' | 'all'): fc.Arbitrary<Bytes> {
  const oneOf = ({ usual, rare }: { usual: Bytes[]; rare: Bytes[] }) =>
    fc.constantFrom(...usual, ...(forms === 'all' || usual.length === 0 ? rare : []));
  if (typeof value === 'number') return oneOf(numberForms(value));
  if (typeof value === 'string') return oneOf(textForms(value));
  if (Array.isArray(value)) {
    const head = value.length < 16 ? [0x90 | value.length] : [0xdc, ...bigEndian(value.length, 2)];
    return fc.tuple(...value.map((inner) => written(inner, forms))).map((inner) => [...head, ...inner.flat()]);
  }
  const entries = Object.entries(value as object);
  return fc.shuffledSubarray(entries, { minLength: entries.length }).chain((shuffled) =>
    fc
      .tuple(
        ...shuffled.map(([key, inner]) => {
          const name = forms === 'all' ? written(key, forms) : fc.constant(textForms(key).usual.at(-1)!);
          return fc.tuple(name, written(inner, forms)).map((parts) => parts.flat());
        }),
      )
      .map((fields) => [0x80 | entries.length, ...fields.flat()]),
  );
}

// ---- frames

const upTo = (max: number, min = 0) =>
  fc.oneof(
    fc.integer({ min, max: Math.min(max, 300) }),
    fc.maxSafeNat().map((value) => min + (value % (max - min + 1))),
    fc.constantFrom(min, max),
  );
const natural = upTo(Number.MAX_SAFE_INTEGER);
const positive = upTo(Number.MAX_SAFE_INTEGER, 1);
const name = fc.string({ minLength: 1, maxLength: 256, unit: 'binary-ascii' });
const type = (word: string) => fc.constant(word);
const settled = { id: natural, lease: positive, outcome: fc.constantFrom(...OUTCOMES), requests: upTo(REQUESTS_MAX) };
const unsettled = { requiredKeys: ['type', 'id', 'lease'] as ['type', 'id', 'lease'] };

const asked = fc
  .record(
    {
      type: type('acquire'),
      id: natural,
      resource: positive,
      ttl_ms: positive,
      strategy: fc.constantFrom(...STRATEGIES),
      sticky: name,
      wait_ms: upTo(WAIT_MS_MAX),
      count: upTo(COUNT_MAX, 1),
      key: name,
    },
    { requiredKeys: ['type', 'id', 'resource', 'ttl_ms'] },
  )
  .filter((frame) => frameOf(frame) !== undefined);
const hotFrame = fc.oneof(
  asked,
  fc.record({ type: type('release'), ...settled }, unsettled),
  fc.record({ type: type('report'), ...settled }, unsettled),
  fc.record({ type: type('renew'), id: natural, lease: positive, ttl_ms: positive }, unsettled),
  fc.record(
    {
      type: type('renew'),
      id: natural,
      leases: fc.array(positive, { minLength: 1, maxLength: 40 }),
      ttl_ms: positive,
    },
    { requiredKeys: ['type', 'id', 'leases'] },
  ),
  fc.record({ type: type('ping'), id: natural }),
);

/** Wrong in a value or a field, or of another kind. */
const oddValue = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    1,
    -1,
    -0.5,
    2 ** 53,
    2 ** 60,
    Number.NaN,
    null,
    true,
    '',
    'ok',
    'Ω',
    [],
    [5],
    {},
    { eq: 1 },
  ),
  fc.integer(),
  fc.string({ maxLength: 300, unit: 'binary' }),
);
const FIELDS = [
  'type',
  'id',
  'resource',
  'ttl_ms',
  'lease',
  'leases',
  'outcome',
  'requests',
  'strategy',
  'sticky',
  'wait_ms',
  'count',
  'key',
  'where',
  'typf',
  'leasex',
  'leasesx',
  'requestr',
  'ttl_mt',
  'counter',
  'tape',
];
const TYPES = [
  'acquire',
  'renew',
  'release',
  'report',
  'ping',
  'explain',
  'cancel',
  'count',
  'bye',
  'hello',
  'acquirf',
  'pint',
];
const oddFrame = fc
  .tuple(hotFrame, fc.constantFrom(...FIELDS), fc.oneof(oddValue, fc.constantFrom(...TYPES)), fc.boolean())
  .map(([frame, field, value, isDropped]): Record<string, unknown> => {
    const odd: Record<string, unknown> = { ...frame };
    if (isDropped) delete odd[field];
    else odd[field] = value;
    return odd;
  });

const bytesOf = (frame: object) => Buffer.from(msgpackCodec.encode(frame as never) as Uint8Array);

describe('the quick reader of frames', () => {
  it('reads what collectors usually send, as the schemas do', () => {
    const message = fc.oneof(hotFrame, fc.array(hotFrame, { minLength: 1, maxLength: 20 }));
    fc.assert(
      fc.property(
        message.chain((value) => written(value, 'usual')),
        (bytes) => {
          const message = Uint8Array.from(bytes);
          const read = readFrames(message);
          expect(read).toBeDefined();
          expect(read).toStrictEqual(readSlowly(message));
        },
      ),
      { numRuns: 700 },
    );
  });

  it('leaves rare encodings to the schemas, or reads them as they do', () => {
    fc.assert(
      fc.property(
        hotFrame.chain((value) => written(value, 'all')),
        (bytes) => mustAgree(Uint8Array.from(bytes)),
      ),
      { numRuns: 700 },
    );
  });

  it('takes nothing that the schemas refuse', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(hotFrame, oddFrame), { maxLength: 4 }), (frames) => {
        for (const frame of frames) mustAgree(bytesOf(frame));
        mustAgree(bytesOf(frames));
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes nothing of changed bytes that the schemas refuse or read otherwise', () => {
    const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }), fc.constantFrom('replace', 'remove', 'insert', 'repeat'));
    fc.assert(
      fc.property(
        fc.oneof(hotFrame, fc.array(hotFrame, { minLength: 1, maxLength: 3 })),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (value, changes) => {
          const bytes = [...bytesOf(value)];
          for (const [at, byte, how] of changes) {
            const place = at % (bytes.length + 1);
            if (how === 'replace') bytes[place] = byte;
            else if (how === 'remove') bytes.splice(place, 1);
            else if (how === 'insert') bytes.splice(place, 0, byte);
            else bytes.splice(place, 0, ...bytes.slice(place, place + (byte % 12)));
          }
          mustAgree(Uint8Array.from(bytes));
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it.each([
    ['a field that comes twice', '83a26964 01 a26964 02 a474797065 a470696e67'],
    ['bytes behind the frame', '82a26964 01 a474797065 a470696e67 00'],
    ['a frame that is cut off', '82a26964 01 a474797065 a470696e'],
    ['a condition', '85a474797065 a761637175697265 a26964 01 a87265736f75726365 07 a674746c5f6d73 05 a57768657265 80'],
    [
      'a text that is not ASCII',
      '85a474797065 a761637175697265 a26964 01 a87265736f75726365 07 a674746c5f6d73 05 a36b6579 a2cea9',
    ],
    ['no frame in an array', '90'],
    ['an array in an array', '9191 82a26964 01 a474797065 a470696e67'],
    ['nothing', ''],
    ['a lone number', '05'],
  ])('passes over %s', (_, hex) => {
    expect(readFrames(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toBeUndefined();
  });

  it('leaves what is longer than its bounds to those who word the error', () => {
    const keyed = { type: 'acquire', id: 1, resource: 7, ttl_ms: 1, key: 'k'.repeat(256), sticky: 's'.repeat(200) };
    const renew = (count: number) => ({ type: 'renew', id: 1, leases: Array.from({ length: count }, () => 5) });
    expect(readFrames(bytesOf({ ...keyed, key: 'k'.repeat(257) }))).toBeUndefined();
    expect(readFrames(bytesOf(renew(1_000)))).toStrictEqual(renew(1_000));
    expect(readFrames(bytesOf(renew(1_001)))).toBeUndefined();
    const pings = (count: number) => Array.from({ length: count }, () => ({ type: 'ping', id: 1 }));
    expect(readFrames(bytesOf(pings(BATCH_FRAMES_MAX)))).toHaveLength(BATCH_FRAMES_MAX);
    expect(readFrames(bytesOf(pings(BATCH_FRAMES_MAX + 1)))).toBeUndefined();
    const many = Array.from({ length: 300 }, () => renew(900));
    expect(bytesOf(many).length).toBeGreaterThan(MESSAGE_VALUES_MAX);
    expect(readFrames(bytesOf(many))).toBeUndefined();
    // Padded by a key of many bytes, since no frame of usable fields is as long as one may be.
    expect(readFrames(Buffer.alloc(FRAME_BYTES_MAX + 1, 0x81))).toBeUndefined();
  });

  it('keeps nothing of the bytes', () => {
    const frame = { type: 'acquire', id: 1, resource: 7, ttl_ms: 1, sticky: 'cart-7', key: 'order-1' };
    const bytes = bytesOf(frame);
    const read = readFrames(bytes);
    bytes.fill(0);
    expect(read).toStrictEqual(frame);
  });
});
