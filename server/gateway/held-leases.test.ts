import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FixedLeases } from '../testing/fixed-leases.ts';
import { openSite, openUpstream, runForwardProxy } from '../testing/forward-run.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { type Held, HeldLeases, type Holding } from './held-leases.ts';
import type { LeaseAsk } from './lease-source.ts';
import type { WantedSession } from './proxy-parameters.ts';

const ASK: LeaseAsk = { owner: { kind: 'client', client: 'c1' }, resource: 7 };
const SESSION: WantedSession = { name: 's', idleMs: 1_000, durationMs: undefined };

function hold(addresses = ['a:1', 'b:1', 'c:1'], limits = {}) {
  const clock = new VirtualClock();
  const time = new VirtualScheduler(clock);
  const leases = new FixedLeases(addresses);
  const held = new HeldLeases({
    leases,
    clock,
    scheduler: time,
    sessionsMax: 10,
    sessionsPerClientMax: 5,
    ...limits,
  });
  const of = async (session = SESSION, client = 'c1', ask = ASK) => taken(await held.holdOf(session, client, ask));
  return { time, leases, held, of };
}

function taken(holding: Holding): Held {
  if (holding.type !== 'held') throw new Error(JSON.stringify(holding));
  return holding.held;
}

describe('a sticky session', () => {
  it('keeps its address from request to request, and hands it back once it has been idle', async () => {
    const { time, leases, held, of } = hold();
    const one = await of();
    one.done({ outcome: 'ok', requests: 1 });
    await time.advance(999);
    const two = await of();
    expect(two.lease).toBe(one.lease);
    await time.advance(5_000);
    two.done({ outcome: 'ok', requests: 1 });
    await time.advance(999);
    expect(leases.leased).toEqual([1]);
    await time.advance(1);
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'ok', requests: 2 }]);
    expect(held.sessionCount).toBe(0);
  });

  it('says within a second what it was used for so far, however long it goes on', async () => {
    const { time, leases, of } = hold();
    for (let request = 0; request < 3; request += 1) (await of()).done({ outcome: 'ok', requests: 1 });
    const tunnel = await of();
    await time.advance(999);
    expect(leases.reported).toEqual([]);
    await time.advance(1);
    expect(leases.reported).toEqual([{ addressId: 1, outcome: undefined, requests: 3 }]);
    await time.advance(10_000);
    expect(leases.reported).toHaveLength(1);
    tunnel.done({ outcome: 'ok', requests: 1 });
    expect(leases.released).toEqual([]);
  });

  it('says at once where its address is banned, and takes another one for what comes next', async () => {
    const { leases, of } = hold();
    const tunnel = await of();
    (await of()).done({ outcome: 'banned', requests: 1, isSpent: true });
    expect(leases.reported).toEqual([{ addressId: 1, outcome: 'banned', requests: 1 }]);
    expect((await of()).lease.addressId).toBe(2);
    tunnel.done({ outcome: 'ok', requests: 1 });
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'banned', requests: 2 }]);
  });

  it('takes another address once it is announced that it loses its own', async () => {
    const { leases, of } = hold();
    const tunnel = await of();
    leases.revoking.add(1);
    expect((await of()).lease.addressId).toBe(2);
    expect(leases.leased).toEqual([1, 2]);
    tunnel.done({ outcome: 'ok', requests: 1 });
    expect(leases.leased).toEqual([2]);
  });

  it('is one for those that come at once, and another for another name, client, resource or condition', async () => {
    const { leases, held, of } = hold();
    const [one, two] = await Promise.all([of(), of()]);
    expect(two.lease).toBe(one.lease);
    expect(leases.asks).toHaveLength(1);
    expect((await of({ ...SESSION, name: 't' })).lease.addressId).toBe(2);
    expect((await of(SESSION, 'c2')).lease.addressId).toBe(3);
    const germany = await held.holdOf(SESSION, 'c1', { ...ASK, where: { country: { eq: 'DE' } } });
    expect(germany).toMatchObject({ type: 'refused', reason: 'none_available' });
    expect(held.sessionCount).toBe(3);
  });

  it('gets another address after its lease was ended by others, and cuts all that use it', async () => {
    const { leases, of } = hold();
    const [one, two] = await Promise.all([of(), of()]);
    const cuts: string[] = [];
    one.onEnded((reason) => cuts.push(`one ${reason}`));
    two.onEnded((reason) => cuts.push(`two ${reason}`));
    leases.revoke(1, 'unhealthy');
    expect(cuts).toEqual(['one unhealthy', 'two unhealthy']);
    const three = await of();
    expect(three.lease.addressId).toBe(2);
    one.done({ requests: 1 });
    two.done({ requests: 1 });
    expect(leases.leased).toEqual([2]);
  });

  it('gets another address when the one it has is spent, and the old one is free when nobody uses it', async () => {
    const { leases, of } = hold();
    const [one, two] = await Promise.all([of(), of()]);
    one.done({ outcome: 'banned', requests: 1, isSpent: true });
    const three = await of();
    expect(three.lease.addressId).toBe(2);
    expect(leases.leased).toEqual([1, 2]);
    two.done({ outcome: 'ok', requests: 1 });
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'banned', requests: 2 }]);
  });

  it('lasts no longer than it is to, however much it is used', async () => {
    const { time, leases, of } = hold();
    const session = { ...SESSION, durationMs: 2_500 };
    for (const addressId of [1, 1, 1, 2]) {
      const held = await of(session);
      expect(held.lease.addressId).toBe(addressId);
      held.done({ requests: 1 });
      await time.advance(900);
    }
    expect(leases.released).toEqual([{ addressId: 1, outcome: undefined, requests: 3 }]);
  });

  it('is refused beyond the bounds, of a client and of all, and so is what there is no address for', async () => {
    const { held, of, leases } = hold(['a:1', 'b:1', 'c:1'], { sessionsPerClientMax: 1, sessionsMax: 2 });
    await of();
    const other = { ...SESSION, name: 'other' };
    expect(await held.holdOf(other, 'c1', ASK)).toMatchObject({ type: 'too_many_sessions' });
    await of(other, 'c2');
    expect(await held.holdOf(other, 'c3', ASK)).toMatchObject({ type: 'too_many_sessions' });
    expect(leases.asks).toHaveLength(2);
    const empty = hold([]);
    expect(await empty.held.holdOf(SESSION, 'c1', ASK)).toMatchObject({ type: 'refused' });
    expect(empty.held.sessionCount).toBe(0);
  });

  it('hands back what is idle when all is closed, and what is in use when it is done', async () => {
    const { leases, held, of } = hold();
    (await of()).done({ requests: 1 });
    const used = await of({ ...SESSION, name: 'used' });
    held.close();
    expect(leases.leased).toEqual([2]);
    used.done({ requests: 1 });
    expect(leases.leased).toEqual([]);
  });
});

it('shows a site one address for a session, and several without one', async () => {
  const site = await openSite((_incoming, response) => response.end('ok'));
  const upstreams = await Promise.all([1, 2].map(() => openUpstream()));
  const { proxyUrl, leases } = await runForwardProxy(upstreams.map(({ address }) => address));
  const curl = promisify(execFile);
  const url = `http://site.test:${site}/`;
  for (const user of ['user-resource-7-session-a', 'user-resource-7-session-a', 'user-resource-7']) {
    await curl('curl', ['-sS', '-x', proxyUrl(user), url]);
  }
  expect(upstreams.map(({ asked }) => asked.length)).toEqual([2, 1]);
  expect(leases.leased).toEqual([1]);
});
