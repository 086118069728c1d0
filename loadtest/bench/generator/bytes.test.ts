import { describe, expect, it } from 'vitest';
import { msgpackCodec } from '../../../protocol/codec.ts';
import { type CoordinatorFrame, parseCollectorFrame } from '../../../protocol/frames.ts';
import { GRANTED, GrantReader, OTHER, RELEASED } from './grant-reader.ts';
import { HEAD_BYTES_MAX, writeAcquire, writeArrayHead, writeMessageHead, writeRelease } from './request-writer.ts';

const address = { address: 'http://user:secret@10.0.0.1:8080', country: 'US', rpw: 70_000, resource_ids: [7, 300] };
const record = { ...address, labels: { id: '9', type: 'granted' }, weight: 1.5, note: 'x'.repeat(300) };
const granted = (id: number, lease: number): CoordinatorFrame => {
  return { type: 'granted', id, lease, resource: 7, address: record, ttl_ms: 60_000, clamped: true };
};

function encoded(frames: CoordinatorFrame | readonly CoordinatorFrame[]): Buffer {
  return Buffer.from(msgpackCodec.encode(frames) as Uint8Array);
}

describe('the reader of answers', () => {
  const reader = new GrantReader();

  it.each([0, 127, 128, 65_535, 65_536, 2 ** 32 - 1])(
    'finds kind, id %i, token and end, as the codec wrote them',
    (id) => {
      const lease = 2 ** 52 + 12_345;
      const bytes = encoded(granted(id, lease));
      expect(reader.read(bytes, 0, false)).toBe(bytes.length);
      expect(reader).toMatchObject({ kind: GRANTED, id });
      expect(bytes.readBigUInt64BE(reader.leaseAt)).toBe(BigInt(lease));
      reader.read(bytes, 0, true);
      expect(reader).toMatchObject({ kind: GRANTED, id });
      expect(bytes.readBigUInt64BE(reader.leaseAt)).toBe(BigInt(lease));
    },
  );

  it('goes from frame to frame of a batch', () => {
    const bytes = encoded([granted(16, 2 ** 50), { type: 'released', id: 17 }, { type: 'pong', id: 18 }]);
    const seen: [number, number][] = [];
    let at = 1;
    while (at < bytes.length) {
      at = reader.read(bytes, at, false);
      seen.push([reader.kind, reader.id]);
    }
    expect(at).toBe(bytes.length);
    expect(seen).toEqual([
      [GRANTED, 16],
      [RELEASED, 17],
      [OTHER, 18],
    ]);
  });

  it('takes nothing else for a grant', () => {
    const why = { states: { leased: 1, free: 0 }, excluded: 0 };
    const others: CoordinatorFrame[] = [
      { type: 'refused', id: 20, reason: 'none_available', why },
      { type: 'error', id: 21, code: 'unknown_resource', message: 'granted' },
      { type: 'expired', lease: 2 ** 50 },
    ];
    for (const frame of others) {
      reader.read(encoded(frame), 0, true);
      expect(reader.kind).toBe(OTHER);
    }
  });

  it('stops at what is no frame', () => {
    expect(() => reader.read(Buffer.from([0xc1]), 0, false)).toThrow('begins with 193');
  });
});

describe('the writer of requests', () => {
  const out = Buffer.alloc(4_096, 0xff);

  /** The payload of the message that begins at `from`, after a look at its header. */
  function payloadOf(from: number, end: number): unknown {
    const isShort = end - HEAD_BYTES_MAX <= 125;
    expect(out[from]).toBe(0x82);
    expect(out[from + 1]! & 0x80).toBe(0x80);
    const length = isShort ? out[from + 1]! & 0x7f : out.readUInt16BE(from + 2);
    const mask = from + (isShort ? 2 : 4);
    expect(out.readUInt32BE(mask)).toBe(0);
    expect(mask + 4 + length).toBe(end);
    const decoded = msgpackCodec.decode(out.subarray(mask + 4, end));
    return decoded.ok ? decoded.value : decoded;
  }

  it('writes an acquire that the codec reads', () => {
    const end = writeAcquire(out, HEAD_BYTES_MAX, 0x8123_4567);
    const frame = payloadOf(writeMessageHead(out, HEAD_BYTES_MAX, end - HEAD_BYTES_MAX), end);
    expect(frame).toEqual({ type: 'acquire', id: 0x8123_4567, resource: 7, ttl_ms: 60_000 });
    expect(parseCollectorFrame(frame)).toMatchObject({ ok: true });
  });

  it.each([2, 40])('writes %i requests as one batch', (count) => {
    const tokens = Buffer.alloc(16);
    tokens.writeBigUInt64BE(2n ** 52n + 99n, 8);
    let end = HEAD_BYTES_MAX;
    for (let id = 1; id <= count; id += 1) end = writeRelease(out, end, id, tokens, 8);
    const arrayAt = writeArrayHead(out, HEAD_BYTES_MAX, count);
    const frames = payloadOf(writeMessageHead(out, arrayAt, end - arrayAt), end) as unknown[];
    expect(frames).toHaveLength(count);
    expect(frames.at(-1)).toEqual({ type: 'release', id: count, lease: 2 ** 52 + 99 });
    for (const frame of frames) expect(parseCollectorFrame(frame)).toMatchObject({ ok: true });
  });
});
