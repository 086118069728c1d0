import { describe, expect, it } from 'vitest';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const REQUESTS_PER_SECOND = 150;
const SECONDS = 20;
const TRANSPORTS = ['uws', 'ws'];

/** As many as 50 a second make in a minute, three times as fast; over both transports at once, on one machine. */
describe(`${REQUESTS_PER_SECOND} requests a second for ${SECONDS} s`, () => {
  it('are all granted, over each transport', async () => {
    const counts = await Promise.all(TRANSPORTS.map(grantedOver));
    expect(counts).toEqual(TRANSPORTS.map(() => REQUESTS_PER_SECOND * SECONDS));
  });
});

async function grantedOver(transport: string): Promise<number> {
  const { dir, poolFile } = await dataFolder(samplePool(100));
  const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile, '--transport', transport]);
  const { client } = await WireClient.hello(coordinator.port);
  const cycles: Promise<void>[] = [];
  const startMs = performance.now();
  for (let request = 0; request < REQUESTS_PER_SECOND * SECONDS; request += 1) {
    const waitMs = startMs + (request * 1_000) / REQUESTS_PER_SECOND - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    cycles.push(cycle(client));
  }
  await Promise.all(cycles);
  await client.close();
  return cycles.length;
}

/** Fails where anything but a grant comes: a hundred addresses are two thirds of a second's requests. */
async function cycle(client: WireClient): Promise<void> {
  const granted = await client.request({ type: 'acquire', resource: 7, ttl_ms: 10_000 }, 'granted');
  await client.request({ type: 'release', lease: (granted as { lease: number }).lease }, 'released');
}
