import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

const MAIN = resolve(import.meta.dirname, '../../dist/server/main.js');

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Every line of stdout and stderr. */
  readonly output: readonly string[];
}

export interface CoordinatorProcess {
  readonly port: number;
  readonly adminPort: number;
  /** Lines so far. */
  readonly output: readonly string[];
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

/** A folder that goes with the test, and a pool file in it. */
export async function dataFolder(pool?: readonly unknown[]): Promise<{ dir: string; poolFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const poolFile = join(folder, 'pool.json');
  if (pool) await writeFile(poolFile, JSON.stringify(pool));
  return { dir: join(folder, 'data'), poolFile };
}

/** `count` addresses for `resourceIds`, the countries taking turns. */
export function samplePool(count: number, resourceIds: readonly number[] = [7], countries = ['US']) {
  return Array.from({ length: count }, (_, index) => ({
    address: `10.0.${Math.floor(index / 250)}.${(index % 250) + 1}:8080`,
    country: countries[index % countries.length]!,
    rpw: index,
    resource_ids: resourceIds,
  }));
}

/**
 * A free port for a coordinator that is to be started there again. Below those that the system gives to outgoing
 * connections: a client that reconnects in a loop would sooner or later be given the very port it knocks at.
 */
export async function reusablePort(): Promise<number> {
  while (true) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

/** Runs the built coordinator with `flags` until it ends. Ports are free ones unless the flags say otherwise. */
export function runCoordinator(
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
): {
  readonly child: ChildProcess;
  readonly output: readonly string[];
  readonly exited: Promise<Exit>;
} {
  const output: string[] = [];
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--admin-port', '0', ...flags], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => output.push(line));
  const exited = new Promise<Exit>((done) => {
    child.on('close', (code, signal) => done({ code, signal, output }));
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, output, exited };
}

/** Starts the built coordinator and waits until it is ready. Throws its output where it isn't. */
export async function startCoordinator(flags: readonly string[], env?: NodeJS.ProcessEnv): Promise<CoordinatorProcess> {
  const { child, output, exited } = runCoordinator(flags, env);
  const ready = new Promise<{ port: number; adminPort: number }>((done) => {
    createInterface(child.stdout!).on('line', (line) => {
      const entry = parseLine(line);
      if (entry?.['msg'] === 'ready') done(entry as { port: number; adminPort: number });
    });
  });
  const first = await Promise.race([ready, exited]);
  if (!('port' in first)) throw new Error(`the coordinator didn't start:\n${first.output.join('\n')}`);
  return {
    port: first.port,
    adminPort: first.adminPort,
    output,
    exited,
    kill(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
