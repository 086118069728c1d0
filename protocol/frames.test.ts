import { describe, expect, test } from 'vitest';
import { CLOSE, shouldReconnect } from './codes.ts';
import { parseCollectorFrame, parseCoordinatorFrame } from './frames.ts';
import { COUNT_MAX, ERROR_TEXT_MAX, NAME_LENGTH_MAX, RENEW_LEASES_MAX, REQUESTS_MAX, WAIT_MS_MAX } from './limits.ts';

const hello = { type: 'hello', id: 1, protocol: 1 };
const acquire = { type: 'acquire', id: 1, resource: 7, ttl_ms: 60_000 };
const release = { type: 'release', id: 1, lease: 5 };
const address = { address: 'a:1', country: 'US', rpw: 0, resource_ids: [7] };
const granted = { type: 'granted', id: 2, lease: 5, resource: 7, address, ttl_ms: 60_000 };
const longestName = 'x'.repeat(NAME_LENGTH_MAX);

describe('a collector’s frame', () => {
  test.each<object>([
    hello,
    { ...hello, client: longestName, api_key: longestName, resume_window_ms: 0, notice_ms: 0, batch: false },
    { ...hello, protocol: 2 },
    { ...hello, resume: { session: 's', secret: 'x' } },
    acquire,
    { ...acquire, id: 0, ttl_ms: 1 },
    { ...acquire, id: Number.MAX_SAFE_INTEGER, ttl_ms: Number.MAX_SAFE_INTEGER },
    { ...acquire, strategy: 'sticky', sticky: 'a', wait_ms: 0, count: COUNT_MAX, key: longestName, where: {} },
    { ...acquire, sticky: longestName, wait_ms: WAIT_MS_MAX },
    { ...acquire, strategy: 'random' },
    { ...acquire, type: 'explain' },
    { ...acquire, type: 'explain', strategy: 'sticky', sticky: 'a', wait_ms: 1, count: 2, key: 'k' },
    { type: 'cancel', id: 1, request: 0 },
    { type: 'renew', id: 1, lease: 5 },
    { type: 'renew', id: 1, lease: Number.MAX_SAFE_INTEGER, ttl_ms: 1 },
    { type: 'renew', id: 1, leases: Array(RENEW_LEASES_MAX).fill(5) },
    release,
    { ...release, outcome: 'failed', requests: 0 },
    { ...release, type: 'report', outcome: 'ok', requests: REQUESTS_MAX },
    { type: 'count', id: 1, counter: 'pages', by: 0 },
    { type: 'count', id: 1, counter: 'pages', by: Number.MIN_SAFE_INTEGER, key: 'k' },
    { type: 'ping', id: 1 },
    { type: 'bye' },
    { type: 'bye', id: 1 },
  ])('is taken: %j', (frame) => {
    expect(parseCollectorFrame(frame)).toEqual({ ok: true, frame });
  });

  test.each<[frame: object, path: string, message: string]>([
    [{ type: 'hello', id: 1 }, 'protocol', 'missing'],
    [{ ...hello, protocol: '1' }, 'protocol', 'Invalid type: Expected number but received "1"'],
    [{ ...hello, client: '' }, 'client', 'Invalid length: Expected >=1 but received 0'],
    [{ ...hello, api_key: `${longestName}x` }, 'api_key', 'Invalid length: Expected <=256 but received 257'],
    [{ ...hello, resume_window_ms: -1 }, 'resume_window_ms', 'Invalid value: Expected >=0 but received -1'],
    [{ ...hello, batch: 1 }, 'batch', 'Invalid type: Expected boolean but received 1'],
    [{ ...hello, resume: { session: 's' } }, 'resume.secret', 'missing'],
    [{ ...hello, resume: { session: 's', secret: 'x', id: 1 } }, 'resume.id', 'unknown field'],
    [{ ...hello, resume: [] }, 'resume.session', 'missing'],
    [{ ...hello, resume: null }, 'resume', 'Invalid type: Expected Object but received null'],
    [{ type: 'acquire', id: 1, resource: 7 }, 'ttl_ms', 'missing'],
    [{ ...acquire, ttl_ms: 0 }, 'ttl_ms', 'Invalid value: Expected >=1 but received 0'],
    [{ ...acquire, ttl_ms: -60_000 }, 'ttl_ms', 'Invalid value: Expected >=1 but received -60000'],
    [{ ...acquire, ttl_ms: 0.5 }, 'ttl_ms', 'Invalid integer: Received 0.5'],
    [{ ...acquire, ttl_ms: 2 ** 53 }, 'ttl_ms', 'Invalid integer: Received 9007199254740992'],
    [{ ...acquire, ttl_ms: Number.POSITIVE_INFINITY }, 'ttl_ms', 'Invalid integer: Received Infinity'],
    [{ ...acquire, ttl_ms: Number.NaN }, 'ttl_ms', 'Invalid type: Expected number but received NaN'],
    [{ ...acquire, ttl_ms: null }, 'ttl_ms', 'Invalid type: Expected number but received null'],
    [{ ...acquire, ttl_ms: '60s' }, 'ttl_ms', 'Invalid type: Expected number but received "60s"'],
    [{ ...acquire, ttl_ms: true }, 'ttl_ms', 'Invalid type: Expected number but received true'],
    [{ ...acquire, resource: 0 }, 'resource', 'Invalid value: Expected >=1 but received 0'],
    [{ ...acquire, resource: '7' }, 'resource', 'Invalid type: Expected number but received "7"'],
    [{ ...acquire, wher: { country: { eq: 'US' } } }, 'wher', 'unknown field'],
    [{ ...acquire, constructor: 1 }, 'constructor', 'unknown field'],
    [{ ...acquire, key: '' }, 'key', 'Invalid length: Expected >=1 but received 0'],
    [{ ...acquire, key: 5 }, 'key', 'Invalid type: Expected string but received 5'],
    [{ ...acquire, count: 0 }, 'count', 'Invalid value: Expected >=1 but received 0'],
    [
      { ...acquire, count: COUNT_MAX + 1 },
      'count',
      `Invalid value: Expected <=${COUNT_MAX} but received ${COUNT_MAX + 1}`,
    ],
    [
      { ...acquire, wait_ms: WAIT_MS_MAX + 1 },
      'wait_ms',
      `Invalid value: Expected <=${WAIT_MS_MAX} but received ${WAIT_MS_MAX + 1}`,
    ],
    [{ ...acquire, strategy: 'sticky' }, 'sticky', 'the strategy sticky goes by it, and no other does'],
    [{ ...acquire, strategy: 'random', sticky: 'a' }, 'sticky', 'the strategy sticky goes by it, and no other does'],
    [
      { ...acquire, type: 'explain', strategy: 'sticky' },
      'sticky',
      'the strategy sticky goes by it, and no other does',
    ],
    [{ ...acquire, type: 'explain', ttl_ms: 0 }, 'ttl_ms', 'Invalid value: Expected >=1 but received 0'],
    [{ ...acquire, type: 'explain', where: { and: [{ x: 1 }] } }, 'where.and[0].x', 'unknown field'],
    [{ type: 'cancel', id: 1 }, 'request', 'missing'],
    [{ type: 'renew', id: 1 }, 'lease', 'give either lease or leases'],
    [{ type: 'renew', id: 1, lease: 5, leases: [6] }, 'lease', 'give either lease or leases'],
    [{ type: 'renew', id: 1, leases: [] }, 'leases', 'Invalid length: Expected >=1 but received 0'],
    [{ type: 'renew', id: 1, leases: [5, '6'] }, 'leases[1]', 'Invalid type: Expected number but received "6"'],
    [
      { type: 'renew', id: 1, leases: Array(RENEW_LEASES_MAX + 1).fill(5) },
      'leases',
      'Invalid length: Expected <=1000 but received 1001',
    ],
    [{ type: 'renew', id: 1, lease: 5, ttl_ms: 0 }, 'ttl_ms', 'Invalid value: Expected >=1 but received 0'],
    [{ type: 'release', id: 1 }, 'lease', 'missing'],
    [{ ...release, lease: -5 }, 'lease', 'Invalid value: Expected >=1 but received -5'],
    [{ ...release, lease: 2 ** 60 }, 'lease', 'Invalid integer: Received 1152921504606847000'],
    [
      { ...release, outcome: 'good' },
      'outcome',
      'Invalid type: Expected ("ok" | "failed" | "banned") but received "good"',
    ],
    [{ ...release, requests: -1 }, 'requests', 'Invalid value: Expected >=0 but received -1'],
    [{ ...release, ttl_ms: 5 }, 'ttl_ms', 'unknown field'],
    [
      { ...release, requests: REQUESTS_MAX + 1 },
      'requests',
      `Invalid value: Expected <=${REQUESTS_MAX} but received ${REQUESTS_MAX + 1}`,
    ],
    [{ type: 'count', id: 1, counter: 'pages' }, 'by', 'missing'],
    [{ type: 'count', id: 1, counter: 'pages', by: 0.1 }, 'by', 'Invalid integer: Received 0.1'],
    [{ type: 'ping', id: 1, data: 'x' }, 'data', 'unknown field'],
    [{ type: 'bye', id: 1, reason: 'x' }, 'reason', 'unknown field'],
    [{ id: 1 }, 'type', 'missing'],
    [{ type: 5, id: 1 }, 'type', 'a frame names its type'],
  ])('is refused: %j at %s', (frame, path, message) => {
    const fault = { code: 'bad_field', path, message: `${path}: ${message}`, id: 1 };
    expect(parseCollectorFrame(frame)).toEqual({ ok: false, fault });
  });

  test.each(['aquire', '', 'granted', 'constructor', '__proto__', 'toString'])('of type %j is unknown', (type) => {
    const fault = { code: 'unknown_type', path: 'type', message: `type: unknown type "${type}"`, id: 3 };
    expect(parseCollectorFrame({ type, id: 3 })).toEqual({ ok: false, fault });
  });

  test.each<unknown>([undefined, null, 5, 'hello', true, [], [hello], new Uint8Array(2), Buffer.from('{}')])(
    'is a map: %j is none',
    (value) => {
      expect(parseCollectorFrame(value)).toEqual({
        ok: false,
        fault: { code: 'bad_frame', message: 'a frame is a map' },
      });
    },
  );

  test.each<unknown>([undefined, null, -1, 1.5, '1', Number.NaN, 2 ** 53, [1]])(
    'is answered without the id %j',
    (id) => {
      const parsed = parseCollectorFrame({ ...acquire, id });
      expect(parsed).toMatchObject({ ok: false, fault: { code: 'bad_field', path: 'id' } });
      expect(!parsed.ok && 'id' in parsed.fault).toBe(false);
    },
  );

  test('is answered with its id whatever else is wrong', () => {
    expect(parseCollectorFrame({ ...acquire, id: 9, resource: null })).toMatchObject({ fault: { id: 9 } });
    expect(parseCollectorFrame({ id: 9 })).toMatchObject({ fault: { id: 9 } });
    expect(parseCollectorFrame({ type: 'nothing', id: 9 })).toMatchObject({ fault: { id: 9 } });
  });

  test('gets no more of its own text back than is bounded', () => {
    const long = 'x'.repeat(60_000);
    for (const frame of [
      { ...acquire, [long]: 1 },
      { ...acquire, ttl_ms: long },
      { ...acquire, where: { labels: { [long]: {} } } },
      { type: long },
    ]) {
      const parsed = parseCollectorFrame(frame);
      if (parsed.ok) throw new Error('taken');
      expect(parsed.fault.message).toHaveLength(ERROR_TEXT_MAX);
      expect(parsed.fault.message.endsWith('…')).toBe(true);
      expect(parsed.fault.path?.length).toBeLessThanOrEqual(ERROR_TEXT_MAX);
    }
  });
});

