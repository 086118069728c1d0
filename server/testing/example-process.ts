/** Examples as programs of their own, with a folder for temporary files to themselves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';

const BUILT = resolve(import.meta.dirname, '../../dist/examples');

/** Others may enter the folder for temporary files: an example may start a program as another user. */
const FOLDER_MODE = 0o755;

/** `program` as it was built, by its name within `examples/` without an ending. It ends with the test. */
export async function startExample(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'example-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, FOLDER_MODE);
  const child = spawn(process.execPath, [join(BUILT, `${program}.js`), ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: folder, ...env },
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
  /** Resolves with its output once that holds `text`; rejects with it where the example ends without. */
  const shown = (text: string) =>
    new Promise<string>((done, fail) => {
      const look = () => {
        if (output.join('').includes(text)) done(output.join(''));
      };
      look();
      for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
      void exited.then(() => fail(new Error(`it never said "${text}":\n${output.join('')}`)));
    });
  return { child, exited, folder, output: () => output.join(''), shown };
}

/** Process ids of what the example has started. */
export async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const children: number[] = [];
  for (const entry of await readdir('/proc')) {
    const stat = /^\d+$/.test(entry) ? await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '') : '';
    // The name in brackets may hold anything; state and parent come after it.
    if (stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(pid)) children.push(Number(entry));
  }
  return children;
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
