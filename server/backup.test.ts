/** The README's procedure: copy the folder of a running coordinator, put the copy in its place. */
import { spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Grant } from '../protocol/frames.ts';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const acquire = { type: 'acquire', resource: 7, ttl_ms: 600_000 };

describe('a backup', () => {
  it('taken by copying the folder at any moment holds what was acknowledged by then; restored, no token comes again', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(300));
    // A new segment and a snapshot every second.
    const small = ['--segment-bytes', '4194304', '--snapshot-age-ms', '1000'];
    const flags = ['--data-dir', dir, '--pool', poolFile, ...small];
    let coordinator = await startCoordinator(flags);
    const { client, welcome } = await WireClient.hello(coordinator.port, { resume_window_ms: 600_000 });
    const grant = async () => (await client.request(acquire, 'granted')) as unknown as Grant;
    const kept = await Promise.all(Array.from({ length: 50 }, grant));
    const backup = `${dir}-backup`;
    let highest = 0;
    // Copies in the midst of it; the last one is the one to be restored.
    for (let round = 0; round < 4; round += 1) {
      await rm(backup, { recursive: true, force: true });
      const load = churn(grant, client);
      // A file that goes with a snapshot meanwhile isn't needed; cp says that it is missing, and goes on.
      spawnSync('cp', ['-r', dir, backup]);
      highest = Math.max(highest, await load);
    }
    // What the copy doesn't know of.
    const later = await grant();
    highest = Math.max(highest, later.lease);
    await coordinator.kill('SIGKILL');

    await rm(dir, { recursive: true });
    expect(spawnSync('cp', ['-r', backup, dir]).status).toBe(0);
    coordinator = await startCoordinator(flags);
    const { session, secret } = welcome;
    const restored = await WireClient.hello(coordinator.port, { resume: { session, secret } });
    expect(restored.welcome.resumed).toBe(true);
    const there = new Set(restored.welcome.leases.map(({ lease }) => lease));
    for (const { lease } of kept) expect(there).toContain(lease);
    expect(there).not.toContain(later.lease);
    const next = (await restored.client.request(acquire, 'granted')) as unknown as Grant;
    expect(next.lease).toBeGreaterThan(highest);
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
  });
});

/** Grants and releases, so many at a time that the deltas grow; resolves to the highest token. */
async function churn(grant: () => Promise<Grant>, client: WireClient): Promise<number> {
  let highest = 0;
  for (let turn = 0; turn < 40; turn += 1) {
    const grants = await Promise.all(Array.from({ length: 100 }, grant));
    highest = Math.max(highest, ...grants.map(({ lease }) => lease));
    await Promise.all(grants.map(({ lease }) => client.request({ type: 'release', lease }, 'released')));
  }
  return highest;
}