describe('a frame of the coordinator', () => {
  test('may carry fields that are not known yet, and they are passed over', () => {
    expect(parseCoordinatorFrame({ ...granted, colour: 'blue' })).toEqual({ ok: true, frame: granted });
    const why = { states: { leased: 1, dreaming: 2 }, excluded: 0, mood: 1 };
    expect(parseCoordinatorFrame({ type: 'refused', id: 2, reason: 'max_leases', why })).toEqual({
      ok: true,
      frame: { type: 'refused', id: 2, reason: 'max_leases', why: { states: { leased: 1 }, excluded: 0 } },
    });
  });

  test('keeps whatever an address record carries', () => {
    const record = { ...address, weight: 2, labels: { kind: 'mobile' }, notes: [null, { a: 1 }] };
    expect(parseCoordinatorFrame({ ...granted, address: record })).toMatchObject({ frame: { address: record } });
  });

  test.each<[frame: object, path: string, message: string]>([
    [{ type: 'granted', id: 2 }, 'lease', 'missing'],
    [{ ...granted, lease: '5' }, 'lease', 'Invalid type: Expected number but received "5"'],
    [{ ...granted, address: 'a:1' }, 'address', 'Invalid type: Expected Object but received "a:1"'],
    [{ ...granted, address: { ...address, rpw: -1 } }, 'address.rpw', 'Invalid value: Expected >=0 but received -1'],
    [
      { type: 'granted', id: 2, leases: [{ ...granted, lease: 0 }] },
      'leases[0].lease',
      'Invalid value: Expected >=1 but received 0',
    ],
    [{ type: 'renewed', id: 2, leases: [{ lease: 5, ttl_ms: 1 }, { lease: 5 }] }, 'leases[1].ttl_ms', 'missing'],
    [{ type: 'cancelled', id: 2, leases: [5, '6'] }, 'leases[1]', 'Invalid type: Expected number but received "6"'],
    [{ type: 'expiring', lease: 5 }, 'remaining_ms', 'missing'],
    [{ type: 'revoked', lease: 5, reason: 'x', substitute: {} }, 'substitute.lease', 'missing'],
    [{ type: 'refused', id: 2, reason: 'slowed', why: {} }, 'why.states', 'missing'],
  ])('is refused: %j at %s', (frame, path, message) => {
    expect(parseCoordinatorFrame(frame)).toMatchObject({
      ok: false,
      fault: { code: 'bad_field', path, message: `${path}: ${message}` },
    });
  });

  test.each([
    { type: 'refused', id: 2, reason: 'mood', why: { states: {}, excluded: 0 } },
    { type: 'error', id: 2, code: 'tired', message: 'later' },
  ])('is read with a word of a later version: %j', (frame) => {
    expect(parseCoordinatorFrame(frame)).toMatchObject({ ok: true, frame });
  });

  test('is not one of a collector', () => {
    expect(parseCoordinatorFrame(acquire)).toMatchObject({ ok: false, fault: { code: 'unknown_type' } });
  });
});

describe('close codes', () => {
  test('say whether to come back', () => {
    const comeBack = Object.entries(CLOSE).filter(([, code]) => shouldReconnect(code));
    expect(comeBack.map(([name]) => name)).toEqual(['goingAway', 'slowReader', 'helloTimeout', 'overloaded']);
    expect([1001, 1005, 1006, 1009, 1011, 4000, 4499].every(shouldReconnect)).toBe(true);
    expect([1000, 4500, 4999].some(shouldReconnect)).toBe(false);
  });
});
