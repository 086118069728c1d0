import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataFolder, samplePool, startCoordinator } from '../../server/testing/coordinator-process.ts';
import { childrenOf, isAlive, startExample } from '../../server/testing/example-process.ts';
import { isSkipped } from '../../server/testing/is-skipped.ts';
import { ISOLATION_LEVELS } from './database.ts';
import { findPostgres } from './postgres.ts';
import { POOL } from './ways.ts';

/** Several times what a slow disk and busy processors make of a few seconds. */
const MS_MAX = 300_000;
const README = resolve(import.meta.dirname, '../../README.md');
const MAIN = 'concurrent-counter/main';
const DRIVE = 'concurrent-counter/drive';

const hasNone = isSkipped('counting in PostgreSQL', (await findPostgres()) === undefined ? 'none is found' : undefined);

interface PrintedRow {
  readonly way: string;
  readonly level: string;
  /** `100   312 ms   41 retries` */
  readonly outcome: string;
  readonly without: string;
}

/** The rows of the table, by its columns. */
function rowsOf(output: string): PrintedRow[] {
  const lines = output.trimEnd().split('\n');
  const header = lines.findIndex((line) => line.startsWith('way '));
  const [level, outcome] = ['isolation level', 'total'].map((column) => lines[header]!.indexOf(column));
  const without = lines[header]!.lastIndexOf('total');
  return lines.slice(header + 1, -1).map((line) => ({
    way: line.slice(0, level).trim(),
    level: line.slice(level, outcome).trim(),
    outcome: line.slice(outcome, without).trim(),
    without: line.slice(without).trim(),
  }));
}

/** The example's server on any free port, ready to be driven. */
async function serve() {
  const server = await startExample(MAIN, ['--serve', '--port', '0']);
  const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(await server.shown('/count'))![0];
  const count = async () => (await (await fetch(`${origin}/count`)).json()) as { count: number; by_method: object };
  return { ...server, origin, count };
}

async function drive(origin: string, ...args: readonly string[]) {
  const driver = await startExample(DRIVE, ['-d', new URL(origin).host, ...args]);
  return { code: await driver.exited, output: driver.output() };
}

