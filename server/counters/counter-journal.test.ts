import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { jsonLines, leasehold } from '../testing/command-line.ts';
import { startCoordinator } from '../testing/coordinator-process.ts';
import { CounterRun } from '../testing/counter-run.ts';
import { flip, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { PLANTED } from '../testing/lease-folders.ts';
import { WireClient } from '../testing/wire-client.ts';

const SECTOR = 512;
const NAME = `pages of http://user:${PLANTED}@10.0.0.1:8080`;

/** A run; where the next one has taken over its folder, it finds nothing left to close. */
async function start(dir: string): Promise<CounterRun> {
  const run = await CounterRun.start(dir);
  onTestFinished(() => run.stop().catch(() => undefined));
  return run;
}

/** Six events, one a batch. */
async function countSome(run: CounterRun): Promise<void> {
  await run.count('pages', 1);
  await run.count('pages', 41, 'k');
  await run.count('bytes', 2 ** 40);
  await run.count('others', 7);
  await run.delete('others');
  await run.count(NAME, -3, `l:${PLANTED}@x`);
}

const VALUES = { pages: 42, bytes: 2 ** 40, [NAME]: -3 };

describe('counters in the journal', () => {
  it.each(['nothing', 'a snapshot', 'a snapshot and more'])('are there after a crash with %s', async (behind) => {
    const dir = await temporaryFolder();
    const run = await start(dir);
    await countSome(run);
    if (behind !== 'nothing') await run.snapshot();
    const more = behind === 'a snapshot and more' ? 5 : 0;
    if (more > 0) await run.count('pages', more, 'm');
    const again = await start(dir);
    expect(Object.fromEntries(again.state.values)).toEqual({ ...VALUES, pages: 42 + more });
    expect(again.state.names).toEqual(['bytes', 'pages', NAME]);
    expect(await again.count('pages', 41, 'k')).toEqual({ type: 'counted', counter: 'pages', value: 42 });
    expect(again.state.keys.size).toBe(more > 0 ? 3 : 2);
  });

  it('are verified and dumped, without what a name may hold of credentials', async () => {
    const dir = await temporaryFolder();
    const run = await start(dir);
    await countSome(run);
    await run.snapshot();
    await run.count('pages', 5);
    const { code, stdout } = await leasehold('journal', 'verify', dir);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toContain('no faults');

    const dumped = await leasehold('journal', 'dump', dir);
    expect(dumped.stderr).toBe('');
    const events = jsonLines(dumped).map(({ domain, event, version, fields }) => [domain, event, version, fields]);
    expect(events).toContainEqual(['counters', 'CounterAdded', 1, { counter: 'pages', by: 1, value: 1 }]);
    expect(events).toContainEqual(['counters', 'CounterDeleted', 1, { counter: 'others' }]);
    expect(dumped.stdout).toContain('"key":"k"');

    const whole = await leasehold('journal', 'dump', dir, '--snapshot');
    const records = jsonLines(whole).filter(({ record }) => record !== undefined);
    expect(records.map(({ domain, record }) => [domain, record])).toEqual([
      ['lease', 'meta'],
      ...['counter', 'counter', 'counter', 'key', 'key'].map((record) => ['counters', record]),
    ]);
    expect(records).toContainEqual(expect.objectContaining({ fields: { counter: 'pages', value: 42 } }));
    expect(dumped.stdout + whole.stdout).not.toContain(PLANTED);
  });

  it('are repaired up to the damage, and counted on from there', async () => {
    const dir = await temporaryFolder();
    await countSome(await start(dir));
    const [delta] = (await readdir(dir)).filter((name) => name.endsWith('.delta'));
    const bytes = await readFile(join(dir, delta!));
    // The fourth batch: each is of one sector.
    expect(bytes.subarray(4 * SECTOR, 5 * SECTOR).includes('others')).toBe(true);
    await flip(dir, delta!, 4 * SECTOR + 60);
    expect((await leasehold('journal', 'verify', dir)).code).toBe(65);
    const applied = await leasehold('journal', 'repair', dir, '--apply');
    expect(applied.lines.at(-1)).toBe('repaired: the folder is sound now');
    const again = await start(dir);
    expect(Object.fromEntries(again.state.values)).toEqual({ pages: 42, bytes: 2 ** 40 });
    expect(await again.count('pages', 1)).toMatchObject({ value: 43 });
  });
});

describe('a data folder from before there were counters', () => {
  it('is served, counted in, and sound', async () => {
    const { dir } = await makeGenerations(await temporaryFolder(), { stop: true });
    const coordinator = await startCoordinator(['--data-dir', dir]);
    const { client, welcome } = await WireClient.hello(coordinator.port, { resume_window_ms: 60_000 });
    const count = { type: 'count', counter: 'pages', by: 3, key: 'k' };
    expect(await client.request(count, 'counted')).toMatchObject({ counter: 'pages', value: 3 });
    await coordinator.kill('SIGKILL');
    const again = await startCoordinator(['--data-dir', dir]);
    const { session, secret } = welcome;
    const { client: resumed } = await WireClient.hello(again.port, { resume: { session, secret } });
    expect(await resumed.request(count, 'counted')).toMatchObject({ value: 3 });
    expect(await resumed.request({ type: 'count', counter: 'pages', by: 1 }, 'counted')).toMatchObject({ value: 4 });
    expect((await again.kill('SIGTERM')).code).toBe(0);
    expect((await leasehold('journal', 'verify', dir)).code).toBe(0);
  });
});
