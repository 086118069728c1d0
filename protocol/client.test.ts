import { WebSocket as UndiciWebSocket } from 'undici';
import { describe, expect, test } from 'vitest';
import {
  event,
  FAST,
  FakeCoordinator,
  grantOf,
  handClock,
  leaseOf,
  session,
  settled,
  WELCOME,
} from '../server/testing/fake-coordinator.ts';
import { type ConnectOptions, connect, type Lease, LeaseEndedError } from './client.ts';

describe('asking', () => {
  test('says who it is and what it wishes for', async () => {
    const { hello, client } = await session(
      { client: 'collector 1', apiKey: 'k', resumeWindowMs: 5_000, noticeMs: 100 },
      { session: 'abc', epoch: 9 },
    );
    expect(hello).toMatchObject({ protocol: 1, client: 'collector 1', api_key: 'k', resume_window_ms: 5_000 });
    expect(hello).toHaveProperty('notice_ms', 100);
    expect(hello).not.toHaveProperty('resume');
    expect([client.session, client.epoch, client.state]).toEqual(['abc', 9, 'connected']);
  });

  test.each(['msgpack', 'json'] as const)('acquires a lease with its whole address record, in %s', async (encoding) => {
    const { client, peer } = await session({ encoding });
    const where = { country: { in: ['US', 'CA'] }, rpw: { lt: 500 } };
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, where, strategy: 'round_robin', key: 'k' });
    const frame = await peer.next('acquire');
    expect(frame).toEqual({ ...frame, resource: 7, ttl_ms: 30_000, where, strategy: 'round_robin', key: 'k' });
    peer.send({ type: 'granted', id: frame.id, ...grantOf(2 ** 52 + 1) });
    const lease = await acquiring;
    expect(lease).toMatchObject({ token: 2 ** 52 + 1, resource: 7, ttlMs: 30_000, live: true, revocation: undefined });
    expect(lease.address).toEqual(grantOf(1).address);
    expect(client.leases.get(lease.token)).toBe(lease);
  });

  test('a refusal says why and when to ask again', async () => {
    const { client, peer } = await session();
    const acquiring = client.acquire({ resource: 7, ttlMs: 1_000 });
    const { id } = await peer.next('acquire');
    const why = { states: { leased: 3 }, excluded: 1, soonest_ms: 80 };
    peer.send({ type: 'refused', id, reason: 'none_available', why, retry_after_ms: 80 });
    await expect(acquiring).rejects.toMatchObject({
      name: 'RefusedError',
      reason: 'none_available',
      why,
      retryAfterMs: 80,
    });
  });

  test.each(['overloaded', 'rate_limited'])('an error carries its code, %s, path and retry time', async (code) => {
    const { client, peer } = await session();
    const acquiring = client.acquire({ resource: 7, ttlMs: 1_000 });
    const { id } = await peer.next('acquire');
    peer.send({ type: 'error', id, code, message: 'later', path: 'ttl_ms', retry_after_ms: 70 });
    const error = { name: 'LeaseholdError', code, message: 'later', path: 'ttl_ms', retryAfterMs: 70 };
    await expect(acquiring).rejects.toMatchObject(error);
  });

  test('passes over frame types that it does not know', async () => {
    const { client, peer } = await session({ encoding: 'json' });
    peer.sendRaw('{"type":"horoscope","id":1}');
    await settled(client, peer);
    expect(client.state).toBe('connected');
  });

  test('reads an array of frames as those frames in order', async () => {
    const { client, peer } = await session({ encoding: 'json' });
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000 });
    const { id } = await peer.next('acquire');
    peer.sendRaw(
      JSON.stringify([
        { type: 'granted', id, ...grantOf(5) },
        { type: 'expired', lease: 5 },
      ]),
    );
    const lease = await acquiring;
    expect(lease.live).toBe(false);
  });

  test('a request without an answer fails in time, and its late grant is given back', async () => {
    const { client, peer } = await session({ requestTimeoutMs: 20 });
    // Waited for from the start: on a busy machine the request may have failed before the peer has read it.
    const failing = expect(client.acquire({ resource: 7, ttlMs: 30_000 })).rejects.toMatchObject({ code: 'timeout' });
    const { id } = await peer.next('acquire');
    await failing;
    peer.send({ type: 'granted', id, ...grantOf(5) });
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
    expect(client.leases.size).toBe(0);
  });

  test('an acquire with an aborted signal is never sent', async () => {
    const { client, peer } = await session();
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, signal: AbortSignal.abort() });
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    await settled(client, peer);
    expect(peer.unread('acquire')).toEqual([]);
  });

  test('a frame longer than the wire takes fails here', async () => {
    const { client } = await session();
    const where = { address: { in: Array.from({ length: 1_000 }, (_, index) => `${index}`.padEnd(100, '.')) } };
    await expect(client.acquire({ resource: 7, ttlMs: 1_000, where })).rejects.toMatchObject({ code: 'bad_frame' });
  });
});

