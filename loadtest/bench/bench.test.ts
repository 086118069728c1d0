import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';

const BENCH = resolve(import.meta.dirname, '../../dist/loadtest/bench/bench.js');
/** What the coordinator can't do without. */
const NEEDED = 'flock';

interface Report {
  readonly rows: readonly {
    readonly name: string;
    readonly missing?: string;
    readonly measures: readonly { readonly name: string; readonly value: number }[];
    readonly contestants: readonly { readonly name: string; readonly commandLine: string }[];
  }[];
}

it('measures ours where no peer is installed, says so, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bench-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [programs, dir, json] = [join(folder, 'bin'), join(folder, 'data'), join(folder, 'report.json')];
  await Promise.all([mkdir(programs), mkdir(dir)]);
  const found = (process.env['PATH'] ?? '').split(delimiter).find((place) => existsSync(join(place, NEEDED)));
  await symlink(join(found!, NEEDED), join(programs, NEEDED));
  const args = [BENCH, '--rows', 'cycle-50', '--seconds', '0.5', '--rounds', '1', '--dir', dir, '--json', json];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: { PATH: programs } });
  expect(stderr).toContain('round 1 of 1, Leasehold on uws');
  expect(stdout).toMatch(/^cycle-50 .* missing$/m);
  const [row] = (JSON.parse(await readFile(json, 'utf8')) as Report).rows;
  expect(row!.missing).toContain('apt-get install redis-server');
  expect(row!.missing).toContain('apt-get install etcd-server');
  expect(row!.contestants.map(({ name }) => name)).toEqual(['Leasehold on uws', 'Leasehold on ws']);
  expect(row!.contestants[0]!.commandLine).toContain('--transport uws');
  for (const name of ['ours', 'Leasehold on ws', 'Leasehold on ws: ours / it', 'Leasehold on uws: p99']) {
    expect(row!.measures.find((measure) => measure.name === name)?.value).toBeGreaterThan(0);
  }
  expect(await readdir(dir)).toEqual([]);
});

it('refuses a row that there is not', async () => {
  await expect(promisify(execFile)(process.execPath, [BENCH, '--rows', 'cycle-51'])).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringContaining('cycle-500') as unknown,
  });
});
