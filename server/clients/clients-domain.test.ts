import { describe, expect, it } from 'vitest';
import type { EventRecord } from '../coordinator/domain.ts';
import { ClientsRun } from '../testing/clients-run.ts';
import { type ClientsCommand, KEYS_PER_CLIENT_MAX } from './commands.ts';
import { describeEvent, describeRecord } from './described.ts';
import { type ClientsEvent, decodeEvent, encodeEvent } from './events.ts';
import { encodeState, restoreState } from './snapshot.ts';
import { createClientsState } from './state.ts';

const LIMIT = { capacity: 100, ratePerSec: 10 };
const create = (client: string, limit = LIMIT) => ({ type: 'CreateClient', client, limit }) as const;
const update = (fields: object) =>
  ({ type: 'UpdateClient', client: 'user1', defaultLimit: undefined, ...fields }) as ClientsCommand;

describe('a client', () => {
  it('is created once, and comes back after a restart', async () => {
    const run = new ClientsRun();
    expect(run.do(create('user1'))).toEqual({ type: 'done' });
    expect(run.do(create('user1'))).toMatchObject({ type: 'rejected', code: 'duplicate_client', path: 'client_id' });
    const { state } = await run.restart();
    expect(state.clients.get('user1')).toMatchObject({
      limit: LIMIT,
      createdUtcMs: Date.UTC(2026, 0, 5),
      updatedUtcMs: Date.UTC(2026, 0, 5),
      version: 1,
    });
    expect(state.limitedCount).toBe(1);
  });

  it('is updated part by part, and a null takes its limit away', () => {
    const run = new ClientsRun();
    run.do(create('user1'));
    run.clock.move(1_000);
    expect(run.do(update({ capacity: 5 }))).toEqual({ type: 'done' });
    const client = run.state.clients.get('user1')!;
    expect(client).toMatchObject({ limit: { capacity: 5, ratePerSec: 10 }, version: 2 });
    expect(client.updatedUtcMs - client.createdUtcMs).toBe(1_000);
    expect(run.do(update({ capacity: 5 }))).toEqual({ type: 'done' });
    expect(client.version).toBe(2);
    expect(run.do(update({ ratePerSec: null }))).toEqual({ type: 'done' });
    expect(client).toMatchObject({ limit: undefined, version: 3 });
    expect(run.state.limitedCount).toBe(0);
  });

  it('has a whole limit or none', () => {
    const run = new ClientsRun();
    run.do({ type: 'CreateClient', client: 'user1' });
    expect(run.do(update({ capacity: 5 }))).toMatchObject({ code: 'bad_field', path: 'rate_per_sec' });
    expect(run.do(update({ ratePerSec: 5 }))).toMatchObject({ code: 'bad_field', path: 'capacity' });
    expect(run.do(update({ capacity: null, ratePerSec: 5 }))).toMatchObject({
      code: 'bad_field',
      path: 'rate_per_sec',
    });
    expect(run.do(update({ capacity: 5, defaultLimit: LIMIT }))).toEqual({ type: 'done' });
    expect(run.state.clients.get('user1')!.limit).toEqual({ capacity: 5, ratePerSec: 10 });
  });

  it('that is unknown is neither updated nor deleted, and gets no key', () => {
    const run = new ClientsRun();
    const { key, secretHash } = run.makeKey();
    for (const command of [
      update({ capacity: 5 }),
      { type: 'DeleteClient', client: 'user1' },
      { type: 'IssueKey', client: 'user1', role: 'collector', key, secretHash },
    ] as const) {
      expect(run.do(command)).toMatchObject({ type: 'rejected', code: 'unknown_client' });
    }
  });

  it('takes its keys with it, and whoever came with one is told of', async () => {
    const run = new ClientsRun();
    const keys = [run.issue('user1'), run.issue('user1', 'operator')];
    run.issue('user2');
    expect(run.do({ type: 'DeleteClient', client: 'user1', hasAdminKey: true })).toEqual({ type: 'done' });
    await run.scheduler.advance(10);
    expect(run.notices).toEqual(keys.map(({ key }) => ({ type: 'KeyEnded', key, client: 'user1' })));
    const { state } = await run.restart();
    expect([...state.keys.values()].map(({ client }) => client)).toEqual(['user2']);
    expect(state.operatorKeys.size).toBe(0);
  });
});

