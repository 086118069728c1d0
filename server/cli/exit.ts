import { isAboutData, maskText } from '../replay.ts';

/** Exit codes, after sysexits.h; the coordinator's mean the same. */
export const EXIT = { fine: 0, usage: 64, data: 65, internal: 70, storage: 74, held: 75 } as const;

/** A command that can't do what it was asked for, and the code to end with. */
export class Refusal extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs a command to its exit code; what fails is said on stderr. */
export async function ending(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    const isBug = process.exitCode === EXIT.internal;
    process.stderr.write(`${maskText((isBug && (error as Error).stack) || (error as Error).message)}\n`);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Refusal) return error.exitCode;
  if (isAboutData(error)) return EXIT.data;
  return error instanceof Error && 'errno' in error ? EXIT.storage : EXIT.internal;
}
