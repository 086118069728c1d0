import { describe, expect, it } from 'vitest';
import type { CollectorFrame } from '../../protocol/frames.ts';
import { Peer, startHub } from '../testing/hub-run.ts';

const acquire = (id: number) => ({ type: 'acquire', id, resource: 7, ttl_ms: 30_000 }) as const;
const ping = (id: number) => ({ type: 'ping', id }) as const;
const LIMIT = { capacity: 5, ratePerSec: 1 };

describe('a key', () => {
  it('in hello is as good as one at the upgrade, and both must be the same client’s', async () => {
    const { access, issue, open } = await startHub({ access: { needsKey: true } });
    const [one, other, foreign] = [issue('user1'), issue('user1'), issue('user2')];
    const caller = access.identify({ key: one.text, remoteAddress: '10.0.0.1' })!;
    expect((await open({ api_key: one.text })).types).toEqual(['welcome']);
    expect((await open({}, { caller })).types).toEqual(['welcome']);
    expect((await open({ api_key: other.text }, { caller })).types).toEqual(['welcome']);
    expect((await open({ api_key: foreign.text }, { caller })).closed).toBe(4503);
  });

  it('that is missing or wrong gets the same refusal, and nothing behind it is taken', async () => {
    const { hub, scheduler, log, issue, open } = await startHub({ access: { needsKey: true } });
    const revoked = issue('user1').text.replace(/.$/, 'x');
    await scheduler.advance(10);
    const { position } = log;
    const missing = await open();
    expect(missing.frames).toEqual([{ type: 'error', id: 1, code: 'unauthorized', message: expect.any(String) }]);
    expect(missing.closed).toBe(4503);
    for (const api_key of ['x', revoked, 'lh_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']) {
      const wrong = new Peer(hub);
      wrong.send({ type: 'hello', id: 1, protocol: 1, api_key, batch: true });
      wrong.send(acquire(2));
      await scheduler.advance(10);
      expect([wrong.frames, wrong.closed]).toEqual([missing.frames, 4503]);
    }
    expect(log.position).toBe(position);
  });

  it('that is revoked ends the sockets that came with it, and no others, once that is durable', async () => {
    const { scheduler, log, access, doClients, issue, open } = await startHub();
    const [gone, good] = [issue('user1'), issue('user1')];
    const caller = access.identify({ key: gone.text, remoteAddress: '10.0.0.1' })!;
    const peers = [await open({ api_key: gone.text }), await open({}, { caller }), await open({ api_key: good.text })];
    const [late, keyless] = [await open({ api_key: gone.text }), await open()];
    late.close(1_006);
    log.hold();
    doClients({ type: 'RevokeKey', client: 'user1', key: gone.key });
    await scheduler.advance(100);
    expect(peers.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined]);
    log.release();
    await scheduler.advance(10);
    expect(peers.map(({ closed }) => closed)).toEqual([4503, 4503, undefined]);
    expect(peers[0]!.frames.at(-1)).toMatchObject({ type: 'error', code: 'unauthorized' });
    expect([late.closed, keyless.closed]).toEqual([undefined, undefined]);
  });

  it('that comes to its end between upgrade and hello is none', async () => {
    const { access, scheduler, hub, doClients, issue } = await startHub();
    const { text, key } = issue('user1');
    const silent = new Peer(hub, { caller: access.identify({ key: text, remoteAddress: '10.0.0.1' })! });
    doClients({ type: 'DeleteClient', client: 'user1' });
    silent.send({ type: 'hello', id: 1, protocol: 1 });
    await scheduler.advance(10);
    expect([silent.types, silent.closed]).toEqual([['error'], 4503]);
    expect(hub.admission.withKey(key)).toEqual([]);
  });
});