describe('an API key', () => {
  it('is for clients that aren’t known otherwise', () => {
    const run = new ClientsRun();
    for (const client of ['10.0.0.1', '2001:db8::/64', 'admin']) {
      expect(() => run.issue(client)).toThrow('it has no keys');
    }
  });

  it(`is one of at most ${KEYS_PER_CLIENT_MAX}`, () => {
    const run = new ClientsRun();
    const keys = Array.from({ length: KEYS_PER_CLIENT_MAX }, () => run.issue('user1'));
    expect(() => run.issue('user1')).toThrow('at most 16 keys');
    const { key: newKey, secretHash: newSecretHash } = run.makeKey();
    const rotate = { type: 'RotateKey', client: 'user1', key: keys[0]!.key, newKey, newSecretHash } as const;
    expect(run.do({ ...rotate, overlapMs: 1_000 })).toMatchObject({ code: 'too_many' });
    expect(run.do({ ...rotate, overlapMs: 0 })).toEqual({ type: 'done' });
    run.do({ type: 'RevokeKey', client: 'user1', key: keys[1]!.key });
    expect(() => run.issue('user1')).not.toThrow();
  });

  it('is revoked by its own client’s name only', async () => {
    const run = new ClientsRun();
    const { key } = run.issue('user1');
    run.issue('user2');
    expect(run.do({ type: 'RevokeKey', client: 'user2', key })).toMatchObject({ code: 'unknown_key' });
    expect(run.do({ type: 'RevokeKey', client: 'user1', key })).toEqual({ type: 'done' });
    expect(run.do({ type: 'RevokeKey', client: 'user1', key })).toMatchObject({ code: 'unknown_key' });
    await run.scheduler.advance(10);
    expect(run.notices).toEqual([{ type: 'KeyEnded', key, client: 'user1' }]);
  });

  it('is kept where it is the last of an operator, and there is none in the configuration either', () => {
    const run = new ClientsRun();
    const { key } = run.issue('ops', 'operator');
    const { key: collector } = run.issue('ops');
    const revoke = (which: string) => ({ type: 'RevokeKey', client: 'ops', key: which }) as const;
    const remove = { type: 'DeleteClient', client: 'ops' } as const;
    const refused = { code: 'last_operator_key', message: expect.stringContaining('LEASEHOLD_ADMIN_KEY') as string };
    expect([run.do(revoke(key)), run.do(remove)]).toMatchObject([refused, refused]);
    expect(run.do(revoke(collector))).toEqual({ type: 'done' });
    // Replaced: the new one is the last. The old one, which runs out, is none.
    const { key: newKey, secretHash: newSecretHash } = run.makeKey();
    run.do({ type: 'RotateKey', client: 'ops', key, overlapMs: 60_000, newKey, newSecretHash });
    expect([run.do(revoke(newKey)), run.do(remove)]).toMatchObject([refused, refused]);
    expect(run.do(revoke(key))).toEqual({ type: 'done' });
    const { key: last, secretHash } = run.makeKey();
    const replaced = { type: 'RotateKey', client: 'ops', key: newKey, overlapMs: 0, newKey: last } as const;
    expect(run.do({ ...replaced, newSecretHash: secretHash })).toEqual({ type: 'done' });
    run.issue('other', 'operator');
    expect(run.do(remove)).toEqual({ type: 'done' });
    expect(run.do({ ...remove, client: 'other' })).toMatchObject(refused);
    expect(run.do({ ...remove, client: 'other', hasAdminKey: true })).toEqual({ type: 'done' });
    expect(run.state.operatorKeys.size).toBe(0);
  });

  it('that is replaced ends when its overlap is over by the wall clock, and whoever came with it is told of then', async () => {
    const run = new ClientsRun();
    const { key } = run.issue('user1', 'operator');
    const { key: newKey, secretHash: newSecretHash } = run.makeKey();
    run.do({ type: 'RotateKey', client: 'user1', key, overlapMs: 60_000, newKey, newSecretHash });
    expect(run.state.keys.get(newKey)).toMatchObject({ role: 'operator', endsUtcMs: undefined });
    await run.scheduler.advance(59_000);
    expect(run.notices).toEqual([]);
    await run.scheduler.advance(1_001);
    expect(run.notices).toEqual([{ type: 'KeyEnded', key, client: 'user1' }]);
    expect([...run.state.keys.keys()]).toEqual([newKey]);
  });

  it('ends while nobody is there, and within a minute of a wall clock that is set', async () => {
    const run = new ClientsRun();
    const ends = ['user1', 'user2'].map((client) => {
      const { key } = run.issue(client);
      const { key: newKey, secretHash: newSecretHash } = run.makeKey();
      const overlapMs = client === 'user1' ? 60_000 : 86_400_000;
      run.do({ type: 'RotateKey', client, key, overlapMs, newKey, newSecretHash });
      return key;
    });
    await run.scheduler.advance(10);
    run.clock.setWall(run.clock.utcMs() + 60_000);
    const after = await run.restart();
    await after.scheduler.advance(10);
    expect(after.notices.map(({ key }) => key)).toEqual([ends[0]]);
    after.clock.setWall(after.clock.utcMs() + 86_400_000);
    await after.scheduler.advance(60_000);
    expect(after.notices.map(({ key }) => key)).toEqual(ends);
    expect(after.state.ending.size).toBe(0);
  });
});

