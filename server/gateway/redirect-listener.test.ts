import type { ServerResponse } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { realScheduler } from '../testing/real-scheduler.ts';
import { VirtualClock } from '../testing/virtual-time.ts';
import { openRedirectListener } from './redirect-listener.ts';

/** Holds what is asked of configurations until it is told to answer. */
async function holding() {
  let held: (response: ServerResponse) => void = () => {};
  const asked = new Promise<ServerResponse>((resolve) => {
    held = resolve;
  });
  const listener = await openRedirectListener({
    host: '127.0.0.1',
    port: 0,
    connections: { connectionsMax: 10, connectionsPerIpMax: 10, peerOf: (ip) => ip },
    rule: { cdnHost: 'cdn.example', distributionRate: 10 },
    serveConfig: (_request, response) => held(response),
    clock: new VirtualClock(),
    scheduler: realScheduler,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  onTestFinished(() => listener.close());
  return { listener, asked, base: `http://127.0.0.1:${listener.port}` };
}

it('answers what is under way before it has drained, and nobody new', async () => {
  const { listener, asked, base } = await holding();
  const answer = fetch(`${base}/config`);
  const response = await asked;
  let isDrained = false;
  const drained = listener.drain(60_000).then(() => {
    isDrained = true;
  });
  await expect(fetch(`${base}/?video=http://s1.origin.example/`)).rejects.toThrow('fetch failed');
  expect(isDrained).toBe(false);
  response.end('done');
  expect(await (await answer).text()).toBe('done');
  await drained;
});

it('waits no longer than it is given, and cuts the rest when it closes', async () => {
  const { listener, asked, base } = await holding();
  const answer = fetch(`${base}/config`);
  answer.catch(() => {});
  await asked;
  await listener.drain(1);
  await listener.close();
  await expect(answer).rejects.toThrow('fetch failed');
});

it('drains at once where nothing waits', async () => {
  const { listener, base } = await holding();
  const video = `${base}/?video=http://s1.origin.example/`;
  expect((await fetch(video, { redirect: 'manual' })).status).toBe(301);
  await listener.drain(60_000);
  await expect(fetch(video)).rejects.toThrow('fetch failed');
});
