/** What the benchmarks are told on their command line. */
import { accessSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './processes.ts';

/** Says of a place for JSON that it is standard output. */
export const STANDARD_OUTPUT = '-';
/** What stands for the value of an option that was given none. */
const VALUES = { '--plot': join(ROOT, 'bench-plots'), '--json': STANDARD_OUTPUT } as const;

export interface BenchOptions {
  /** Names as given; undefined: none were. */
  readonly rows: readonly string[] | undefined;
  readonly seconds: number;
  readonly rounds: number;
  readonly dir: string;
  /** A file, or STANDARD_OUTPUT. */
  readonly json: string | undefined;
  /** A folder, which is there by now. */
  readonly plot: string | undefined;
}

/** The call is wrong; the message says how. */
export class UsageError extends Error {}

/** Throws a UsageError also where nothing could be written in the end: that is half an hour away. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { rows, seconds, rounds, dir, json, plot } = parsed(args);
  const options: BenchOptions = {
    rows: rows?.split(',').map((name) => name.trim()),
    seconds: Number(seconds),
    rounds: Number(rounds),
    dir: resolve(dir),
    json: json === undefined || json === STANDARD_OUTPUT ? json : resolve(json),
    plot: plot === undefined ? undefined : resolve(plot),
  };
  if (!(options.seconds > 0 && options.seconds < Number.POSITIVE_INFINITY)) {
    throw new UsageError('--seconds: a number above 0');
  }
  if (!(Number.isInteger(options.rounds) && options.rounds > 0)) throw new UsageError('--rounds: an integer above 0');
  checked('--dir', () => accessSync(join(options.dir, '.'), constants.W_OK));
  if (options.plot !== undefined) checked('--plot', () => mkdirSync(options.plot!, { recursive: true }));
  if (options.json !== undefined && options.json !== STANDARD_OUTPUT) {
    checked('--json', () => closeSync(openSync(options.json!, 'a')));
  }
  return options;
}

function parsed(args: readonly string[]) {
  // parseArgs knows no options whose value may be left out.
  const complete = args.map((arg, index) => {
    const next = args[index + 1];
    const isAlone = next === undefined || (next.startsWith('-') && next !== STANDARD_OUTPUT);
    return isAlone && (arg === '--plot' || arg === '--json') ? `${arg}=${VALUES[arg]}` : arg;
  });
  try {
    return parseArgs({
      args: complete,
      options: {
        rows: { type: 'string' },
        seconds: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '5' },
        dir: { type: 'string', default: tmpdir() },
        json: { type: 'string' },
        plot: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function checked(option: string, look: () => void): void {
  try {
    look();
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
