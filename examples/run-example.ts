/** What every example is around its own work: flags, signals, an exit code, and nothing left behind. */
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';
import { Child } from './demo-processes.ts';

const EXIT_USAGE = 64;

/** Something is wrong with the flags; the message says with which. */
export class UsageError extends Error {}

/** Ends or removes something that the example has made. Called in the end, the last made first. */
export type Cleanup = () => Promise<unknown>;

export interface Example {
  readonly args: readonly string[];
  /** Aborted when the example is interrupted. */
  readonly signal: AbortSignal;
  readonly cleanups: Cleanup[];
}

type FlagTypes = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;
type Flags<Types extends FlagTypes> = {
  readonly [Name in keyof Types]?: Types[Name]['type'] extends 'boolean' ? boolean : string;
};

/** `--name value` and `--name`; throws a UsageError. */
export function parseFlags<const Types extends FlagTypes>(args: readonly string[], types: Types): Flags<Types> {
  try {
    return parseArgs({ args: [...args], options: types }).values as Flags<Types>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** `text`, or `usual` where there is none; throws a UsageError unless it is a number above 0. */
export function positive(flag: string, text: string | undefined, usual: number, most = 1_000_000): number {
  const value = text === undefined ? usual : Number(text);
  if (!(value > 0 && value <= most)) throw new UsageError(`--${flag}: expected a number above 0, ${most} at most`);
  return value;
}

/** Runs it and sets the exit code. Whatever happens, everything that was started is ended and removed. */
export async function runExample(usage: string, run: (example: Example) => Promise<number>): Promise<void> {
  process.exitCode = await exitCodeOf(usage, run);
}

async function exitCodeOf(usage: string, run: (example: Example) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  // As many as there are requests at one time, which is bounded where they are made.
  setMaxListeners(0, stop.signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  // Nobody reads on (`| head`): as good as interrupted.
  process.stdout.on('error', () => stop.abort());
  process.once('exit', () => Child.killAll());
  const cleanups: Cleanup[] = [];
  try {
    return await run({ args: process.argv.slice(2), signal: stop.signal, cleanups });
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n${usage}`);
      return EXIT_USAGE;
    }
    console.error(stop.signal.aborted ? 'interrupted' : error);
    return 1;
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup().catch((error: unknown) => console.error(error));
    Child.killAll();
  }
}