describe('time', () => {
  test('the deadline counts from the sending, with the wait, less a thousandth', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, waitMs: 60_000 });
    const { id } = await peer.next('acquire');
    clock.advance(5_000);
    peer.send({ type: 'granted', id, ...grantOf(5, { waited_ms: 4_000 }) });
    const lease = await acquiring;
    expect(lease.remainingMs()).toBeCloseTo(33_966 - 5_000, 3);
    clock.advance(28_965);
    expect(lease.live).toBe(true);
    clock.advance(1);
    expect(lease.live).toBe(false);
    expect(lease.remainingMs()).toBe(0);
    expect(await lease.ended).toEqual({ end: 'expired' });
  });

  test('a replayed answer does not stretch the deadline by a wait that was over before', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5, { waited_ms: 60_000 });
    expect(lease.remainingMs()).toBeCloseTo(29_970, 3);
  });

  test('a grant that comes when its TTL is over is given back', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000 });
    const { id } = await peer.next('acquire');
    clock.advance(30_000);
    peer.send({ type: 'granted', id, ...grantOf(5) });
    await expect(acquiring).rejects.toMatchObject({ code: 'timeout' });
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
  });

  test('a lease ends by itself at its deadline while the network is silent', async () => {
    const { client, peer } = await session();
    const expired = event(client, 'expired');
    const lease = await leaseOf(client, peer, 5, { ttl_ms: 300 });
    expect(await lease.ended).toEqual({ end: 'expired' });
    expect((await expired).lease).toBe(lease);
    expect(lease.signal.reason).toBeInstanceOf(LeaseEndedError);
    expect(lease.signal.reason).toMatchObject({ end: 'expired' });
    expect(client.leases.size).toBe(0);
    await expect(lease.renew()).rejects.toMatchObject({ code: 'lease_lost' });
    await settled(client, peer);
    // The coordinator knows by itself.
    expect(peer.unread('release')).toEqual([]);
  });

  test('a wall clock that jumps over the deadline ends the lease, and the coordinator is told', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    clock.setWall(31_000);
    expect(lease.live).toBe(false);
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
  });

  test('a wall clock that is set back prolongs nothing', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    clock.setWall(-3_600_000);
    expect(lease.remainingMs()).toBeCloseTo(29_970, 3);
    clock.advance(29_971);
    expect(lease.live).toBe(false);
  });

  test('a renewal prolongs from its own sending, and a shorter one brings nothing nearer', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    const renew = async (ttlMs: number, travelMs: number) => {
      const renewing = lease.renew(ttlMs);
      const { id, ttl_ms } = await peer.next('renew');
      clock.advance(travelMs);
      peer.send({ type: 'renewed', id, lease: 5, ttl_ms: ttl_ms! });
      await renewing;
    };
    await renew(60_000, 1_000);
    expect(lease.remainingMs()).toBeCloseTo(59_940 - 1_000, 3);
    expect(lease.ttlMs).toBe(60_000);
    await renew(1_000, 0);
    expect(lease.remainingMs()).toBeCloseTo(59_940 - 1_000, 3);
  });

  test('a renewal that is answered after the end revives nothing and is given back', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    const renewing = lease.renew();
    const { id } = await peer.next('renew');
    clock.advance(30_000);
    peer.send({ type: 'renewed', id, lease: 5, ttl_ms: 30_000 });
    await expect(renewing).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await lease.ended).toEqual({ end: 'expired' });
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
  });

  test('a renewal answered lease_lost ends the lease here too', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    const renewing = lease.renew();
    peer.send({ type: 'error', id: (await peer.next('renew')).id, code: 'lease_lost', message: 'expired' });
    await expect(renewing).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await lease.ended).toEqual({ end: 'session_lost', reason: 'lease_lost' });
  });

  test.each(['overloaded', 'rate_limited'])('automatic renewal goes on over %s until the release', async (code) => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5, { ttl_ms: 1_200 }, { autoRenew: true });
    const first = await peer.next('renew');
    expect(first).toMatchObject({ lease: 5, ttl_ms: 1_200 });
    peer.send({ type: 'error', id: first.id, code, message: 'later', retry_after_ms: 1 });
    for (let round = 0; round < 2; round += 1) {
      peer.send({ type: 'renewed', id: (await peer.next('renew')).id, lease: 5, ttl_ms: 1_200 });
    }
    await settled(client, peer);
    expect(lease.live).toBe(true);
    const releasing = lease.release();
    peer.send({ type: 'released', id: (await peer.next('release')).id });
    await releasing;
    expect(await lease.ended).toEqual({ end: 'released' });
  });
});

