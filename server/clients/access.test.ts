import { describe, expect, it } from 'vitest';
import { ClientsRun } from '../testing/clients-run.ts';
import type { Access, Caller } from './access.ts';

const ADMIN_KEY = 'correct horse';
const from = (remoteAddress: string, key?: string) => ({ key, remoteAddress });
const collector = (client: string): Caller => ({ client, isAuthenticated: false, role: 'collector', key: undefined });

/** How many of `tries` pass. */
function passes(access: Access, caller: Caller, tries: number): number {
  let passed = 0;
  for (let one = 0; one < tries; one += 1) if (access.take(caller).ok) passed += 1;
  return passed;
}

describe('who is asking', () => {
  it('is an IP where no key is needed and none is given, IPv6 by its /64', () => {
    const { access } = new ClientsRun();
    expect(access.identify(from('10.0.0.1'))).toEqual(collector('10.0.0.1'));
    expect(access.identify(from('2001:db8:1:2:3::4'))).toEqual(collector('2001:db8:1:2::/64'));
  });

  it('is nobody without a key where one is needed', () => {
    const { access } = new ClientsRun({ needsKey: true });
    expect(access.identify(from('10.0.0.1'))).toBeUndefined();
  });

  it.each([true, false])('is the client of its key, be a key needed or not (%s)', (needsKey) => {
    const run = new ClientsRun({ needsKey });
    const { text, key } = run.issue('user1');
    const { text: operator } = run.issue('ops', 'operator');
    expect(run.access.identify(from('10.0.0.1', text))).toEqual({
      client: 'user1',
      isAuthenticated: true,
      role: 'collector',
      key,
    });
    expect(run.access.identify(from('10.0.0.1', operator))).toMatchObject({ client: 'ops', role: 'operator' });
  });

  it.each([true, false])('is nobody with a key that is none, be one needed or not (%s)', (needsKey) => {
    const run = new ClientsRun({ needsKey, adminKey: ADMIN_KEY });
    const { text, key } = run.issue('user1');
    const other = run.makeKey();
    const revoked = run.issue('user1');
    run.do({ type: 'RevokeKey', client: 'user1', key: revoked.key });
    const wrong = [
      '',
      'x',
      text.slice(0, -1),
      `${text}x`,
      text.replace(key, other.key),
      other.text,
      revoked.text,
      'Correct horse',
    ];
    for (const given of wrong) expect(run.access.identify(from('10.0.0.1', given))).toBeUndefined();
  });

  it('is the admin with the key of the configuration', () => {
    const { access } = new ClientsRun({ adminKey: ADMIN_KEY });
    expect(access.identify(from('10.0.0.1', ADMIN_KEY))).toEqual({
      client: 'admin',
      isAuthenticated: true,
      role: 'operator',
      key: undefined,
    });
  });

  it('is the same by the old key until its overlap is over, and by the new one', () => {
    const run = new ClientsRun();
    const { text, key } = run.issue('user1');
    const { text: newText, key: newKey, secretHash: newSecretHash } = run.makeKey();
    run.do({ type: 'RotateKey', client: 'user1', key, overlapMs: 5_000, newKey, newSecretHash });
    run.clock.move(4_999);
    expect(run.access.identify(from('10.0.0.1', text))).toMatchObject({ client: 'user1', key });
    expect(run.access.identify(from('10.0.0.1', newText))).toMatchObject({ client: 'user1', key: newKey });
    run.clock.move(1);
    expect(run.access.identify(from('10.0.0.1', text))).toBeUndefined();
  });

  it('may be an operator where there is a good key of one', () => {
    expect(new ClientsRun({ adminKey: ADMIN_KEY }).access.hasOperatorKey()).toBe(true);
    const run = new ClientsRun();
    run.issue('user1');
    expect(run.access.hasOperatorKey()).toBe(false);
    const { key } = run.issue('ops', 'operator');
    expect(run.access.hasOperatorKey()).toBe(true);
    run.do({ type: 'RevokeKey', client: 'ops', key, hasAdminKey: true });
    expect(run.access.hasOperatorKey()).toBe(false);
  });

  it('is tried so often only where an IP is limited; keys of ours are looked at all the same', () => {
    const run = new ClientsRun({ adminKey: ADMIN_KEY, defaultLimit: { capacity: 3, ratePerSec: 1 } });
    const { text } = run.issue('user1');
    const { access } = run;
    for (let guess = 0; guess < 3; guess += 1) access.identify(from('10.0.0.1', `guess ${guess}`));
    expect(access.identify(from('10.0.0.1', ADMIN_KEY))).toBeUndefined();
    expect(access.identify(from('10.0.0.1', text))).toMatchObject({ client: 'user1' });
    expect(access.identify(from('10.0.0.2', ADMIN_KEY))).toMatchObject({ client: 'admin' });
    // Whoever asks from there without a key has all that it may ask.
    expect(passes(access, collector('10.0.0.1'), 10)).toBe(3);
    run.clock.move(1_000);
    expect(access.identify(from('10.0.0.1', ADMIN_KEY))).toMatchObject({ client: 'admin' });
  });
});

