import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';

const DEMO = resolve(import.meta.dirname, '../dist/examples/demo.js');
const DEMO_MS_MAX = 120_000;

/** The built demo, with a folder for temporary files to itself. */
async function startDemo(args: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'demo-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
  }
  const exited = new Promise<number | null>((done) => child.once('close', done));
  onTestFinished(async () => {
    // It ends what it has started before it ends itself.
    child.kill('SIGTERM');
    await exited;
  });
  return { child, exited, folder, output: () => output.join('') };
}

/** Process ids of what the demo has started. */
async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const children: number[] = [];
  for (const entry of await readdir('/proc')) {
    const stat = /^\d+$/.test(entry) ? await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '') : '';
    // The name in brackets may hold anything; state and parent come after it.
    if (stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(pid)) children.push(Number(entry));
  }
  return children;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it(
  'shows no overlap over a killed collector and a killed coordinator, and leaves nothing behind',
  async () => {
    const demo = await startDemo(['--seconds', '12']);
    const code = await demo.exited;
    const output = demo.output();
    expect(output).not.toContain('NOT AS IT SHOULD BE');
    expect(output.trimEnd().split('\n').at(-1)).toBe('overlaps seen by the target site: 0');
    for (const row of ['pages fetched', 'leases granted', 'leases auto-released', 'sessions resumed']) {
      expect(output).toMatch(new RegExp(`^${row} +[1-9]`, 'm'));
    }
    expect(code).toBe(0);
    expect(await readdir(demo.folder)).toEqual([]);
  },
  DEMO_MS_MAX,
);

it(
  'ends its children and removes its folder when it is interrupted',
  async () => {
    const demo = await startDemo([]);
    await expect.poll(() => demo.output(), { timeout: DEMO_MS_MAX }).toContain('collectors are at work');
    const children = await childrenOf(demo.child);
    expect(children.length).toBe(11);
    demo.child.kill('SIGINT');
    expect(await demo.exited).toBe(1);
    expect(demo.output()).toContain('interrupted');
    expect(children.filter(isAlive)).toEqual([]);
    expect(await readdir(demo.folder)).toEqual([]);
  },
  DEMO_MS_MAX,
);

it('says what it expects of --seconds', async () => {
  const demo = await startDemo(['--seconds', 'soon']);
  expect(await demo.exited).toBe(64);
  expect(demo.output()).toContain('--seconds');
});
