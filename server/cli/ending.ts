import { EXIT, Refusal } from '../exit.ts';
import { isAboutData, maskText } from '../replay.ts';

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
