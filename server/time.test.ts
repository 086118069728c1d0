/** Clocks and pauses, against the real process: nothing ends early, nothing lives on, nobody is dropped for them. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Grant, WelcomeFrame } from '../protocol/frames.ts';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const acquire = (ttlMs: number, fields: object = {}) => ({ type: 'acquire', resource: 7, ttl_ms: ttlMs, ...fields });
const resume = ({ session, secret }: WelcomeFrame, windowMs: number) => ({
  resume_window_ms: windowMs,
  resume: { session, secret },
});

async function serve(env: NodeJS.ProcessEnv = {}, flags: readonly string[] = []) {
  const { dir, poolFile } = await dataFolder(samplePool(2));
  const start = () => startCoordinator(['--data-dir', dir, '--pool', poolFile, ...flags], env);
  return { dir, coordinator: await start(), start };
}

async function grant(client: WireClient, ttlMs: number): Promise<Grant> {
  return (await client.request(acquire(ttlMs), 'granted')) as unknown as Grant;
}

describe('a coordinator that stands still for longer than a TTL', () => {
  it('sees no lease past its deadline as live, and drops no session', async () => {
    const { coordinator } = await serve({}, ['--heartbeat-ms', '300']);
    const { client, welcome: away } = await WireClient.hello(coordinator.port, { resume_window_ms: 1_000 });
    const { client: present } = await WireClient.hello(coordinator.port);
    const kept = await grant(client, 60_000);
    const short = await grant(present, 400);
    await client.terminate();
    // Answered when the drop has been seen: what is decided is decided in order.
    await present.request({ type: 'ping' }, 'pong');
    void coordinator.kill('SIGSTOP');
    await sleep(2_000);
    // It is there to be read when the process wakes, before any timer of it.
    const late = present.request({ type: 'renew', lease: short.lease }, 'error');
    void coordinator.kill('SIGCONT');
    expect(await late).toMatchObject({ code: 'lease_lost' });
    expect((await present.push('expired')).lease).toBe(short.lease);
    const { welcome: back } = await WireClient.hello(coordinator.port, resume(away, 1_000));
    expect(back).toMatchObject({ resumed: true, leases: [{ lease: kept.lease }] });
    await present.request({ type: 'ping' }, 'pong');
  });
});

describe('restart every half TTL', () => {
  it('lets the lease expire all the same, by a clock that stands still while the coordinator is away', async () => {
    const ttlMs = 1_500;
    const started = await serve();
    let { coordinator } = started;
    const first = await WireClient.hello(coordinator.port, { resume_window_ms: 60_000 });
    const { lease } = await grant(first.client, ttlMs);
    const remaining = [ttlMs];
    for (let restarts = 0; restarts < 20 && remaining.at(-1)! > 0; restarts += 1) {
      await sleep(ttlMs / 2);
      await coordinator.kill('SIGKILL');
      coordinator = await started.start();
      const { client, welcome } = await WireClient.hello(coordinator.port, resume(first.welcome, 60_000));
      expect(welcome.resumed).toBe(true);
      const held = welcome.leases.find((one) => one.lease === lease);
      remaining.push(held?.ttl_ms ?? 0);
      if (!held) expect(welcome.ended).toMatchObject([{ lease, end: 'expired' }]);
      await client.terminate();
    }
    expect(remaining.at(-1)).toBe(0);
    // Each run took from it: none gave back what an earlier one had counted.
    expect([...remaining].sort((one, other) => other - one)).toEqual(remaining);
  });
});

describe('a wall clock that jumps', () => {
  it.each([3_600_000, -3_600_000])('by %i ms ends no lease early and none late', async (jumpMs) => {
    const { dir, poolFile } = await dataFolder(samplePool(2));
    const offsetFile = join(dirname(poolFile), 'offset');
    const preload = join(dirname(poolFile), 'wall.mjs');
    await writeFile(offsetFile, '0');
    await writeFile(
      preload,
      `import { readFileSync } from 'node:fs';
       const real = Date.now;
       Date.now = () => real() + Number(readFileSync(${JSON.stringify(offsetFile)}, 'utf8') || 0);`,
    );
    const env = { NODE_OPTIONS: `--import ${preload}` };
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile], env);
    const { client } = await WireClient.hello(coordinator.port);
    const ttlMs = 1_000;
    const grantedAtMs = performance.now();
    const { lease } = await grant(client, ttlMs);
    const long = await grant(client, 600_000);
    await writeFile(offsetFile, String(jumpMs));
    await client.request({ type: 'ping' }, 'pong');
    expect(await client.push('expired')).toMatchObject({ lease });
    expect(performance.now() - grantedAtMs).toBeGreaterThanOrEqual(ttlMs);
    const renewed = await client.request({ type: 'renew', lease: long.lease }, 'renewed');
    expect(renewed).toMatchObject({ ttl_ms: 600_000 });
    // The jump was seen: what the process says of the time is by the wall clock.
    const { output } = await coordinator.kill('SIGTERM');
    const lastAtMs = Date.parse((JSON.parse(output.at(-1)!) as { time: string }).time);
    expect(Math.abs(lastAtMs - Date.now() - jumpMs)).toBeLessThan(60_000);
  });
});