describe('handing back', () => {
  test('a release ends the lease before it leaves, tells the outcome, and is sent once', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    const releasing = lease.release({ outcome: 'ok', requests: 40 });
    expect(lease.live).toBe(false);
    expect(lease.signal.reason).toMatchObject({ end: 'released' });
    const again = lease.release();
    const frame = await peer.next('release');
    expect(frame).toMatchObject({ lease: 5, outcome: 'ok', requests: 40 });
    peer.send({ type: 'released', id: frame.id });
    await Promise.all([releasing, again]);
    await settled(client, peer);
    expect(peer.unread('release')).toEqual([]);
  });

  test('a report is taken after the end', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    peer.send({ type: 'expired', lease: 5 });
    await lease.ended;
    const reporting = lease.report({ outcome: 'banned' });
    const frame = await peer.next('report');
    expect(frame).toMatchObject({ lease: 5, outcome: 'banned' });
    peer.send({ type: 'reported', id: frame.id });
    await reporting;
  });

  test('await using releases at the end of the block', async () => {
    const { client, peer } = await session();
    const inBlock = async () => {
      await using lease = await leaseOf(client, peer, 5);
      return lease.token;
    };
    const block = inBlock();
    const frame = await peer.next('release');
    expect(frame.lease).toBe(5);
    peer.send({ type: 'released', id: frame.id });
    expect(await block).toBe(5);
  });

  test('await using takes it calmly that the lease was lost', async () => {
    const { client, peer } = await session();
    const inBlock = async () => {
      await using _lease = await leaseOf(client, peer, 5);
    };
    const block = inBlock();
    peer.send({ type: 'error', id: (await peer.next('release')).id, code: 'lease_lost', message: 'expired' });
    await block;
  });

  test('closing ends all leases, says bye and closes with 1000', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    const pinging = client.ping();
    const closing = client.close();
    expect(await lease.ended).toEqual({ end: 'released', reason: 'closed' });
    await expect(pinging).rejects.toMatchObject({ code: 'closed' });
    await peer.next('bye');
    expect(await peer.closed).toBe(1000);
    await closing;
    expect(client.state).toBe('closed');
    await lease.release();
    await expect(client.acquire({ resource: 7, ttlMs: 1_000 })).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('notices', () => {
  test('expiring comes to the lease and to the client', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    const onClient = event(client, 'expiring');
    const onLease = new Promise((resolve) => lease.on('expiring', resolve));
    peer.send({ type: 'expiring', lease: 5, remaining_ms: 5_000 });
    expect((await onClient).lease).toBe(lease);
    expect(await onLease).toEqual(await onClient);
  });

  test('revoking leaves the lease live until its deadline, and no longer', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    const revoking = event(client, 'revoking');
    peer.send({ type: 'revoking', lease: 5, reason: 'operator', deadline_ms: 10_000 });
    expect(await revoking).toEqual({ lease, reason: 'operator', deadlineMs: 10_000 });
    expect(lease.remainingMs()).toBeCloseTo(9_990, 3);
    expect(lease.revocation).toEqual({ reason: 'operator', deadlineMs: 10_000 });
    const revoked = event(client, 'revoked');
    clock.advance(9_990);
    expect(lease.live).toBe(false);
    expect(await revoked).toEqual({ lease, reason: 'operator' });
    expect(await lease.ended).toEqual({ end: 'revoked', reason: 'operator' });
  });

  test('a lease is renewed up to its announced revocation, and not beyond', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5, { ttl_ms: 300 }, { autoRenew: true });
    peer.send({ type: 'revoking', lease: 5, reason: 'operator', deadline_ms: 400 });
    peer.send({ type: 'renewed', id: (await peer.next('renew')).id, lease: 5, ttl_ms: 400, clamped: true });
    // Granted later and for longer, this one is renewed after the other would be.
    await leaseOf(client, peer, 6, { ttl_ms: 900 }, { autoRenew: true });
    expect(await peer.next('renew')).toMatchObject({ lease: 6 });
    clock.advance(399);
    expect(lease.live).toBe(true);
    clock.advance(1);
    expect(await lease.ended).toEqual({ end: 'revoked', reason: 'operator' });
  });

  test('a substitute inherits the deadline and the renewal of its predecessor', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    const revoked = new Promise<{ substitute?: Lease }>((resolve) => lease.on('revoked', resolve));
    clock.advance(10_000);
    const substitute = grantOf(6, { ttl_ms: 20_000, address: { ...grantOf(6).address, address: '10.0.0.2:8080' } });
    peer.send({ type: 'revoked', lease: 5, reason: 'unhealthy', substitute });
    const successor = (await revoked).substitute!;
    expect(successor).toMatchObject({ token: 6, address: { address: '10.0.0.2:8080' }, live: true });
    expect(successor.remainingMs()).toBeCloseTo(19_970, 3);
    expect([...client.leases.keys()]).toEqual([6]);
    expect(lease.signal.reason).toMatchObject({ end: 'revoked', reason: 'unhealthy' });
  });

  test('a substitute still comes when the announced deadline had passed here first', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    peer.send({ type: 'revoking', lease: 5, reason: 'operator', deadline_ms: 1_000 });
    await settled(client, peer);
    clock.advance(1_000);
    expect(lease.live).toBe(false);
    const revoked = event(client, 'revoked');
    peer.send({ type: 'revoked', lease: 5, reason: 'operator', substitute: grantOf(6) });
    expect((await revoked).substitute).toMatchObject({ token: 6, live: true });
  });

  test('a substitute that nobody listens for is given back', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5);
    peer.send({ type: 'revoked', lease: 5, reason: 'unhealthy', substitute: grantOf(6) });
    expect(await peer.next('release')).toMatchObject({ lease: 6 });
    expect(lease.live).toBe(false);
    expect(client.leases.size).toBe(0);
  });

  test('one who has stopped listening hears nothing', async () => {
    const { client, peer } = await session();
    const heard: number[] = [];
    client.on('goaway', ({ deadlineMs }) => heard.push(deadlineMs));
    const stop = client.on('goaway', ({ deadlineMs }) => heard.push(-deadlineMs));
    peer.send({ type: 'goaway', deadline_ms: 1, reconnect_after_ms: 0 });
    await settled(client, peer);
    stop();
    peer.send({ type: 'goaway', deadline_ms: 2, reconnect_after_ms: 0 });
    await settled(client, peer);
    expect(heard).toEqual([1, -1, 2]);
  });
});