describe('a limit', () => {
  it('holds back what asks, in order, and lets go what gives back', async () => {
    const { scheduler, open } = await startHub({ access: { defaultLimit: LIMIT } });
    const peer = await open({ batch: true });
    peer.send([acquire(2)]);
    await scheduler.advance(10);
    const { lease } = peer.frames.at(-1) as unknown as { lease: number };
    const asked: CollectorFrame[] = [
      ping(3),
      { ...acquire(4), type: 'explain' },
      { type: 'renew', id: 5, lease },
      { type: 'report', id: 6, lease, requests: 1 },
      acquire(7),
      { type: 'count', id: 8, counter: 'pages', by: 1 },
      { type: 'cancel', id: 9, request: 7 },
      { type: 'release', id: 10, lease },
      ping(11),
    ];
    peer.send(asked);
    await scheduler.advance(10);
    const answers = peer.frames.slice(2).map((frame) => {
      const { id, type } = frame as { id: number; type: string };
      return [id, type === 'error' ? (frame as { code: string }).code : type];
    });
    expect(answers).toEqual([
      [3, 'pong'],
      [4, 'explained'],
      [5, 'renewed'],
      [6, 'rate_limited'],
      [7, 'rate_limited'],
      [8, 'rate_limited'],
      [9, 'cancelled'],
      [10, 'released'],
      [11, 'rate_limited'],
    ]);
    const refused = peer.frames.find((frame) => frame.type === 'error') as unknown as { retry_after_ms: number };
    expect(refused).toMatchObject({ message: expect.stringContaining('5 at once') });
    expect(peer.closed).toBeUndefined();
    await scheduler.advance(refused.retry_after_ms);
    peer.send([ping(12), ping(13)]);
    await scheduler.advance(10);
    expect(peer.types.slice(-2)).toEqual(['pong', 'error']);
  });

  it('holds a client back on all its sockets together, and no other client', async () => {
    const { scheduler, issue, open } = await startHub({ access: { defaultLimit: LIMIT } });
    const { text } = issue('user1');
    const own = [await open({ api_key: text }), await open({ api_key: text }, { remoteAddress: '10.0.0.9' })];
    const other = await open({}, { remoteAddress: '10.0.0.9' });
    for (const peer of [...own, other]) for (let id = 2; id < 6; id += 1) peer.send(ping(id));
    await scheduler.advance(10);
    const pongs = (peer: Peer) => peer.types.filter((type) => type === 'pong').length;
    expect(pongs(own[0]!) + pongs(own[1]!)).toBe(3);
    expect(pongs(other)).toBe(4);
  });

  it('holds back who says hello again and again, until there is a token', async () => {
    const { scheduler, open } = await startHub({ access: { defaultLimit: { capacity: 2, ratePerSec: 1 } } });
    const kept = await open({ resume_window_ms: 60_000 });
    const [welcome] = kept.frames;
    if (welcome?.type !== 'welcome') throw new Error('no welcome');
    await open();
    const refused = await open();
    expect(refused.frames).toEqual([
      { type: 'error', id: 1, code: 'rate_limited', message: expect.any(String), retry_after_ms: 980 },
    ]);
    expect(refused.closed).toBe(4003);
    await scheduler.advance(970);
    const resume = { session: welcome.session, secret: welcome.secret };
    expect((await open({ resume })).frames).toMatchObject([{ type: 'welcome', resumed: true }]);
  });

  it('that an operator sets holds from that moment on, and says a day where a bucket never fills', async () => {
    const { scheduler, doClients, open } = await startHub();
    const peer = await open();
    for (let id = 2; id < 10; id += 1) peer.send(ping(id));
    doClients({ type: 'CreateClient', client: '127.0.0.1', limit: { capacity: 1, ratePerSec: 0 } });
    for (let id = 10; id < 12; id += 1) peer.send(ping(id));
    await scheduler.advance(10);
    expect(peer.types.filter((type) => type === 'pong')).toHaveLength(9);
    expect(peer.frames.at(-1)).toEqual({
      retry_after_ms: 86_400_000,
      type: 'error',
      id: 11,
      code: 'rate_limited',
      message: expect.any(String),
    });
  });
});

