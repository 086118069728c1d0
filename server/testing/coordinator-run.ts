/** The built coordinator as a process, for whoever starts it: tests by way of coordinator-process.ts, and fault runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_DIR } from './project.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Every line of stdout and stderr. */
  readonly output: readonly string[];
}

export interface CoordinatorRun {
  readonly child: ChildProcess;
  /** Lines so far. */
  readonly output: readonly string[];
  /** Once all that it said has been read. */
  readonly exited: Promise<Exit>;
}

export interface CoordinatorProcess {
  readonly pid: number;
  readonly port: number;
  readonly adminPort: number;
  /** Lines so far. */
  readonly output: readonly string[];
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

export interface CoordinatorRunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** The folder that holds `dist/`; absent: the project's. */
  readonly build?: string;
  /** What is put before `node`: a tracer, which must leave its process id to the coordinator. */
  readonly wrapper?: readonly string[];
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

/** Runs the coordinator with `flags` until it ends. Ports are free ones unless the flags say otherwise. */
export function spawnCoordinator(flags: readonly string[], options: CoordinatorRunOptions = {}): CoordinatorRun {
  const { env = {}, build = PROJECT_DIR, wrapper = [] } = options;
  const main = join(build, 'dist/server/main.js');
  const [command, ...arguments_] = [...wrapper, process.execPath, main, '--port', '0', '--admin-port', '0', ...flags];
  const output: string[] = [];
  const child = spawn(command!, arguments_, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => output.push(line));
  const exited = new Promise<Exit>((done) => {
    child.on('close', (code, signal) => done({ code, signal, output }));
  });
  return { child, output, exited };
}

/** Waits until the coordinator is ready. Throws its output where it ends before. */
export async function readyCoordinator({ child, output, exited }: CoordinatorRun): Promise<CoordinatorProcess> {
  const ready = new Promise<{ port: number; adminPort: number }>((done) => {
    createInterface(child.stdout!).on('line', (line) => {
      const entry = parseLine(line);
      if (entry?.['msg'] === 'ready') done(entry as { port: number; adminPort: number });
    });
  });
  const first = await Promise.race([ready, exited]);
  if (!('port' in first)) throw new Error(`the coordinator didn't start:\n${first.output.join('\n')}`);
  return {
    pid: child.pid!,
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