describe.skipIf(hasNone)('the counter', () => {
  it(
    'comes to exactly 100 in thirteen of thirteen, without leases and retries in eight of twelve',
    async () => {
      const example = await startExample(MAIN, []);
      const code = await example.exited;
      // First, so that a run that failed shows why.
      expect(example.output()).toMatch(/13 of 13; .* 8 of 12\n$/);
      const rows = rowsOf(example.output());
      expect(rows.length).toBe(13);
      const own = rows.pop()!;
      const levels = rows.map(({ level }) => level);
      expect(levels).toEqual([...ISOLATION_LEVELS, ...ISOLATION_LEVELS, ...ISOLATION_LEVELS]);
      for (const { way, level, outcome, without } of rows) {
        const isStrict = level === 'repeatable read' || level === 'serializable';
        // Alone under its lease, nobody has to try twice; an add that meets others has to, where the level is strict.
        const remark = way === 'add in the database' && isStrict ? ' +[1-9]\\d* retries' : '';
        expect([way, level, outcome]).toEqual([way, level, expect.stringMatching(`^100 +\\d+ ms${remark}$`)]);
        if (way === 'lease on the table' || !isStrict) {
          expect([way, level, without]).toEqual([way, level, expect.stringMatching(/^100 +\d+ ms$/)]);
          continue;
        }
        const [, total, failures] = /^(\d+) +\d+ ms +(\d+) × 40001$/.exec(without) ?? [];
        expect([way, level, without, Number(total) + Number(failures)]).toEqual([way, level, without, 100]);
        expect(Number(total)).toBeLessThan(100);
      }
      expect(own).toEqual({
        way: 'counter of Leasehold',
        level: '-',
        outcome: expect.stringMatching(/^100 +\d+ ms$/) as string,
        without: '',
      });
      expect(example.output()).not.toContain('Warning');
      expect(code).toBe(0);
      expect(await readdir(example.folder)).toEqual([]);
    },
    MS_MAX,
  );

  it(
    'ends what it has started and removes its folders when it is interrupted',
    async () => {
      const example = await startExample(MAIN, []);
      await example.shown('isolation level');
      const children = await childrenOf(example.child);
      expect(children.length).toBe(2);
      example.child.kill('SIGINT');
      expect(await example.exited).toBe(1);
      expect(example.output()).toContain('interrupted');
      expect(children.filter(isAlive)).toEqual([]);
      expect(await readdir(example.folder)).toEqual([]);
    },
    MS_MAX,
  );

  it(
    'is served over HTTP, driven by 100 requests at one time, and says what is wrong with a request',
    async () => {
      const { origin, count, child, exited, folder } = await serve();
      const counter = `${origin}/api/v1/endpoint/counter`;
      const wrong = [
        [404, `${counter}/4`, 'POST'],
        [404, `${counter}/one`, 'GET'],
        [404, `${origin}/counts`, 'GET'],
        [405, `${counter}/1`, 'DELETE'],
        [405, `${origin}/count`, 'POST'],
        [422, `${counter}/1?isolation=snapshot`, 'POST'],
      ] as const;
      for (const [status, url, method] of wrong) {
        const response = await fetch(url, { method });
        const problem = [url, status, 'application/problem+json'];
        expect([url, response.status, response.headers.get('content-type')]).toEqual(problem);
        expect(await response.json()).toMatchObject({ status, code: status, message: expect.any(String) as string });
      }
      expect(await count()).toEqual({ count: 0, by_method: { 1: 0, 2: 0, 3: 0 } });

      expect(await drive(origin, '-n', '1')).toEqual({
        code: 0,
        output: expect.stringMatching(/before: 0\n.*after: +100,.*\n.*failures: +0\n$/) as string,
      });
      // All ways at once, each in a row of its own.
      await Promise.all(['1', '2', '3'].map((method) => drive(origin, '-n', method, '--isolation', 'serializable')));
      expect(await count()).toEqual({ count: 400, by_method: { 1: 200, 2: 100, 3: 100 } });
      const got = await fetch(`${counter}/2?isolation=repeatable+read`);
      expect(await got.json()).toEqual({ method: 2, isolation: 'repeatable read', value: 101, attempts: 1 });
      expect(await drive(origin, '-n', '1', '--isolation', 'snapshot')).toEqual({
        code: 1,
        output: expect.stringMatching(/failures: +100\n.*422/) as string,
      });

      child.kill('SIGTERM');
      expect(await exited).toBe(0);
      expect(await readdir(folder)).toEqual([]);
    },
    MS_MAX,
  );
});

it('says what the pool of a coordinator lacks that is not its own', async () => {
  const { dir, poolFile } = await dataFolder(samplePool(1));
  const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
  const example = await startExample(MAIN, ['--url', `ws://127.0.0.1:${coordinator.port}`]);
  expect(await example.exited).toBe(1);
  expect(example.output()).toContain(`the coordinator's pool lacks ${JSON.stringify(POOL[0])}`);
});

it('is shown in the README by commands that there are', async () => {
  const readme = await readFile(README, 'utf8');
  const { scripts } = JSON.parse(await readFile(join(README, '../package.json'), 'utf8')) as { scripts: object };
  expect(readme).toContain('npm run example:counter');
  expect(scripts).toHaveProperty('example:counter');
  const commands = readme.matchAll(/^node dist\/examples\/(concurrent-counter\/\w+)\.js ([^#\n]*)/gm);
  const shown = [...commands].map(([, program, args]) => ({ program: program!, args: args!.trim().split(/\s+/) }));
  expect(new Set(shown.map(({ program }) => program))).toEqual(new Set([MAIN, DRIVE]));
  for (const { program, args } of shown) {
    // A flag too many, after those shown: it is the only one that is complained of.
    const example = await startExample(program, [...args, '--no-such-flag']);
    expect(await example.exited).toBe(64);
    expect(example.output()).toContain("'--no-such-flag'");
  }
});

it('names the flag that is wrong', async () => {
  const wrong = [
    [MAIN, '--port', '70000'],
    [MAIN, '--url', 'localhost'],
    [DRIVE, '-d', 'localhost', '-n', '1'],
    [DRIVE, '-d', 'localhost:80', '-n', '4'],
  ] as const;
  for (const [program, ...args] of wrong) {
    const example = await startExample(program, args);
    expect(await example.exited).toBe(64);
    expect(example.output()).toContain(`${args.at(-2)}:`.replace('-n:', args[3] === '4' ? '-n:' : '-d:'));
  }
});
