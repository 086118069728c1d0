import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent, encodeEvent, FIELDS } from './event-records.ts';
import type { LeaseEvent } from './events.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });
const RECORD = { address: 'p1:80', country: 'US', rpw: 3, resource_ids: [7], note: { any: [1, null, 'thing'] } };
const POLICY = { ttlMinMs: 200, ttlMaxMs: 604_800_000 };
const TOKEN = 2 ** 52 + 1;

/** The format on disk, which no later version of the program may read otherwise. */
const FORMAT: readonly (readonly [LeaseEvent, EventRecord])[] = [
  [
    { type: 'EpochStarted', epoch: 3, atMs: 12.5, tokenFloor: TOKEN, suspendMs: 20_000 },
    ['lease', 'EpochStarted', 1, 3, 12.5, TOKEN, 20_000],
  ],
  [{ type: 'DayTurned', day: 20_458 }, ['lease', 'DayTurned', 1, 20_458]],
  [{ type: 'TokensReserved', until: TOKEN }, ['lease', 'TokensReserved', 1, TOKEN]],
  [
    { type: 'Configured', defaultPolicy: POLICY, policies: [[7, { ...POLICY, maxLeases: 1 }]] },
    ['lease', 'Configured', 3, POLICY, [[7, { ...POLICY, maxLeases: 1 }]]],
  ],
  [
    {
      type: 'PoolStaged',
      stage: 2,
      changes: [
        ['add', 1, RECORD],
        ['update', 2, RECORD, true],
        ['remove', 3],
      ],
    },
    [
      'lease',
      'PoolStaged',
      1,
      2,
      [
        ['add', 1, RECORD],
        ['update', 2, RECORD, true],
        ['remove', 3],
      ],
    ],
  ],
  [
    { type: 'PolicySet', resource: 7, policy: { maxLeases: 1, cooldownMs: { expired: 5 } }, version: 3 },
    ['lease', 'PolicySet', 1, 7, { maxLeases: 1, cooldownMs: { expired: 5 } }, 3],
  ],
  [{ type: 'PolicyDeleted', resource: 7 }, ['lease', 'PolicyDeleted', 1, 7]],
  [{ type: 'PoolCommitted', stage: 2, source: 'hand' }, ['lease', 'PoolCommitted', 2, 2, 'hand']],
  [{ type: 'PoolDropped', stage: 2 }, ['lease', 'PoolDropped', 1, 2]],
  [{ type: 'RecordOverruled', address: 'p1:80', digest: 'd' }, ['lease', 'RecordOverruled', 1, 'p1:80', 'd']],
  [
    {
      type: 'SessionOpened',
      session: 's',
      secretHash: 'h',
      client: 'c',
      resumeWindowMs: 0,
      noticeMs: 5,
      owner: undefined,
    },
    ['lease', 'SessionOpened', 2, 's', 'h', 'c', 0, 5],
  ],
  [
    {
      type: 'SessionOpened',
      session: 's',
      secretHash: 'h',
      client: undefined,
      resumeWindowMs: 0,
      noticeMs: 0,
      owner: undefined,
    },
    ['lease', 'SessionOpened', 2, 's', 'h', null, 0, 0],
  ],
  [
    {
      type: 'SessionOpened',
      session: 's',
      secretHash: 'h',
      client: undefined,
      resumeWindowMs: 9,
      noticeMs: undefined,
      owner: { kind: 'ip', ip: '::/64' },
    },
    ['lease', 'SessionOpened', 2, 's', 'h', null, 9, null, ['ip', '::/64']],
  ],
  [
    { type: 'SessionSuspended', session: 's', untilMs: 1.5, end: 'released' },
    ['lease', 'SessionSuspended', 2, 's', 1.5, 'released'],
  ],
  [
    { type: 'SessionResumed', session: 's', resumeWindowMs: 9, noticeMs: undefined },
    ['lease', 'SessionResumed', 1, 's', 9],
  ],
  [{ type: 'SessionEnded', session: 's' }, ['lease', 'SessionEnded', 1, 's']],
  [
    {
      type: 'LeaseGranted',
      lease: TOKEN,
      resource: 7,
      addressId: 1,
      holder: { kind: 'session', session: 's' },
      request: 0,
      ttlMs: 200,
      clamped: false,
      deadlineMs: 1_201,
    },
    ['lease', 'LeaseGranted', 2, TOKEN, 7, 1, ['session', 's'], 0, 200, false, 1_201],
  ],
  [
    {
      type: 'LeaseGranted',
      lease: 5,
      resource: 7,
      addressId: 1,
      holder: { kind: 'client', client: 'c' },
      request: 9,
      ttlMs: 200,
      clamped: true,
      deadlineMs: 1_201,
      waiter: 3,
      where: { country: { eq: 'US' } },
      strategy: 'sticky',
      sticky: 'me',
      key: 'k',
      body: 'digest',
      substituteFor: 4,
      otherRequests: [8],
      isMany: true,
    },
    [
      'lease',
      'LeaseGranted',
      2,
      5,
      7,
      1,
      ['client', 'c'],
      9,
      200,
      true,
      1_201,
      3,
      { country: { eq: 'US' } },
      'sticky',
      'me',
      'k',
      'digest',
      4,
      [8],
      true,
    ],
  ],
  [
    {
      type: 'LeaseGranted',
      lease: 6,
      resource: 7,
      addressId: 1,
      holder: { kind: 'secret', secretHash: 'h', owner: { kind: 'ip', ip: '10.0.0.1' } },
      request: 0,
      ttlMs: 200,
      clamped: false,
      deadlineMs: 1_201,
    },
    ['lease', 'LeaseGranted', 2, 6, 7, 1, ['owned', 'h', 'ip', '10.0.0.1'], 0, 200, false, 1_201],
  ],
  [
    { type: 'LeaseRenewed', lease: 1, ttlMs: 200, clamped: true, deadlineMs: 1_201 },
    ['lease', 'LeaseRenewed', 1, 1, 200, true, 1_201],
  ],
  [{ type: 'LeaseReported', lease: 1, outcome: undefined, requests: 0 }, ['lease', 'LeaseReported', 1, 1, null, 0]],
  [
    { type: 'LeaseReported', lease: 1, outcome: 'banned', requests: undefined },
    ['lease', 'LeaseReported', 1, 1, 'banned'],
  ],
  [
    { type: 'LeaseEnded', lease: 1, end: 'revoked', reason: 'operator', atMs: 2.5 },
    ['lease', 'LeaseEnded', 2, 1, 'revoked', 2.5, 'operator'],
  ],
  [
    { type: 'LeaseEnded', lease: 1, end: 'expired', reason: undefined, atMs: 2.5 },
    ['lease', 'LeaseEnded', 2, 1, 'expired', 2.5],
  ],
  [
    { type: 'LeaseEnded', lease: 1, end: 'expired', reason: undefined, atMs: 2.5, coolingUntilMs: 9 },
    ['lease', 'LeaseEnded', 2, 1, 'expired', 2.5, null, 9],
  ],
  [
    { type: 'RevocationAnnounced', lease: 1, reason: 'unhealthy', atMs: 9 },
    ['lease', 'RevocationAnnounced', 1, 1, 'unhealthy', 9],
  ],
  [
    {
      type: 'AcquireQueued',
      waiter: 3,
      session: 's',
      resource: 7,
      request: 4,
      ttlMs: 200,
      atMs: 1.5,
      untilMs: 900,
      count: 2,
      key: 'k',
      body: 'digest',
    },
    ['lease', 'AcquireQueued', 1, 3, 's', 7, 4, 200, 1.5, 900, null, null, null, 2, 'k', 'digest'],
  ],
  [{ type: 'WaitRepeated', waiter: 3, request: 5, atMs: 2.5 }, ['lease', 'WaitRepeated', 1, 3, 5, 2.5]],
  [{ type: 'GrantRepeated', leases: [5, 6], request: 9 }, ['lease', 'GrantRepeated', 1, [5, 6], 9]],
  [{ type: 'WaitEnded', waiter: 3, end: 'timeout' }, ['lease', 'WaitEnded', 1, 3, 'timeout']],
  [{ type: 'CooldownEnded', resource: 7, addressId: 1 }, ['lease', 'CooldownEnded', 1, 7, 1]],
  [
    { type: 'PairQuarantined', resource: 7, addressId: 1, reason: 'banned', level: 2, atMs: 1.5, untilMs: 99 },
    ['lease', 'PairQuarantined', 1, 7, 1, 'banned', 2, 1.5, 99],
  ],
  [
    { type: 'AddressQuarantined', addressId: 1, reason: 'operator', level: 0, atMs: 1.5 },
    ['lease', 'AddressQuarantined', 1, 1, 'operator', 0, 1.5],
  ],
  [
    { type: 'PairQuarantineEnded', resource: 7, addressId: 1, isLifted: true },
    ['lease', 'PairQuarantineEnded', 1, 7, 1, true],
  ],
  [{ type: 'AddressQuarantineEnded', addressId: 1, isLifted: false }, ['lease', 'AddressQuarantineEnded', 1, 1, false]],
  [{ type: 'AddressHealthChanged', addressId: 1, isHealthy: false }, ['lease', 'AddressHealthChanged', 1, 1, false]],
  [{ type: 'AddressDrainChanged', addressId: 1, isDraining: true }, ['lease', 'AddressDrainChanged', 1, 1, true]],
  [{ type: 'SuspensionsExtended', byMs: 3_000 }, ['lease', 'SuspensionsExtended', 1, 3_000]],
  [{ type: 'ExpiryNoticed', lease: 1 }, ['lease', 'ExpiryNoticed', 1, 1]],
  [{ type: 'WaitersMatched', resource: 7, nextMs: undefined }, ['lease', 'WaitersMatched', 1, 7]],
  [{ type: 'PairReserved', waiter: 3, addressId: 1 }, ['lease', 'PairReserved', 1, 3, 1]],
  [{ type: 'ReservationsDropped', waiter: 3, addressIds: [1, 2] }, ['lease', 'ReservationsDropped', 1, 3, [1, 2]]],
  [{ type: 'QueueNoticed', resource: 7, atMs: 2.5, places: [[3, 1]] }, ['lease', 'QueueNoticed', 1, 7, 2.5, [[3, 1]]]],
];

