import { NewerDataError } from '../coordinator/domain.ts';

/** The journal holds damage that no crash leaves behind. Nothing was changed; only an explicit repair may go on. */
export class CorruptJournalError extends Error {
  override readonly name = 'CorruptJournalError';
  readonly file: string;
  readonly offset: number;

  constructor(file: string, offset: number, reason: string, options?: ErrorOptions) {
    super(`${file} is corrupt at byte ${offset}: ${reason}`, options);
    this.file = file;
    this.offset = offset;
  }
}

/** A sound file of a format that this build doesn't know: newer data than the program. */
export class UnknownFormatError extends Error {
  override readonly name = 'UnknownFormatError';

  constructor(file: string, formatVersion: number) {
    super(`${file} has format version ${formatVersion}: was it written by a newer version?`);
  }
}

/**
 * What the domains throw at the records of a sound batch or chunk, with its place. Those of a newer version are no damage, and a
 * lack of memory is none.
 */
export function recordsError(file: string, offset: number, problem: string, error: unknown): Error {
  if (error instanceof NewerDataError || (error instanceof RangeError && error.message.includes('allocation')))
    return error;
  return new CorruptJournalError(file, offset, `${problem}: ${(error as Error).message}`, { cause: error });
}
