import { describe, expect, it } from 'vitest';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const REQUESTS_PER_SECOND = 50;
const SECONDS = 60;

describe('50 requests a second for a minute', () => {
  it.each(['uws', 'ws'])('are all granted, over %s', async (transport) => {
    const { dir, poolFile } = await dataFolder(samplePool(100));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile, '--transport', transport]);
    const { client } = await WireClient.hello(coordinator.port);
    const cycles: Promise<void>[] = [];
    const startMs = Date.now();
    for (let request = 0; request < REQUESTS_PER_SECOND * SECONDS; request += 1) {
      const waitMs = startMs + (request * 1_000) / REQUESTS_PER_SECOND - Date.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      cycles.push(cycle(client));
    }
    await Promise.all(cycles);
    expect(cycles).toHaveLength(REQUESTS_PER_SECOND * SECONDS);
  });
});

/** Fails where anything but a grant comes: a hundred addresses are more than a second's requests. */
async function cycle(client: WireClient): Promise<void> {
  const granted = await client.request({ type: 'acquire', resource: 7, ttl_ms: 10_000 }, 'granted');
  await client.request({ type: 'release', lease: (granted as { lease: number }).lease }, 'released');
}
