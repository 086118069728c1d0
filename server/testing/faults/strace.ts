/** Faults of the system's own calls, put into a real process by strace, and what it tells of the calls. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** One thread does all file operations, so that a call's number within its thread says which one it is. */
export const ONE_FILE_THREAD = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' };

/** All that changes what is in a folder. */
export const CHANGING_CALLS = [
  'pwrite64',
  'fsync',
  'fdatasync',
  'ftruncate',
  'rename',
  'unlink',
  'openat',
  'creat',
  'mkdir',
  'write',
];

export interface TracedCall {
  readonly thread: number;
  readonly call: string;
  /** Its number among the calls of that name in its thread, from 1: strace's `when`. */
  readonly nth: number;
  readonly arguments: string;
  /** As strace prints it, `-1 EIO (Input/output error) (INJECTED)`; undefined: it never returned. */
  result: string | undefined;
}

const CALL = /^(\d+) +(\w+)\((.*)$/;
const RESUMED = /^(\d+) +<\.\.\. \w+ resumed>(.*)$/;
const UNFINISHED = ' <unfinished ...>';
const RESULT = /\) += (.*)$/;

/** What `strace -f -o` wrote, calls in the order in which they began. */
export function parseTrace(text: string): TracedCall[] {
  const calls: TracedCall[] = [];
  const counts = new Map<string, number>();
  const unfinished = new Map<number, TracedCall>();
  for (const line of text.split('\n')) {
    const resumed = RESUMED.exec(line);
    if (resumed) {
      const call = unfinished.get(Number(resumed[1]));
      if (call) call.result = RESULT.exec(resumed[2]!)?.[1];
      continue;
    }
    const match = CALL.exec(line);
    if (!match) continue;
    const [, threadText, call, rest] = match as unknown as [string, string, string, string];
    const thread = Number(threadText);
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, nth);
    const traced: TracedCall = { thread, call, nth, arguments: rest, result: RESULT.exec(rest)?.[1] };
    calls.push(traced);
    if (rest.endsWith(UNFINISHED)) unfinished.set(thread, traced);
  }
  return calls;
}

export interface TraceOptions {
  /** Where strace writes the calls. */
  readonly trace: string;
  readonly calls: readonly string[];
  /** Strace's own words: `fsync:error=EIO:when=3`. */
  readonly inject?: string | undefined;
  /** Only calls on these files and folders are seen, counted and hit; absent: on all. */
  readonly paths?: readonly string[];
}

/** What is put before a command to trace it; the command keeps its process id, its exit code and its signals. */
export function straceWrapper(options: TraceOptions): string[] {
  // By seccomp only the calls that are asked for stop the process; signals can't be injected that way.
  const seccomp = options.inject?.includes('signal=') ? [] : ['--seccomp-bpf'];
  return ['strace', '-D', ...seccomp, ...flagsOf(options), '--'];
}

/** Traces a process that runs already; it is let go when the tracer is killed. */
export async function attachStrace(pid: number, options: TraceOptions): Promise<ChildProcess> {
  const tracer = spawn('strace', [...flagsOf(options), '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines = createInterface({ input: tracer.stderr! });
  const said: string[] = [];
  const attached = new Promise<void>((done) => {
    lines.on('line', (line) => {
      said.push(line);
      if (line.includes(' attached')) done();
    });
  });
  const exited = once(tracer, 'exit').then(() => {
    throw new Error(`strace did not attach: ${said.join('; ')}`);
  });
  exited.catch(() => undefined);
  await Promise.race([attached, exited]);
  return tracer;
}

function flagsOf({ trace, calls, inject, paths = [] }: TraceOptions): string[] {
  const injection = inject === undefined ? [] : ['-e', `inject=${inject}`];
  const filter = paths.flatMap((path) => ['-P', path]);
  const what = ['-e', 'signal=none', '-e', `trace=${calls.join(',')}`, ...injection, ...filter];
  return ['-f', '-y', '-s', '64', '-o', trace, ...what];
}

/** Why no faults can be injected here; undefined: they can. */
export async function whyNoStrace(): Promise<string | undefined> {
  try {
    await promisify(execFile)('strace', ['-f', '-qq', '-e', 'trace=close', '-e', 'inject=close:delay_enter=1', 'true']);
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n')[0];
  }
}
