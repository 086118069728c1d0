/** What a benchmark starts and leaves nothing of: child processes, data folders. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = resolve(import.meta.dirname, '../../..');
/** One that was asked to stop and hasn't by then is killed. */
const STOP_MS_MAX = 10_000;
const READY_MS_MAX = 20_000;
const POLL_MS = 20;
/** Last lines of a child's output that are kept, to show when it fails. */
const LINES_KEPT = 20;
/** USER_HZ, the same on every Linux. */
const TICKS_PER_SECOND = 100;

/** What is still running, and how it is ended at once. */
const alive = new Map<ChildProcess, () => void>();
const folders = new Set<string>();

/** Whatever way this process ends, but for SIGKILL, nothing of it stays. */
process.once('exit', () => {
  for (const kill of alive.values()) kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
// Not once: whoever presses Ctrl-C again would else end us in the middle of that.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => process.exit(code));

/** The environment of a child: nothing of ours that could change how it runs. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] };
}

/** For children made elsewhere: ends with us. */
export function keepTrack(child: ChildProcess, kill: () => void = () => child.kill('SIGKILL')): void {
  alive.set(child, kill);
  child.once('close', () => alive.delete(child));
}

/** Ends a process with all that it has started. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A program that we run, in a process group of its own. */
export class Program {
  readonly commandLine: string;
  /** Resolves when it has ended, to its exit code; null where a signal ended it or it never began. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #isEnded = false;

  constructor(command: string, args: readonly string[], options: SpawnOptions & { onLine?: (line: string) => void }) {
    const { onLine, ...rest } = options;
    this.commandLine = [command === process.execPath ? 'node' : command, ...args].join(' ').replaceAll(ROOT, '.');
    this.#child = spawn(command, args, {
      ...rest,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(),
    });
    keepTrack(this.#child, () => killGroup(this.#child));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line);
        if (this.#lines.length > LINES_KEPT) this.#lines.shift();
        onLine?.(line);
      });
    }
    this.ended = new Promise((done) => {
      const end = (code: number | null) => {
        this.#isEnded = true;
        done(code);
      };
      this.#child.once('close', end);
      this.#child.once('error', ({ message }) => {
        this.#lines.push(message);
        end(null);
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The last lines that it said. */
  get output(): string {
    return this.#lines.join('\n');
  }

  /** Polls until there is something. Throws where the process has ended, or takes too long. */
  async until<Thing>(
    what: string,
    look: () => Promise<Thing | undefined> | Thing | undefined,
    timeoutMs = READY_MS_MAX,
  ): Promise<Thing> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      const isLate = performance.now() > endMs;
      if (this.#isEnded || isLate) {
        await this.stop();
        const how = isLate ? `took longer than ${timeoutMs} ms` : 'ended';
        throw new Error(`${what}: ${this.commandLine} ${how}:\n${this.output}`);
      }
      await sleep(POLL_MS);
    }
  }

  listening(port: number): Promise<true> {
    return this.until(`listen on ${port}`, async () => ((await isListening(port)) ? true : undefined));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => killGroup(this.#child), STOP_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }

  /** Seconds of a core that it has taken in all; not a number where the system doesn't tell (it does on Linux). */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'latin1').catch(() => '');
    // Behind the name, which may hold anything: state is the first field, user and system time the 12th and 13th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy());
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/** A new folder, which `use` has while it runs, and nobody after that. */
export async function withFolder<Result>(dir: string, use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(dir, 'leasehold-bench-'));
  folders.add(folder);
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

/** Whether it can be run by its name. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}