describe('the clients domain', () => {
  it('takes nothing new while the disk is nearly full, and lets everything end', () => {
    const run = new ClientsRun();
    const { key } = run.issue('user1');
    run.do({ type: 'SetStorage', level: 'low' });
    const { key: newKey, secretHash } = run.makeKey();
    for (const command of [
      create('user2'),
      update({ capacity: 1, ratePerSec: 1 }),
      { type: 'IssueKey', client: 'user1', role: 'collector', key: newKey, secretHash },
      { type: 'RotateKey', client: 'user1', key, overlapMs: 0, newKey, newSecretHash: secretHash },
    ] as const) {
      expect(run.do(command)).toMatchObject({ code: 'storage_full', retryAfterMs: 1_000 });
    }
    expect(run.do({ type: 'RevokeKey', client: 'user1', key })).toEqual({ type: 'done' });
    expect(run.do({ type: 'DeleteClient', client: 'user1' })).toEqual({ type: 'done' });
  });

  it('keeps levels slice by slice, and forgets those that are full', async () => {
    const run = new ClientsRun();
    const levels = Array.from(
      { length: 1_200 },
      (_, index) => [`10.0.0.${index}`, { tokens: 0.5, atMs: 7.25 }] as const,
    );
    run.clients.execute({ type: 'KeepLevels', levels, forgotten: [] }, () => {});
    expect(run.state.levels.size).toBe(500);
    await run.scheduler.advance(10);
    run.clients.execute({ type: 'KeepLevels', levels: [], forgotten: levels.slice(1).map(([name]) => name) }, () => {});
    const { state } = await run.restart();
    expect([...state.levels]).toEqual([levels[0]]);
  });
});

/** The format on disk, which no later version of the program may read otherwise. */
const HASH = 'ab'.repeat(32);
const FORMAT: readonly (readonly [ClientsEvent, EventRecord])[] = [
  [
    { type: 'ClientCreated', client: 'user1', atMs: 7.5, utcMs: 1_700, capacity: 100, ratePerSec: 0.5 },
    ['clients', 'ClientCreated', 1, 'user1', 7.5, 1_700, 100, 0.5],
  ],
  [
    { type: 'ClientCreated', client: 'user1', atMs: 7, utcMs: 8, capacity: undefined, ratePerSec: undefined },
    ['clients', 'ClientCreated', 1, 'user1', 7, 8],
  ],
  [
    { type: 'ClientUpdated', client: 'user1', atMs: 7, utcMs: 8, capacity: 1, ratePerSec: 0 },
    ['clients', 'ClientUpdated', 1, 'user1', 7, 8, 1, 0],
  ],
  [{ type: 'ClientDeleted', client: 'user1' }, ['clients', 'ClientDeleted', 1, 'user1']],
  [
    { type: 'KeyIssued', key: 'k1', client: 'user1', role: 'operator', secretHash: HASH, utcMs: 9 },
    ['clients', 'KeyIssued', 1, 'k1', 'user1', 'operator', HASH, 9],
  ],
  [{ type: 'KeyRetired', key: 'k1', endsUtcMs: 99 }, ['clients', 'KeyRetired', 1, 'k1', 99]],
  [{ type: 'KeyEnded', key: 'k1', end: 'expired' }, ['clients', 'KeyEnded', 1, 'k1', 'expired']],
  [
    { type: 'LevelsKept', levels: [['10.0.0.1', 2.5, 77.25]], forgotten: ['user1'] },
    ['clients', 'LevelsKept', 1, [['10.0.0.1', 2.5, 77.25]], ['user1']],
  ],
];

describe('an event of the clients domain', () => {
  it.each(FORMAT)('is written as it was: %o', (event, record) => {
    expect(encodeEvent(event)).toEqual(record);
    expect(decodeEvent(record)).toEqual(event);
  });

  it('of a kind or version that is unknown is refused', () => {
    expect(() => decodeEvent(['clients', 'ClientBlessed', 1])).toThrow('newer version');
    expect(() => decodeEvent(['clients', 'ClientDeleted', 2, 'user1'])).toThrow('newer version');
    expect(() => decodeEvent(['clients', 'ClientDeleted', 1, 'user1', 1])).toThrow('newer version');
    expect(() => restoreState(createClientsState(), ['client', 2])).toThrow('newer version');
    expect(() => restoreState(createClientsState(), ['face', 1])).toThrow('newer version');
  });

  it('is shown without the hash of a secret, and so is what a snapshot holds', () => {
    const issued = FORMAT.find(([{ type }]) => type === 'KeyIssued')![1];
    expect(describeEvent(issued)).toEqual({
      key: 'k1',
      client: 'user1',
      role: 'operator',
      secret_hash: '***',
      utc_ms: 9,
    });
    const run = new ClientsRun();
    run.do(create('user1'));
    run.issue('user1');
    run.do({ type: 'KeepLevels', levels: [['user1', { tokens: 1.5, atMs: 3 }]], forgotten: [] });
    const described = [...encodeState(run.state)].flatMap(describeRecord);
    expect(described).toMatchObject([
      {
        kind: 'client',
        version: 1,
        fields: { client: 'user1', limit: { capacity: 100, rate_per_sec: 10 }, changes: 1 },
      },
      { kind: 'key', version: 1, fields: { client: 'user1', role: 'collector', secret_hash: '***' } },
      { kind: 'levels', version: 1, fields: { levels: [{ client: 'user1', tokens: 1.5, at_ms: 3 }] } },
    ]);
    const [key] = run.state.keys.values();
    expect(JSON.stringify(described)).not.toContain(key!.secretHash);
  });
});