describe('a broken connection', () => {
  test('is resumed with id and secret, and leases count from the new hello', async () => {
    const clock = handClock();
    const { client, peer, coordinator } = await session(clock.options);
    const lease = await leaseOf(client, peer, 5);
    peer.terminate();
    expect(await event(client, 'disconnected')).toMatchObject({ code: 1006, reconnecting: true });
    expect([client.state, lease.live]).toEqual(['connecting', true]);
    const next = await coordinator.peer();
    const hello = await next.next('hello');
    expect(hello.resume).toEqual({ session: 's1', secret: 'secret of s1' });
    clock.advance(500);
    const resumed = event(client, 'resumed');
    const held = { ...grantOf(5, { ttl_ms: 60_000 }), request: 1 };
    next.send({ type: 'welcome', id: hello.id, ...WELCOME, epoch: 2, resumed: true, leases: [held] });
    expect(await resumed).toEqual({ session: 's1', leases: [lease] });
    expect(client.epoch).toBe(2);
    expect(lease.remainingMs()).toBeCloseTo(59_940 - 500, 3);
    expect(lease.ttlMs).toBe(30_000);
  });

  test('ends what welcome does not list, the way welcome says', async () => {
    const { client, peer, coordinator } = await session();
    const revoked = await leaseOf(client, peer, 5);
    const expired = await leaseOf(client, peer, 6);
    const unlisted = await leaseOf(client, peer, 7);
    const kept = await leaseOf(client, peer, 8);
    peer.terminate();
    const next = await coordinator.peer();
    await next.welcome({
      resumed: true,
      leases: [{ ...grantOf(8), request: 1 }],
      ended: [
        { lease: 5, resource: 7, end: 'revoked', reason: 'operator' },
        { lease: 6, resource: 7, end: 'expired' },
      ],
    });
    expect(await revoked.ended).toEqual({ end: 'revoked', reason: 'operator' });
    expect(await expired.ended).toEqual({ end: 'expired' });
    expect(await unlisted.ended).toEqual({ end: 'session_lost' });
    expect(kept.live).toBe(true);
  });

  test('gives back what welcome lists and nobody here holds', async () => {
    const { client, peer, coordinator } = await session();
    const giveUp = new AbortController();
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, signal: giveUp.signal });
    const { id } = await peer.next('acquire');
    peer.terminate();
    const next = await coordinator.peer();
    giveUp.abort();
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    await next.welcome({
      resumed: true,
      leases: [{ ...grantOf(5), request: id }],
      waiting: [{ request: id, position: 1 }],
    });
    expect(await next.next('release')).toMatchObject({ lease: 5 });
    expect(await next.next('cancel')).toMatchObject({ request: id });
    expect(client.leases.size).toBe(0);
  });

  test('an acquire with a key is asked again and keeps its lease', async () => {
    const { client, peer, coordinator } = await session();
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, key: 'k' });
    const first = await peer.next('acquire');
    peer.terminate();
    const next = await coordinator.peer();
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: first.id, key: 'k' }] });
    const again = await next.next('acquire');
    expect(again).toMatchObject({ key: 'k' });
    expect(again.id).not.toBe(first.id);
    next.send({ type: 'granted', id: again.id, ...grantOf(5, { ttl_ms: 20_000 }) });
    expect(await acquiring).toMatchObject({ token: 5, live: true });
    await settled(client, next);
    expect(next.unread('release')).toEqual([]);
  });

  test('renewals and releases are sent once more, and the release says what it had to say', async () => {
    const { client, peer, coordinator } = await session();
    const kept = await leaseOf(client, peer, 5);
    const handed = await leaseOf(client, peer, 6);
    const renewing = kept.renew(40_000);
    const releasing = handed.release({ outcome: 'failed' });
    await peer.next('release');
    peer.terminate();
    const next = await coordinator.peer();
    const leases = [grantOf(5), grantOf(6)].map((grant) => ({ ...grant, request: 1 }));
    await next.welcome({ resumed: true, leases });
    next.send({ type: 'renewed', id: (await next.next('renew')).id, lease: 5, ttl_ms: 40_000 });
    const release = await next.next('release');
    expect(release).toMatchObject({ lease: 6, outcome: 'failed' });
    next.send({ type: 'released', id: release.id });
    await Promise.all([renewing, releasing]);
    await settled(client, next);
    expect(next.unread('release')).toEqual([]);
    expect(kept.ttlMs).toBe(40_000);
  });

  test('what has been repeated once is not repeated again', async () => {
    const { client, peer, coordinator } = await session();
    const lease = await leaseOf(client, peer, 5);
    const reporting = lease.report({ requests: 1 });
    await peer.next('report');
    peer.terminate();
    const second = await coordinator.peer();
    await second.welcome({ resumed: true, leases: [{ ...grantOf(5), request: 1 }] });
    await second.next('report');
    second.terminate();
    await expect(reporting).rejects.toMatchObject({ code: 'disconnected' });
  });

  test('requests made meanwhile wait for the next connection, as many as fit', async () => {
    const { client, peer, coordinator } = await session();
    peer.terminate();
    await event(client, 'disconnected');
    const next = await coordinator.peer();
    const pings = Array.from({ length: 10_000 }, () => client.ping());
    await expect(client.ping()).rejects.toMatchObject({ code: 'too_many' });
    await next.welcome({ resumed: true });
    for (let left = pings.length; left > 0; left -= 1) next.send({ type: 'pong', id: (await next.next('ping')).id });
    await Promise.all(pings);
  });

  test('a resume that fails ends all leases and what was asked of them', async () => {
    const { client, peer, coordinator } = await session();
    const lease = await leaseOf(client, peer, 5);
    const lost = event(client, 'lost');
    const renewing = lease.renew();
    await peer.next('renew');
    peer.terminate();
    const next = await coordinator.peer();
    await next.welcome({ session: 's2', secret: 'other', resumed: false });
    await expect(renewing).rejects.toMatchObject({ code: 'lease_lost' });
    expect((await lost).lease).toBe(lease);
    expect(await lease.ended).toMatchObject({ end: 'session_lost' });
    expect(client.session).toBe('s2');
    await expect(lease.report({ outcome: 'ok' })).rejects.toMatchObject({ code: 'lease_lost' });
  });

  test('a message that cannot be understood costs the connection, not the lease', async () => {
    const { client, peer, coordinator } = await session();
    const lease = await leaseOf(client, peer, 5);
    peer.sendRaw(Buffer.from([0xc1]));
    const next = await coordinator.peer();
    expect((await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: 1 }] })).resume).toBeDefined();
    await settled(client, next);
    expect(lease.live).toBe(true);
  });

  test('after goaway the client comes back when it was told to', async () => {
    const { client, peer, coordinator } = await session();
    const goaway = event(client, 'goaway');
    const toldAtMs = performance.now();
    peer.send({ type: 'goaway', deadline_ms: 0, reconnect_after_ms: 300 });
    expect(await goaway).toEqual({ deadlineMs: 0, reconnectAfterMs: 300 });
    peer.close(4000);
    const next = await coordinator.peer();
    // Timers may round down by a millisecond; by its backoff alone the client would be back in 5 ms.
    expect(performance.now() - toldAtMs).toBeGreaterThan(295);
    await next.welcome({ resumed: true });
    expect(await event(client, 'resumed')).toMatchObject({ session: 's1' });
  });
});

