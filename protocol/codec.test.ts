import { describe, expect, test } from 'vitest';
import { codecFor, exceedsFrameBytes, jsonCodec, msgpackCodec } from './codec.ts';
import { type CollectorFrame, type CoordinatorFrame, parseCollectorFrame, parseCoordinatorFrame } from './frames.ts';
import { FRAME_BYTES_MAX, MESSAGE_VALUES_MAX, NESTING_DEPTH_MAX } from './limits.ts';

/** Above 32 bits, as real ones are, and each different: 2⁵² + n. */
const TOKEN = 2 ** 52;
const address = { address: 'http://user:päss@198.51.100.4:3128', country: 'DE', rpw: 70_000, resource_ids: [7, 300] };
const grant = { lease: TOKEN + 1, resource: 7, address: { ...address, labels: { kind: 'mobile' } }, ttl_ms: 60_000 };
const why = { states: { leased: 3, cooling: 1, free: 0 }, excluded: 12, soonest_ms: 1_250 };

/** Every type of frame, and every form of it. */
const collectorFrames: { [Type in CollectorFrame['type']]: Extract<CollectorFrame, { type: Type }>[] } = {
  hello: [
    { type: 'hello', id: 0, protocol: 1 },
    {
      type: 'hello',
      id: 1,
      protocol: 1,
      client: 'books-3',
      api_key: 'k',
      resume_window_ms: 30_000,
      notice_ms: 2_000,
      batch: true,
      resume: { session: 's', secret: 'x' },
    },
  ],
  acquire: [
    { type: 'acquire', id: 2, resource: 7, ttl_ms: 60_000 },
    {
      type: 'acquire',
      id: 2 ** 40,
      resource: 7,
      ttl_ms: 2 ** 33,
      where: {
        country: { in: ['US', 'CA'] },
        or: [{ rpw: { lt: 500 } }, { not: { labels: { kind: { eq: 'mobile' } } } }],
      },
      strategy: 'sticky',
      sticky: 'cart-Ω',
      wait_ms: 5_000,
      count: 3,
      key: 'order-1',
    },
  ],
  explain: [{ type: 'explain', id: 3, resource: 7, ttl_ms: 60_000, where: {} }],
  cancel: [{ type: 'cancel', id: 4, request: 2 }],
  renew: [
    { type: 'renew', id: 5, lease: TOKEN + 1 },
    { type: 'renew', id: 6, leases: [TOKEN + 1, 5, TOKEN + 2], ttl_ms: 1_000 },
  ],
  release: [{ type: 'release', id: 7, lease: TOKEN + 1, outcome: 'banned', requests: 0 }],
  report: [{ type: 'report', id: 8, lease: 5, outcome: 'ok', requests: 118 }],
  count: [{ type: 'count', id: 9, counter: 'pages', by: -3, key: 'k' }],
  ping: [{ type: 'ping', id: 10 }],
  bye: [{ type: 'bye' }, { type: 'bye', id: 11 }],
};

const coordinatorFrames: { [Type in CoordinatorFrame['type']]: Extract<CoordinatorFrame, { type: Type }>[] } = {
  welcome: [
    {
      type: 'welcome',
      id: 1,
      session: 's',
      secret: 'x',
      epoch: 3,
      heartbeat_ms: 10_000,
      resumed: true,
      leases: [
        { ...grant, request: 2 },
        { ...grant, lease: 5, request: 3, key: 'k', revoking: { reason: 'operator', deadline_ms: 900 } },
      ],
      waiting: [{ request: 4, position: 1 }],
      ended: [{ lease: TOKEN + 3, resource: 7, end: 'revoked', reason: 'unhealthy' }],
      limits: {
        frame_bytes_max: 65_536,
        message_bytes_max: 1_048_576,
        ttl_min_ms: 200,
        ttl_max_ms: 604_800_000,
        resume_window_ms: 0,
        notice_ms: 2_000,
      },
    },
  ],
  granted: [
    { type: 'granted', id: 2, ...grant, clamped: true, waited_ms: 40 },
    { type: 'granted', id: 2, leases: [grant, { ...grant, lease: TOKEN + 2 }] },
  ],
  queued: [{ type: 'queued', id: 2, position: 4, estimate_ms: 900 }],
  refused: [{ type: 'refused', id: 2, reason: 'none_available', why, retry_after_ms: 1_250 }],
  explained: [{ type: 'explained', id: 3, would: 'refuse', why: { ...why, relax: 'country', approximate: true } }],
  cancelled: [
    { type: 'cancelled', id: 4 },
    { type: 'cancelled', id: 4, lease: TOKEN + 1 },
    { type: 'cancelled', id: 4, leases: [TOKEN, TOKEN + 1] },
  ],
  renewed: [
    { type: 'renewed', id: 5, lease: TOKEN + 1, ttl_ms: 60_000 },
    {
      type: 'renewed',
      id: 6,
      leases: [
        { lease: TOKEN + 1, ttl_ms: 200, clamped: true },
        { lease: 5, lost: true },
      ],
    },
  ],
  released: [{ type: 'released', id: 7 }],
  reported: [{ type: 'reported', id: 8 }],
  counted: [{ type: 'counted', id: 9, counter: 'pages', value: -(2 ** 40) }],
  pong: [{ type: 'pong', id: 10 }],
  expiring: [{ type: 'expiring', lease: TOKEN + 1, remaining_ms: 4_999 }],
  expired: [{ type: 'expired', lease: TOKEN + 1 }],
  revoking: [
    { type: 'revoking', lease: TOKEN + 1, reason: 'operator', deadline_ms: 5_000, substitute: { ...grant, lease: 6 } },
  ],
  revoked: [
    { type: 'revoked', lease: TOKEN + 1, reason: 'address_removed' },
    { type: 'revoked', lease: TOKEN + 1, reason: 'operator', substitute: { ...grant, lease: TOKEN + 2 } },
  ],
  goaway: [{ type: 'goaway', deadline_ms: 5_000, reconnect_after_ms: 6_230 }],
  error: [{ type: 'error', id: 1, code: 'bad_field', message: 'a: b', path: 'a', retry_after_ms: 1 }],
};