describe('sessions of one client', () => {
  it('are so many at most, suspended ones included, and resuming one is always taken', async () => {
    const { scheduler, issue, open } = await startHub({ limits: { sessionsPerClientMax: 2 } });
    const [one, two] = [issue('user1').text, issue('user1').text];
    const foreign = issue('user2').text;
    const first = await open({ api_key: one, resume_window_ms: 30_000 });
    const [welcome] = first.frames;
    if (welcome?.type !== 'welcome') throw new Error('no welcome');
    const second = await open({ api_key: two });
    first.close(1006);
    await scheduler.advance(10);
    const third = await open({ api_key: one });
    expect(third.frames).toMatchObject([{ type: 'error', id: 1, code: 'too_many' }]);
    expect(third.closed).toBe(4003);
    expect((await open({ api_key: foreign })).types).toEqual(['welcome']);
    for (let keyless = 0; keyless < 3; keyless += 1) expect((await open()).types).toEqual(['welcome']);
    const resume = { session: welcome.session, secret: welcome.secret };
    const stolen = await open({ api_key: foreign, resume });
    expect(stolen.frames).toMatchObject([{ type: 'welcome', resumed: false }]);
    const back = await open({ api_key: two, resume });
    expect(back.frames).toMatchObject([{ type: 'welcome', resumed: true }]);
    second.send({ type: 'bye', id: 2 });
    await scheduler.advance(10);
    expect((await open({ api_key: one })).types).toEqual(['welcome']);
  });
});

describe('sockets', () => {
  it('are counted by IP, IPv6 by its /64, and exactly so however they end', async () => {
    const { scheduler, hub, open } = await startHub({ limits: { socketsPerIpMax: 2 }, access: { adminKey: 'a' } });
    const from = { remoteAddress: '2001:db8:1:2::1' };
    const sibling = { remoteAddress: '2001:db8:1:2:ffff::9' };
    const ends: ((peer: Peer) => void)[] = [
      (peer) => peer.close(1_000),
      (peer) => peer.close(1_006),
      (peer) => peer.send({ type: 'bye', id: 2 }),
      (peer) => peer.send(7 as unknown as CollectorFrame),
      (peer) => peer.send({ type: 'hello', id: 1, protocol: 1, api_key: 'wrong' }),
    ];
    const kept = await open({}, from);
    for (const end of ends) {
      const peer = new Peer(hub, sibling);
      const tooMany = new Peer(hub, from);
      expect(tooMany.frames).toMatchObject([{ type: 'error', code: 'too_many' }]);
      expect(tooMany.closed).toBe(4003);
      tooMany.close(4003);
      if (end !== ends.at(-1)) peer.send({ type: 'hello', id: 1, protocol: 1 });
      await scheduler.advance(10);
      end(peer);
      await scheduler.advance(10);
      // What the library says once the socket is gone.
      if (peer.closed !== undefined) peer.close(peer.closed);
      await scheduler.advance(10);
    }
    expect((await open({}, { remoteAddress: '2001:db8:1:3::1' })).types).toEqual(['welcome']);
    expect((await open({}, sibling)).types).toEqual(['welcome']);
    expect((await open({}, sibling)).closed).toBe(4003);
    expect(kept.closed).toBeUndefined();
  });

  it('beyond all that there may be are turned away, whatever IP they come from', async () => {
    const { hub } = await startHub({ limits: { sessionsMax: 3 } });
    const peers = Array.from({ length: 5 }, (_, index) => new Peer(hub, { remoteAddress: `10.0.0.${index}` }));
    expect(peers.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined, 4003, 4003]);
    expect(peers[4]!.frames).toMatchObject([{ type: 'error', code: 'overloaded' }]);
    peers[4]!.close(4003);
    peers[3]!.close(4003);
    peers[0]!.close(1006);
    expect(new Peer(hub).closed).toBeUndefined();
  });
});
