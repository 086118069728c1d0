/** The built coordinator over a folder, and a load on it from a process of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type LoadOptions, runLoad, type Sample } from './request-load.ts';

const SELF = fileURLToPath(import.meta.url);
const MAIN = resolve(import.meta.dirname, '../main.js');
/** This module, as a process, with the LoadOptions behind it. */
const LOAD = '--run-load';
/** What it says behind its last samples. */
const DONE = 'done';

export interface LoadedCoordinatorOptions {
  readonly dir: string;
  readonly flags: readonly string[];
  readonly load: Omit<LoadOptions, 'port'>;
  /** Of its log, once it serves. */
  readonly onLine?: (line: string) => void;
  readonly onSamples?: (samples: readonly Sample[]) => void;
}

export class LoadedCoordinator {
  readonly #coordinator: ChildProcess;
  readonly #load: ChildProcess;

  /** Resolves when it serves and the load has begun. Neither process outlives this one. */
  static async start({ dir, flags, load, onLine, onSamples }: LoadedCoordinatorOptions): Promise<LoadedCoordinator> {
    const arguments_ = ['--port', '0', '--admin-port', '0', '--data-dir', dir, ...flags];
    const coordinator = spawn(process.execPath, [MAIN, ...arguments_], { stdio: ['ignore', 'pipe', 'inherit'] });
    process.once('exit', () => coordinator.kill('SIGKILL'));
    const lines = createInterface(coordinator.stdout);
    const port = await new Promise<number>((done, failed) => {
      coordinator.once('close', () => failed(new Error('the coordinator did not start')));
      lines.on('line', (line) => {
        if (line.includes('"ready"')) done((JSON.parse(line) as { port: number }).port);
      });
    });
    if (onLine) lines.on('line', onLine);
    const options: LoadOptions = { ...load, port };
    const loader = fork(SELF, [LOAD, JSON.stringify(options)]);
    loader.on('message', (message) => {
      if (message !== DONE) onSamples?.(message as Sample[]);
    });
    return new LoadedCoordinator(coordinator, loader);
  }

  private constructor(coordinator: ChildProcess, load: ChildProcess) {
    this.#coordinator = coordinator;
    this.#load = load;
  }

  /** Resolves when the load has come to its end. */
  async loaded(): Promise<void> {
    await new Promise<void>((done, failed) => {
      this.#load.on('message', (message) => {
        if (message === DONE) done();
      });
      this.#load.once('close', () => failed(new Error('the load ended early')));
    });
  }

  /** Ends the load, then the coordinator. SIGKILL: the coordinator first, in the middle of the load. Rejects where one had ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const hadEnded = [this.#coordinator, this.#load].some(hasEnded);
    if (signal === 'SIGKILL') this.#coordinator.kill(signal);
    this.#load.kill('SIGKILL');
    this.#coordinator.kill(signal);
    await ended(this.#coordinator);
    if (hadEnded) throw new Error('the coordinator, or the load, ended early');
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

export async function ended(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await new Promise((done) => child.once('close', done));
}

if (process.argv[1] === SELF && process.argv[2] === LOAD) {
  process.once('disconnect', () => process.exit(0));
  await runLoad(JSON.parse(process.argv[3]!) as LoadOptions, (samples) => process.send!(samples));
  process.send!(DONE);
}