const allCollectorFrames: CollectorFrame[] = Object.values(collectorFrames).flat();
const allCoordinatorFrames: CoordinatorFrame[] = Object.values(coordinatorFrames).flat();

describe.each([
  ['MessagePack', msgpackCodec],
  ['JSON', jsonCodec],
] as const)('as %s', (_, codec) => {
  test.each(allCollectorFrames.map((frame) => [frame.type, frame] as const))(
    '%s arrives as it was sent',
    (_, frame) => {
      const decoded = codec.decode(codec.encode(frame));
      expect(decoded).toEqual({ ok: true, value: frame });
      expect(parseCollectorFrame(decoded.ok && decoded.value)).toEqual({ ok: true, frame });
    },
  );

  test.each(allCoordinatorFrames.map((frame) => [frame.type, frame] as const))(
    '%s arrives as it was sent',
    (_, frame) => {
      const decoded = codec.decode(codec.encode(frame));
      expect(decoded).toEqual({ ok: true, value: frame });
      expect(parseCoordinatorFrame(decoded.ok && decoded.value)).toEqual({ ok: true, frame });
    },
  );

  test('an array of frames arrives as it was sent', () => {
    expect(codec.decode(codec.encode(allCoordinatorFrames))).toEqual({ ok: true, value: allCoordinatorFrames });
    expect(codec.decode(codec.encode([]))).toEqual({ ok: true, value: [] });
  });

  test('encoding leaves the frame alone', () => {
    for (const frame of [...allCollectorFrames, ...allCoordinatorFrames]) {
      const before = structuredClone(frame);
      codec.encode(frame);
      expect(frame).toEqual(before);
    }
  });

  test('is found by its subprotocol', () => {
    expect(codecFor(codec.subprotocol)).toBe(codec);
  });
});

test('MessagePack is spoken where no subprotocol was named', () => {
  expect(codecFor('')).toBe(msgpackCodec);
});