/** As earlier versions wrote them. */
const EARLIER: readonly (readonly [LeaseEvent, EventRecord])[] = [
  [{ type: 'PoolCommitted', stage: 2, source: undefined }, ['lease', 'PoolCommitted', 1, 2]],
  [
    { type: 'SessionSuspended', session: 's', untilMs: 1.5, end: 'session_lost' },
    ['lease', 'SessionSuspended', 1, 's', 1.5, 'session_lost'],
  ],
  [
    {
      type: 'SessionOpened',
      session: 's',
      secretHash: 'h',
      client: 'c',
      resumeWindowMs: 9,
      noticeMs: 5,
      owner: undefined,
    },
    ['lease', 'SessionOpened', 1, 's', 'h', 'c', 9, 5],
  ],
  [
    { type: 'Configured', defaultPolicy: POLICY, policies: [[7, { ...POLICY, banMs: 1 }]] },
    ['lease', 'Configured', 2, POLICY, [[7, { ...POLICY, banMs: 1 }]]],
  ],
  [
    { type: 'Configured', defaultPolicy: POLICY, policies: [[7, { ...POLICY, maxLeases: 1 }]] },
    ['lease', 'Configured', 1, POLICY, [[7, { ...POLICY, maxLeases: 1 }]]],
  ],
  [
    {
      type: 'LeaseGranted',
      lease: TOKEN,
      resource: 7,
      addressId: 1,
      holder: { kind: 'session', session: 's' },
      request: 0,
      ttlMs: 200,
      clamped: false,
      deadlineMs: 1_201,
    },
    ['lease', 'LeaseGranted', 1, TOKEN, 7, 1, ['session', 's'], 0, 200, false, 1_201],
  ],
  [
    { type: 'LeaseEnded', lease: 1, end: 'revoked', reason: 'operator', atMs: 2.5 },
    ['lease', 'LeaseEnded', 1, 1, 'revoked', 2.5, 'operator'],
  ],
];