describe('silence', () => {
  test('is broken by pings, and by nothing else needed', async () => {
    const { client, peer } = await session({}, { heartbeat_ms: 500 });
    const lease = await leaseOf(client, peer, 5);
    for (let beat = 0; beat < 3; beat += 1) peer.send({ type: 'pong', id: (await peer.next('ping')).id });
    await settled(client, peer);
    expect([client.state, lease.live]).toEqual(['connected', true]);
  });

  test('of two heartbeats ends the leases and the connection, and they never revive', async () => {
    const { client, peer, coordinator } = await session({}, { heartbeat_ms: 200 });
    const lease = await leaseOf(client, peer, 5);
    expect(await lease.ended).toEqual({ end: 'session_lost', reason: 'silence' });
    const next = await coordinator.peer();
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: 1 }] });
    expect(await next.next('release')).toMatchObject({ lease: 5 });
    expect([lease.live, client.leases.size]).toEqual([false, 0]);
  });

  test('is counted on while the connection is broken', async () => {
    const { client, peer, coordinator } = await session({}, { heartbeat_ms: 200 });
    const lease = await leaseOf(client, peer, 5);
    peer.terminate();
    await coordinator.peer();
    expect(await lease.ended).toEqual({ end: 'session_lost', reason: 'silence' });
  });

  test('is noticed at the first look after the process was stopped', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options, { heartbeat_ms: 10_000 });
    const lease = await leaseOf(client, peer, 5);
    clock.advance(20_000);
    expect(lease.live).toBe(false);
    expect(await lease.ended).toEqual({ end: 'session_lost', reason: 'silence' });
  });

  test('is not undone by what was sent before it', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options, { heartbeat_ms: 10_000 });
    const lease = await leaseOf(client, peer, 5);
    clock.advance(20_000);
    peer.send({ type: 'pong', id: 1_000 });
    expect(await lease.ended).toEqual({ end: 'session_lost', reason: 'silence' });
  });
});

