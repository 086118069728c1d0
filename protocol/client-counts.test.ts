import { describe, expect, test } from 'vitest';
import { event, session, settled } from '../server/testing/fake-coordinator.ts';
import { COUNT_KEYS_PER_HOLDER_MAX } from './limits.ts';

describe('counting', () => {
  test('asks once and gives what the counter came to', async () => {
    const { client, peer } = await session();
    const counting = client.count({ counter: 'pages', by: -2, key: 'k' });
    const frame = await peer.next('count');
    expect(frame).toEqual({ type: 'count', id: frame.id, counter: 'pages', by: -2, key: 'k' });
    peer.send({ type: 'counted', id: frame.id, counter: 'pages', value: 40 });
    expect(await counting).toBe(40);
  });

  test('gives each count a key of its own, and a reading none', async () => {
    const { client, peer } = await session({ random: () => 0.5 });
    const asked = [1, 1, 0].map((by) => client.count({ counter: 'pages', by }));
    const frames = [await peer.next('count'), await peer.next('count'), await peer.next('count')];
    expect(frames[0]!.key).toMatch(/./);
    expect(frames[1]!.key).toMatch(/./);
    expect(frames[0]!.key).not.toBe(frames[1]!.key);
    expect(frames[2]).not.toHaveProperty('key');
    for (const [index, { id }] of frames.entries()) {
      peer.send({ type: 'counted', id, counter: 'pages', value: index });
    }
    expect(await Promise.all(asked)).toEqual([0, 1, 2]);
  });

  test('passes on why it was refused', async () => {
    const { client, peer } = await session();
    const counting = client.count({ counter: 'pages', by: 1 });
    const { id } = await peer.next('count');
    peer.send({ type: 'error', id, code: 'storage_full', message: 'the disk is nearly full', retry_after_ms: 1_000 });
    await expect(counting).rejects.toMatchObject({ code: 'storage_full', retryAfterMs: 1_000 });
  });

  test('is given up by its signal, and a late answer disturbs nobody', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const counting = client.count({ counter: 'pages', by: 1, signal: giveUp.signal });
    const { id } = await peer.next('count');
    giveUp.abort();
    await expect(counting).rejects.toMatchObject({ code: 'aborted' });
    peer.send({ type: 'counted', id, counter: 'pages', value: 1 });
    await settled(client, peer);
  });

  test('has no more on its way than the coordinator remembers keys of', async () => {
    const { client, peer } = await session();
    const asked = Array.from({ length: COUNT_KEYS_PER_HOLDER_MAX }, () => client.count({ counter: 'pages', by: 1 }));
    await expect(client.count({ counter: 'pages', by: 1 })).rejects.toMatchObject({ code: 'too_many' });
    const { id } = await peer.next('count');
    peer.send({ type: 'counted', id, counter: 'pages', value: 1 });
    await asked[0];
    const further = client.count({ counter: 'pages', by: 1 });
    for (let left = COUNT_KEYS_PER_HOLDER_MAX; left > 0; left -= 1) {
      peer.send({ type: 'counted', id: (await peer.next('count')).id, counter: 'pages', value: 2 });
    }
    expect(await further).toBe(2);
    await Promise.all(asked);
  });
});

describe('a count whose answer was lost with the connection', () => {
  test('is sent again with its key where the session goes on', async () => {
    const { client, peer, coordinator } = await session();
    const counting = client.count({ counter: 'pages', by: 3 });
    const first = await peer.next('count');
    peer.terminate();
    const next = await coordinator.peer();
    await next.welcome({ resumed: true });
    const again = await next.next('count');
    expect(again).toEqual({ ...first, id: again.id });
    expect(again.id).not.toBe(first.id);
    next.send({ type: 'counted', id: again.id, counter: 'pages', value: 3 });
    expect(await counting).toBe(3);
  });

  test.each([{}, { key: 'k' }])('is not sent in another session, where %j is a new key', async (keyed) => {
    const { client, peer, coordinator } = await session();
    const counting = client.count({ counter: 'pages', by: 3, ...keyed });
    await peer.next('count');
    const refused = expect(counting).rejects.toMatchObject({ code: 'disconnected' });
    peer.terminate();
    const next = await coordinator.peer();
    await next.welcome({ session: 's2' });
    await refused;
    await settled(client, next);
    expect(next.unread('count')).toEqual([]);
  });

  test('is not sent in another session either when the connection broke twice', async () => {
    const { client, peer, coordinator } = await session();
    const counting = client.count({ counter: 'pages', by: 3 });
    await peer.next('count');
    const refused = expect(counting).rejects.toMatchObject({ code: 'disconnected' });
    peer.terminate();
    const second = await coordinator.peer();
    await second.next('hello');
    second.terminate();
    const third = await coordinator.peer();
    await third.welcome({ session: 's2' });
    await refused;
    await settled(client, third);
    expect(third.unread('count')).toEqual([]);
  });

  test('is sent in another session where it only reads, or had not been sent at all', async () => {
    const { client, peer, coordinator } = await session();
    const reading = client.count({ counter: 'pages', by: 0 });
    await peer.next('count');
    peer.terminate();
    await event(client, 'disconnected');
    const counting = client.count({ counter: 'pages', by: 3 });
    const next = await coordinator.peer();
    await next.welcome({ session: 's2' });
    for (const value of [5, 8]) {
      next.send({ type: 'counted', id: (await next.next('count')).id, counter: 'pages', value });
    }
    expect(await Promise.all([reading, counting])).toEqual([5, 8]);
  });
});