describe('how much a client may ask', () => {
  it('is without a bound where none is set, and leaves nothing behind', () => {
    const run = new ClientsRun();
    const taken = run.access.take(collector('10.0.0.1'));
    expect(taken).toEqual({ ok: true });
    expect(run.access.tokensOf('10.0.0.1')).toBeUndefined();
    run.do({ type: 'CreateClient', client: 'user1', limit: { capacity: 1, ratePerSec: 1 } });
    expect(passes(run.access, collector('10.0.0.1'), 100)).toBe(100);
    expect(run.access.changedLevels()).toBeUndefined();
  });

  it('is the default, or what was set for it, by IP too', () => {
    const run = new ClientsRun({ defaultLimit: { capacity: 5, ratePerSec: 2 } });
    run.do({ type: 'CreateClient', client: '10.0.0.1', limit: { capacity: 2, ratePerSec: 1 } });
    expect(passes(run.access, collector('10.0.0.1'), 10)).toBe(2);
    expect(passes(run.access, collector('10.0.0.2'), 10)).toBe(5);
    expect(run.access.take(collector('10.0.0.2'))).toEqual({
      ok: false,
      limit: { capacity: 5, remaining: 0, resetMs: 2_500 },
      retryAfterMs: 500,
    });
    run.clock.move(500);
    expect(run.access.take(collector('10.0.0.2'))).toEqual({
      ok: true,
      limit: { capacity: 5, remaining: 0, resetMs: 2_500 },
    });
    expect(run.access.tokensOf('10.0.0.1')).toBe(0.5);
  });

  it('follows what an operator sets from that moment on, and not before', () => {
    const run = new ClientsRun();
    run.do({ type: 'CreateClient', client: 'user1', limit: { capacity: 10, ratePerSec: 1 } });
    const user = { ...collector('user1'), isAuthenticated: true };
    expect(passes(run.access, user, 20)).toBe(10);
    run.clock.move(2_000);
    const raise = {
      type: 'UpdateClient',
      client: 'user1',
      capacity: 100,
      ratePerSec: 10,
      defaultLimit: undefined,
    } as const;
    run.do(raise);
    run.clock.move(1_000);
    // Two seconds at one, one second at ten.
    expect(run.access.tokensOf('user1')).toBe(12);
    expect(passes(run.access, user, 20)).toBe(12);
    run.clock.move(5_000);
    run.do({ ...raise, capacity: 3 });
    expect(passes(run.access, user, 20)).toBe(3);
    run.do({ ...raise, capacity: null, ratePerSec: null });
    expect(passes(run.access, user, 20)).toBe(20);
  });

  it('comes back after a restart as it was kept, filled by the time since, and what is full isn’t kept', async () => {
    const run = new ClientsRun({ defaultLimit: { capacity: 100, ratePerSec: 1 } });
    passes(run.access, collector('10.0.0.1'), 60);
    passes(run.access, collector('10.0.0.2'), 5);
    run.clients.execute(run.access.changedLevels()!, () => {});
    expect(run.access.changedLevels()).toBeUndefined();
    run.clock.move(10_000);
    const after = await run.restart();
    expect(after.access.tokensOf('10.0.0.1')).toBe(50.01);
    expect(after.access.tokensOf('10.0.0.2')).toBe(100);
    passes(after.access, collector('10.0.0.3'), 1);
    expect(after.access.changedLevels()).toEqual({
      type: 'KeepLevels',
      levels: [['10.0.0.3', { tokens: 99, atMs: after.clock.nowMs() }]],
      forgotten: ['10.0.0.2'],
    });
  });

  it('is kept for so many clients only: the one that asked longest ago may start anew', () => {
    const run = new ClientsRun({ defaultLimit: { capacity: 2, ratePerSec: 1 }, bucketsMax: 3 });
    for (const client of ['a', 'b', 'c', 'a']) run.access.take(collector(client));
    run.access.take(collector('d'));
    expect(['a', 'b', 'c', 'd'].map((client) => run.access.tokensOf(client))).toEqual([0, 2, 1, 1]);
    // What is full by itself goes first, whoever asked last.
    run.clock.move(1_000);
    run.access.take(collector('a'));
    run.access.take(collector('e'));
    expect(['a', 'e'].map((client) => run.access.tokensOf(client))).toEqual([0, 1]);
    run.clients.execute(run.access.changedLevels()!, () => {});
    expect([...run.state.levels.keys()].sort()).toEqual(['a', 'e']);
  });

  it('forgets the level kept of a bucket that had to make room', () => {
    const run = new ClientsRun({ defaultLimit: { capacity: 2, ratePerSec: 0 }, bucketsMax: 1 });
    run.access.take(collector('a'));
    run.clients.execute(run.access.changedLevels()!, () => {});
    run.access.take(collector('b'));
    run.clients.execute(run.access.changedLevels()!, () => {});
    expect([...run.state.levels.keys()]).toEqual(['b']);
  });
});