describe('connecting', () => {
  test('goes on until the coordinator is there', async () => {
    const gone = await FakeCoordinator.listen();
    const { port, url } = gone;
    await gone.stop();
    const connecting = connect({ url, reconnect: FAST });
    const coordinator = await FakeCoordinator.listen(undefined, port);
    await (await coordinator.peer()).welcome();
    const client = await connecting;
    expect(client.session).toBe('s1');
    await client.close();
  });

  test('gives up after the attempts it was allowed', async () => {
    const coordinator = await FakeCoordinator.listen(503);
    const connecting = connect({ url: coordinator.url, reconnect: { ...FAST, attemptsMax: 3 } });
    await expect(connecting).rejects.toMatchObject({ code: 'disconnected' });
    expect(coordinator.upgrades).toBe(3);
  });

  test.each([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [404, 'closed'],
  ])('is over at once where the upgrade is refused with %i', async (status, code) => {
    const coordinator = await FakeCoordinator.listen(status);
    await expect(connect({ url: coordinator.url, reconnect: FAST })).rejects.toMatchObject({ code });
    expect(coordinator.upgrades).toBe(1);
  });

  test('is over at once where hello is answered with a lasting error', async () => {
    const coordinator = await FakeCoordinator.listen();
    const connecting = connect({ url: coordinator.url, reconnect: FAST });
    const peer = await coordinator.peer();
    peer.send({ type: 'error', id: (await peer.next('hello')).id, code: 'unauthorized', message: 'no such key' });
    peer.close(4503);
    await expect(connecting).rejects.toMatchObject({ code: 'unauthorized', message: 'no such key' });
  });

  test('goes on where hello is answered with a passing error', async () => {
    const coordinator = await FakeCoordinator.listen();
    const connecting = connect({ url: coordinator.url, reconnect: FAST });
    const peer = await coordinator.peer();
    peer.send({ type: 'error', id: (await peer.next('hello')).id, code: 'overloaded', message: 'later' });
    await (await coordinator.peer()).welcome();
    await (await connecting).close();
  });

  test('tries again where no welcome comes', async () => {
    const coordinator = await FakeCoordinator.listen();
    const connecting = connect({ url: coordinator.url, reconnect: FAST, connectTimeoutMs: 300 });
    await (await coordinator.peer()).next('hello');
    await (await coordinator.peer()).welcome();
    await (await connecting).close();
  });

  test('can be given up', async () => {
    const coordinator = await FakeCoordinator.listen();
    const giveUp = new AbortController();
    const connecting = connect({ url: coordinator.url, signal: giveUp.signal });
    const peer = await coordinator.peer();
    await peer.next('hello');
    giveUp.abort('enough');
    await expect(connecting).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
    await peer.closed;
  });

  test('to what is no URL fails at once', async () => {
    await expect(connect({ url: 'not a url' })).rejects.toMatchObject({ code: 'closed' });
  });

  test('is over for good once a newer socket has the session', async () => {
    const { client, peer, coordinator } = await session();
    const lease = await leaseOf(client, peer, 5);
    const disconnected = event(client, 'disconnected');
    peer.close(4504);
    expect(await disconnected).toMatchObject({ code: 4504, reconnecting: false });
    expect(await lease.ended).toMatchObject({ end: 'session_lost' });
    expect(client.state).toBe('closed');
    await expect(client.ping()).rejects.toMatchObject({ code: 'closed' });
    expect(coordinator.upgrades).toBe(1);
  });

  test('happens once where reconnecting is switched off', async () => {
    const { client, peer } = await session({ reconnect: false });
    const lease = await leaseOf(client, peer, 5);
    peer.terminate();
    expect(await event(client, 'disconnected')).toMatchObject({ reconnecting: false });
    expect(await lease.ended).toMatchObject({ end: 'session_lost' });
  });

  test('works with a WebSocket as browsers have it, which cannot be terminated', async () => {
    const browsers = UndiciWebSocket as unknown as NonNullable<ConnectOptions['WebSocket']>;
    const { client, peer, coordinator } = await session({ WebSocket: browsers });
    const lease = await leaseOf(client, peer, 5);
    expect(lease.token).toBe(5);
    peer.sendRaw(Buffer.from([0xc1]));
    // Dropped by the client, and not in words that would end the session.
    expect(await peer.closed).not.toBe(1000);
    const next = await coordinator.peer();
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: 1 }] });
    await settled(client, next);
    expect(lease.live).toBe(true);
    await client.close();
    await next.next('bye');
    expect(await next.closed).toBe(1000);
  });
});
