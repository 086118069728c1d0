import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonLines, leasehold } from '../testing/command-line.ts';
import { dataFolder, samplePool, startCoordinator } from '../testing/coordinator-process.ts';
import { flip, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { acquire, makeHistory, makeTraffic, PLANTED } from '../testing/lease-folders.ts';
import { LeaseJournal } from '../testing/lease-journal.ts';
import { WireClient } from '../testing/wire-client.ts';

const utc = (second: number, minute = 0) => new Date(Date.UTC(2026, 0, 5, 0, minute, second)).toISOString();

/** The leases of an answer, without what every one of them has. */
async function heldAt(dir: string, time: string, ...options: string[]) {
  const result = await leasehold('journal', 'at', dir, time, '--json', ...options);
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
  const [moment, ...leases] = jsonLines(result);
  expect(result.stdout).not.toContain(PLANTED);
  return { moment: moment!, leases };
}

describe('leasehold journal at', () => {
  it('says who held what, and how each lease ended', async () => {
    const dir = await temporaryFolder();
    const { run, tokens } = await makeHistory(dir);
    const { moment, leases } = await heldAt(dir, utc(11));
    expect(moment).toMatchObject({
      utc: utc(11),
      coordinator: 'running',
      end_position: run.position,
      clock_set_back: false,
    });
    const one = {
      resource: 7,
      ttl_ms: 60_000,
      remaining_ms: 50_000,
      requests: 1,
      granted_utc: utc(1),
      granted_day: '2026-01-05',
    };
    expect(leases).toEqual([
      {
        type: 'lease',
        ...one,
        lease: tokens.expired,
        address_id: 2,
        address: '***@10.0.0.2:8080',
        holder: { kind: 'session', session: 'one' },
        ttl_ms: 20_000,
        remaining_ms: 10_000,
        revoking: null,
        end: 'expired',
        reason: null,
        ended_utc: utc(21),
        ended_position: expect.any(Number) as number,
      },
      expect.objectContaining({
        ...one,
        lease: tokens.revoked,
        end: 'revoked',
        reason: 'operator',
        ended_utc: utc(12),
      }),
      expect.objectContaining({
        lease: tokens.held,
        holder: { kind: 'secret' },
        resource: 8,
        end: null,
        ended_utc: null,
      }),
      expect.objectContaining({ lease: tokens.lost, granted_utc: utc(11), end: 'session_lost', ended_utc: utc(23) }),
    ]);
    const before = await heldAt(dir, utc(10));
    expect(before.leases.map(({ lease, end }) => [lease, end])).toEqual([
      [tokens.released, 'released'],
      [tokens.expired, 'expired'],
      [tokens.revoked, 'revoked'],
      [tokens.held, null],
    ]);
  });

  it('finds one resource, and an address by all of it, by host and port, or by id', async () => {
    const dir = await temporaryFolder();
    const { tokens } = await makeHistory(dir);
    const tokensOf = async (...options: string[]) =>
      (await heldAt(dir, utc(5), ...options)).leases.map(({ lease }) => lease);
    expect(await tokensOf('--resource', '8')).toEqual([tokens.held]);
    expect(await tokensOf('--resource', '7', '--address', '3')).toEqual([tokens.revoked]);
    for (const address of [`http://user:${PLANTED}@10.0.0.1:8080`, '1']) {
      expect(await tokensOf('--address', address)).toEqual([tokens.released, tokens.held]);
    }
    expect(await tokensOf('--address', '10.0.0.1')).toEqual([]);
    const text = await leasehold('journal', 'at', dir, utc(5), '--resource', '7', '--address', '10.0.0.1:8080');
    const grant = `granted ${utc(1)}  56 s left  released ${utc(11)}`;
    expect(text.lines).toEqual([
      `${utc(5)}: position 12 of 18, epoch 1`,
      'the coordinator was running',
      `lease ${tokens.released}  resource 7  address 1 http://***@10.0.0.1:8080  session one  ${grant}`,
      '1 lease',
    ]);
  });

  it('looks at what a coordinator is writing', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(3));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const { client } = await WireClient.hello(coordinator.port);
    const granted = await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
    const { leases } = await heldAt(dir, '-1ms');
    expect(leases).toMatchObject([{ lease: (granted as { lease: number }).lease, resource: 7, end: null }]);
    await client.close();
  });

  it('says when the coordinator was down, and lets its clock stand still meanwhile', async () => {
    const dir = await temporaryFolder();
    const { run, tokens, startUtcMs } = await makeHistory(dir);
    await run.stop();
    const later = await LeaseJournal.start(dir, startUtcMs + 120_000);
    await later.advance(5_000);
    const down = await heldAt(dir, utc(30, 1));
    expect(down.moment).toMatchObject({ coordinator: 'stopped', since_utc: utc(30), until_utc: utc(0, 2) });
    expect(down.leases).toMatchObject([{ lease: tokens.held, remaining_ms: 571_000, end: null }]);
    expect((await heldAt(dir, utc(1, 2))).leases).toMatchObject([{ lease: tokens.held, remaining_ms: 571_000 }]);
    expect((await heldAt(dir, '2025-12-31T23:00:00-01:00')).moment).toMatchObject({
      coordinator: 'not_begun',
      position: 0,
    });
    const after = await heldAt(dir, '-1s');
    expect(after.moment).toMatchObject({ coordinator: 'unknown', until_utc: null });
  });

  it('says when a run ended without a stop, and takes a time that was shown twice as it was shown last', async () => {
    const dir = await temporaryFolder();
    const { run, startUtcMs } = await makeHistory(dir);
    run.driver.utcMs = startUtcMs + 20_000;
    const late = await acquire(run, 'one', 7, 60_000, 50);
    // A crash: the first run never stops, and the next one reads what it left.
    const next = await LeaseJournal.start(dir, startUtcMs + 60_000);
    await next.advance(1_000);
    const repeated = await heldAt(dir, utc(22));
    expect(repeated.moment).toMatchObject({
      coordinator: 'ended',
      since_utc: utc(20),
      until_utc: utc(0, 1),
      clock_set_back: true,
    });
    expect(repeated.leases.map(({ lease }) => lease)).toContain(late);
    expect((await heldAt(dir, utc(15))).moment).toMatchObject({ clock_set_back: false });
  });

  it('says nothing of a moment that lies in what has gone', async () => {
    const dir = await temporaryFolder();
    const { run } = await makeHistory(dir);
    // Some forty batches in a segment.
    for (let second = 0; second < 60; second += 1) {
      await run.advance(1_000);
      await makeTraffic(run, 1);
    }
    const files = jsonLines(await leasehold('journal', 'verify', dir, '--json'));
    const deltas = files.filter(({ kind }) => kind === 'delta');
    const { name, from_utc, to_utc } = deltas.at(-2)!;
    const moment = new Date((Date.parse(from_utc as string) + Date.parse(to_utc as string)) / 2).toISOString();
    expect((await heldAt(dir, moment)).moment).toMatchObject({ coordinator: 'running' });
    await rm(join(dir, name as string));
    const gone = await leasehold('journal', 'at', dir, moment);
    expect(gone).toMatchObject({ code: 65, stdout: '' });
    expect(gone.stderr).toMatch(/: \d+ to \d+ are missing\n$/);
  });

  it('names the owner of a lease that was taken over HTTP', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(3));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    expect((await fetch(`http://127.0.0.1:${coordinator.adminPort}/allocate/7/60`, { method: 'POST' })).status).toBe(
      200,
    );
    const { stdout } = await leasehold('journal', 'at', dir, '-1ms');
    expect(stdout).toContain('  secret ip 127.0.0.1  ');
  });

  it('knows what is older than the files by the day alone, and says where they begin', async () => {
    const { dir, newDelta } = await makeGenerations(await temporaryFolder());
    const { leases } = await heldAt(dir, utc(30));
    expect(leases).toMatchObject([{ resource: 8, granted_utc: null, granted_day: '2026-01-05', end: null }]);
    const text = await leasehold('journal', 'at', dir, utc(30));
    expect(text.stdout).toContain('granted on 2026-01-05, before what is kept');
    const tooOld = await leasehold('journal', 'at', dir, utc(20));
    expect(tooOld).toMatchObject({ code: 64, stdout: '' });
    expect(tooOld.stderr).toBe(`nothing is kept from ${utc(20)}: what is kept begins at ${utc(23)}\n`);
    await flip(dir, newDelta, 3 * 512 + 60);
    const damaged = await leasehold('journal', 'at', dir, utc(25));
    expect(damaged.code).toBe(65);
    expect(damaged.stderr).toContain('how leases ended may be missing');
    expect((await leasehold('journal', 'at', dir, utc(30))).code).toBe(65);
    expect((await leasehold('journal', 'at', dir, 'yesterday')).code).toBe(64);
  });
});