describe('tokens in MessagePack', () => {
  const withTokens = [...allCollectorFrames, ...allCoordinatorFrames].filter((frame) => tokensOf(frame).length > 0);

  test.each(withTokens.map((frame) => [frame.type, frame] as const))('are written as uint64 in %s', (_, frame) => {
    const tokens = tokensOf(frame);
    const hex = Buffer.from(msgpackCodec.encode(frame) as Uint8Array).toString('hex');
    for (const token of tokens) expect(hex).toContain(`cf${token.toString(16).padStart(16, '0')}`);
    expect(hex.match(/cf00[01]0000000000/g)).toHaveLength(tokens.length);
  });

  test('are written as uint64 at both ends of their range', () => {
    for (const lease of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const bytes = msgpackCodec.encode({ type: 'expired', lease }) as Uint8Array;
      expect(Buffer.from(bytes.subarray(-9)).toString('hex')).toBe(`cf${lease.toString(16).padStart(16, '0')}`);
    }
  });

  test('survive the growth of the buffer of the encoder', () => {
    const leases = Array.from({ length: 1_000 }, (_, index) => ({ ...grant, lease: TOKEN + index }));
    const frame: CoordinatorFrame = { type: 'granted', id: 1, leases };
    for (let round = 0; round < 3; round += 1) {
      expect(msgpackCodec.decode(msgpackCodec.encode(frame))).toEqual({ ok: true, value: frame });
    }
  });

  test.each([
    ['positive fixint', '05', 5],
    ['uint8', 'cc05', 5],
    ['uint16', 'cd0005', 5],
    ['uint32', 'ce00000005', 5],
    ['uint64', 'cf0000000000000005', 5],
    ['int8', 'd005', 5],
    ['int16', 'd10005', 5],
    ['int32', 'd200000005', 5],
    ['int64', 'd30000000000000005', 5],
    ['float32', 'ca40a00000', 5],
    ['float64', 'cb4014000000000000', 5],
    ['uint64', 'cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['int64', 'd3001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['float64', 'cb433fffffffffffff', Number.MAX_SAFE_INTEGER],
  ])('are read from %s %s', (_, hex, lease) => {
    expect(parseRelease(hex)).toEqual({ ok: true, frame: { type: 'release', id: 1, lease } });
  });

  test.each([
    ['2⁵³ as uint64', 'cf0020000000000000'],
    ['2⁵³ + 1 as uint64, which no float64 holds', 'cf0020000000000001'],
    ['the largest uint64', 'cfffffffffffffffff'],
    ['a negative int64', 'd3ffffffffffffffff'],
    ['a fraction', 'cb4014cccccccccccd'],
    ['infinity', 'cb7ff0000000000000'],
    ['not a number', 'cb7ff8000000000000'],
    ['zero', '00'],
    ['digits', 'a135'],
    ['nil', 'c0'],
    ['binary', 'c40105'],
  ])('are refused as %s', (_, hex) => {
    expect(parseRelease(hex)).toMatchObject({ ok: false, fault: { code: 'bad_field', path: 'lease', id: 1 } });
  });

  /** `{type: 'release', id: 1, lease}` with the token in bytes of the test's own. */
  function parseRelease(leaseHex: string) {
    const bytes = Buffer.from(`83a474797065a772656c65617365a2696401a56c65617365${leaseHex}`, 'hex');
    const decoded = msgpackCodec.decode(bytes);
    expect(decoded.ok).toBe(true);
    return parseCollectorFrame(decoded.ok && decoded.value);
  }
});

describe('the wrong kind of message', () => {
  test('text is refused where MessagePack is spoken', () => {
    expect(msgpackCodec.decode('{}')).toEqual({ ok: false, message: 'leasehold.v1.msgpack takes binary messages' });
  });

  test('binary is refused where JSON is spoken', () => {
    expect(jsonCodec.decode(Buffer.from('{}'))).toEqual({
      ok: false,
      message: 'leasehold.v1.json takes text messages',
    });
  });
});

describe('JSON that is no frame', () => {
  const refused = (text: string) => {
    const decoded = jsonCodec.decode(text);
    return decoded.ok ? 'taken' : decoded.message;
  };

  test.each(['', 'hello', '{', '{"a":1}}', '{"a":1} 2', "{'a':1}", '{"a":undefined}', '[1,]', '"\u0001"', '\u0000'])(
    'refuses %j',
    (text) => {
      expect(refused(text)).not.toBe('taken');
    },
  );

  test('nesting is bounded before it is followed', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(refused(nested(NESTING_DEPTH_MAX))).toBe('taken');
    expect(refused(nested(NESTING_DEPTH_MAX + 1))).toBe('nested deeper than 32');
    expect(refused('[{"a":'.repeat(100_000))).toBe('nested deeper than 32');
    expect(refused(JSON.stringify({ text: `"${'['.repeat(100)}\\"${'{'.repeat(100)}` }))).toBe('taken');
  });

  test('values are bounded before they are built', () => {
    const elements = (count: number) => `[${Array(count).fill('1').join(',')}]`;
    expect(refused(elements(MESSAGE_VALUES_MAX - 1))).toBe('taken');
    expect(refused(elements(MESSAGE_VALUES_MAX))).toBe('more than 131072 values');
  });

  test.each([
    '{"__proto__":{"a":1}}',
    '{"a":[{"b":{"__proto__":1}}]}',
    '{"\\u005f_proto__":1}',
    '{"__prot\\u006F__":1}',
  ])('refuses the key __proto__ in %s', (text) => {
    expect(refused(text)).toBe('the key __proto__ is not taken');
  });

  test.each(['{"a":"\\ud800"}', '{"a":["x\\udc00\\ud800"]}', '{"\\uD83D":1}', '"\\ud83d\\u0061"'])(
    'refuses half a surrogate pair in %s',
    (text) => {
      expect(refused(text)).toBe('a string is not UTF-8');
    },
  );

  test('takes both halves of one', () => {
    expect(jsonCodec.decode('{"a":"\\ud83d\\ude00"}')).toEqual({ ok: true, value: { a: '😀' } });
  });

  test.each(['{"a":"__proto__"}', '{"__proto":1}', '{"\\u0061":"\\u005f_proto__"}'])(
    'takes what only resembles that key in %s',
    (text) => {
      expect(jsonCodec.decode(text)).toEqual({ ok: true, value: JSON.parse(text) });
    },
  );
});

