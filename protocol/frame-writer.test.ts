import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { msgpackCodec } from './codec.ts';
import { writeFrames } from './frame-writer.ts';
import type { CoordinatorFrame } from './frames.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';

const hexOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const byCodec = (frames: unknown) => hexOf(msgpackCodec.encode(frames as CoordinatorFrame) as Uint8Array);
const byWriter = (frames: unknown) => hexOf(writeFrames(frames as CoordinatorFrame));

const natural = fc.oneof(
  fc.nat({ max: 300 }),
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32),
);
const token = natural.map((value) => Math.max(1, value));
const text = fc.string({ maxLength: 80, unit: 'binary-ascii' });
const record = fc.record(
  {
    address: text,
    country: text,
    rpw: natural,
    resource_ids: fc.array(token, { maxLength: 20 }),
    labels: fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true }),
    // Its own affair: no token.
    lease: token,
    leases: fc.array(token, { maxLength: 3 }),
    weight: fc.double(),
    note: fc.constantFrom(null, true, false, 0.5),
  },
  { requiredKeys: ['address', 'country', 'rpw', 'resource_ids'], noNullPrototype: true },
);
const grantFields = { lease: token, resource: token, address: record, ttl_ms: natural };
const marks = { clamped: fc.boolean(), waited_ms: natural };
const grantKeys = ['lease', 'resource', 'address', 'ttl_ms'] as const;
const plain = { noNullPrototype: true };
const word = <const Word extends string>(type: Word) => ({ type: fc.constant(type) });

const frequent = fc.oneof(
  fc.record(
    { ...word('granted'), id: natural, ...grantFields, ...marks },
    { requiredKeys: ['type', 'id', ...grantKeys], noNullPrototype: true },
  ),
  fc.record({
    ...word('granted'),
    id: natural,
    leases: fc.array(fc.record({ ...grantFields, ...marks }, { requiredKeys: [...grantKeys], noNullPrototype: true }), {
      maxLength: 20,
    }),
  }),
  fc.record({ ...word('released'), id: natural }, plain),
  fc.record({ ...word('reported'), id: natural }, plain),
  fc.record({ ...word('pong'), id: natural }, plain),
  fc.record({ ...word('renewed'), id: natural, lease: token, ttl_ms: natural }, plain),
  fc.record({
    ...word('renewed'),
    id: natural,
    leases: fc.array(
      fc.oneof(
        fc.record({ lease: token, ttl_ms: natural }, plain),
        fc.record({ lease: token, lost: fc.constant(true) }, plain),
      ),
    ),
  }),
  fc.record({ ...word('cancelled'), id: natural, leases: fc.array(token) }, plain),
  fc.record({ ...word('queued'), id: natural, position: token, estimate_ms: natural }, plain),
  fc.record({ ...word('expiring'), lease: token, remaining_ms: natural }, plain),
  fc.record({ ...word('expired'), lease: token }, plain),
  fc.record({ ...word('error'), id: natural, code: text, message: text, path: text }, plain),
);

/** Fields that no frame has, or not in these forms. */
const odd = fc
  .tuple(frequent, fc.constantFrom('id', 'address', 'lease', 'leases', 'why', 'substitute', 'ended'), fc.anything())
  .map(([frame, field, value]) => ({ ...frame, [field]: value }));

describe('the quick writer of frames', () => {
  it('writes what the codec does', () => {
    fc.assert(
      fc.property(frequent, (frame) => {
        expect(byWriter(frame)).toBe(byCodec(frame));
      }),
      { numRuns: 2_000 },
    );
  });

  it('writes the array of a group as the codec does', () => {
    fc.assert(
      fc.property(fc.array(frequent, { maxLength: 40 }), (frames) => {
        expect(byWriter(frames)).toBe(byCodec(frames));
      }),
    );
    const pongs = Array.from({ length: 1_024 }, (_, id) => ({ type: 'pong', id }));
    expect(byWriter(pongs)).toBe(byCodec(pongs));
  });

  it('writes nothing else than the codec, whatever stands in a frame', () => {
    fc.assert(
      fc.property(odd, (frame) => {
        const written = byWriter(frame);
        if (written !== undefined) expect(written).toBe(byCodec(frame));
      }),
      { numRuns: 5_000 },
    );
  });

  it.each<[what: string, frame: object]>([
    ['text that is not ASCII', { type: 'error', code: 'x', message: 'Ω' }],
    ['a long text', { type: 'error', code: 'x', message: 'x'.repeat(256) }],
    ['a negative integer', { type: 'counted', id: 1, counter: 'x', value: -1 }],
    ['nothing', { type: 'error', code: undefined }],
    ['many keys', Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`k${index}`, index]))],
    ['a substitute', { type: 'revoked', lease: 5, reason: 'x', substitute: { lease: 6 } }],
  ])('leaves %s to the codec', (_what, frame) => {
    expect(byWriter(frame)).toBeUndefined();
    expect(byWriter([{ type: 'pong', id: 1 }, frame])).toBeUndefined();
    expect(byWriter({ type: 'pong', id: 1 })).toBe(byCodec({ type: 'pong', id: 1 }));
  });

  it('leaves a group that is longer than a message to who parts it', () => {
    const frame = { type: 'error', code: 'x'.repeat(250), message: 'x'.repeat(250) };
    const longest = Math.floor(MESSAGE_BYTES_MAX / 530);
    expect(byWriter(Array.from({ length: longest }, () => frame))).toBeDefined();
    expect(byWriter(Array.from({ length: 3 * longest }, () => frame))).toBeUndefined();
  });
});