describe('an event of the lease domain', () => {
  for (const [event, record] of FORMAT) {
    it(`is written as ${JSON.stringify(record)}, and comes back from bytes`, () => {
      expect(encodeEvent(event)).toEqual(record);
      expect(decodeEvent(packr.unpack(packr.pack(record)) as EventRecord)).toEqual(event);
    });
  }

  for (const [event, record] of EARLIER) {
    it(`is read as an earlier version wrote it: ${JSON.stringify(record)}`, () => {
      expect(decodeEvent(packr.unpack(packr.pack(record)) as EventRecord)).toEqual(event);
    });
  }

  it('of a later version, another domain or an unknown name is refused', () => {
    const strange: readonly EventRecord[] = [
      ['lease', 'LeaseGranted', 3, 1],
      // More fields than that version had.
      ['lease', 'LeaseEnded', 1, 1, 'expired', 2.5, null, 9],
      ['lease', 'WaitEnded', 2, 3, 'timeout'],
      ['lease', 'LeaseGranted', 0, 1],
      ['counters', 'LeaseGranted', 1, 1],
      ['lease', 'LeaseMislaid', 1, 1],
      ['lease', 'toString', 1],
      ['lease', '__proto__', 1],
    ];
    for (const record of strange) expect(() => decodeEvent(record), String(record)).toThrow('unknown event');
  });

  it('has each field at its place, where a function of its own reads it, too', () => {
    const versions = { LeaseGranted: 2, LeaseRenewed: 1, LeaseReported: 1, LeaseEnded: 2, AcquireQueued: 1 } as const;
    for (const [type, version] of Object.entries(versions)) {
      const fields = FIELDS[type as keyof typeof versions].filter((field) => field !== 'holder');
      const event = { type, ...Object.fromEntries(fields.map((field, index) => [field, 100 + index])) };
      const whole = type === 'LeaseGranted' ? { ...event, holder: { kind: 'session', session: 's' } } : event;
      const record = encodeEvent(whole as unknown as LeaseEvent);
      expect(record.slice(0, 3)).toEqual(['lease', type, version]);
      expect(decodeEvent(record)).toEqual(whole);
    }
  });

  it('leave no field of a grant or an end behind, whichever others there are', () => {
    const grant = { lease: 1, resource: 2, addressId: 3, holder: { kind: 'session', session: 's' }, request: 4 };
    const granted = { type: 'LeaseGranted', ...grant, ttlMs: 5, clamped: false, deadlineMs: 6 } as const;
    const ended = { type: 'LeaseEnded', lease: 1, end: 'expired', atMs: 2 } as const;
    const seldom = ['waiter', 'where', 'strategy', 'sticky', 'key', 'body', 'substituteFor', 'otherRequests', 'isMany'];
    for (const field of seldom) {
      const event = { ...granted, [field]: 9 } as unknown as LeaseEvent;
      expect(decodeEvent(encodeEvent(event))).toMatchObject(event);
    }
    for (const field of ['reason', 'coolingUntilMs']) {
      const event = { ...ended, [field]: 9 } as unknown as LeaseEvent;
      expect(decodeEvent(encodeEvent(event))).toMatchObject(event);
    }
    expect(FIELDS.LeaseGranted.slice(8)).toEqual(seldom);
    expect(FIELDS.LeaseEnded.slice(3)).toEqual(['reason', 'coolingUntilMs']);
  });
});