describe('the length of one frame', () => {
  test('is counted in bytes', () => {
    expect(exceedsFrameBytes(new Uint8Array(FRAME_BYTES_MAX))).toBe(false);
    expect(exceedsFrameBytes(new Uint8Array(FRAME_BYTES_MAX + 1))).toBe(true);
    expect(exceedsFrameBytes('a'.repeat(FRAME_BYTES_MAX))).toBe(false);
    expect(exceedsFrameBytes('a'.repeat(FRAME_BYTES_MAX + 1))).toBe(true);
    expect(exceedsFrameBytes('ä'.repeat(FRAME_BYTES_MAX / 2))).toBe(false);
    expect(exceedsFrameBytes('ä'.repeat(FRAME_BYTES_MAX / 2 + 1))).toBe(true);
    expect(exceedsFrameBytes('€'.repeat(Math.floor(FRAME_BYTES_MAX / 3)))).toBe(false);
    expect(exceedsFrameBytes('€'.repeat(Math.ceil(FRAME_BYTES_MAX / 3)))).toBe(true);
  });
});

/** 100,000 messages each of nonsense and of frames with something changed; the seed gives the same ones again. */
describe('nothing that a peer sends throws', { timeout: 120_000 }, () => {
  const SEED = 20_250_101;
  const MESSAGES = 100_000;
  const both = [...allCollectorFrames, ...allCoordinatorFrames];

  test(`in MessagePack, seed ${SEED}`, () => {
    const random = mulberry32(SEED);
    const originals = both.map((frame) => Buffer.from(msgpackCodec.encode(frame) as Uint8Array));
    let decodedCount = 0;
    for (let index = 0; index < MESSAGES; index += 1) {
      decodedCount += look(index, msgpackCodec, Buffer.from(nonsense(random)));
      const original = originals[index % originals.length]!;
      decodedCount += look(index, msgpackCodec, Buffer.from(changed(original, random)));
    }
    expect(decodedCount).toBeGreaterThan(MESSAGES / 10);
  });

  test(`in JSON, seed ${SEED}`, () => {
    const random = mulberry32(SEED);
    const originals = both.map((frame) => Buffer.from(jsonCodec.encode(frame) as string));
    let decodedCount = 0;
    for (let index = 0; index < MESSAGES; index += 1) {
      decodedCount += look(index, jsonCodec, Buffer.from(nonsense(random)).toString('latin1'));
      const original = originals[index % originals.length]!;
      decodedCount += look(index, jsonCodec, Buffer.from(changed(original, random)).toString());
    }
    expect(decodedCount).toBeGreaterThan(MESSAGES / 10);
  });

  function look(index: number, codec: typeof jsonCodec, message: Uint8Array | string): number {
    try {
      const decoded = codec.decode(message);
      if (!decoded.ok) return 0;
      parseCollectorFrame(decoded.value);
      parseCoordinatorFrame(decoded.value);
      return 1;
    } catch (cause) {
      const shown = typeof message === 'string' ? message : Buffer.from(message).toString('hex');
      throw new Error(`message ${index} of seed ${SEED}: ${shown}`, { cause });
    }
  }

  function nonsense(random: () => number): number[] {
    return Array.from({ length: Math.floor(random() * 48) }, () => Math.floor(random() * 256));
  }

  /** One to four bytes replaced, left out or put in between. */
  function changed(original: Uint8Array, random: () => number): number[] {
    const bytes = Array.from(original);
    for (let change = Math.floor(random() * 4); change >= 0; change -= 1) {
      const place = Math.floor(random() * bytes.length);
      const byte = Math.floor(random() * 256);
      const kind = random();
      if (kind < 0.6) bytes[place] = byte;
      else if (kind < 0.8) bytes.splice(place, 1);
      else bytes.splice(place, 0, byte);
    }
    return bytes;
  }
});

/** Every token that a frame names: its `lease`, what `leases` lists, and the `lease` of each entry. */
function tokensOf(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === 'lease') return [inner as number];
    if (key === 'leases')
      return (inner as unknown[]).flatMap((entry) => (typeof entry === 'number' ? [entry] : tokensOf(entry)));
    return tokensOf(inner);
  });
}

/** A small generator of good enough numbers in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
