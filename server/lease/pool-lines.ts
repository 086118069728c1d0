import { parseJson } from './parse-json.ts';
import type { PoolIntake } from './pool-intake.ts';
import { RECORD_BYTES_MAX } from './pool-record.ts';

/** Reads a pool from text that comes in pieces, so that whoever feeds it can let others have their turns in between. */
export interface PoolReader {
  push(text: string): void;
  /** There is no more of it. */
  end(): void;
}

/** Longer lines are no records: room for spaces, and for characters that are written as escapes. */
export const LINE_CHARACTERS_MAX = 4 * RECORD_BYTES_MAX;

/** NDJSON: a record a line. Empty lines are passed over; places are lines, from 1. */
export class PoolLines implements PoolReader {
  readonly #intake: PoolIntake;
  #line = 1;
  /** What has come of the line. Invariant: LINE_CHARACTERS_MAX at most. */
  #text = '';
  #isTooLong = false;

  constructor(intake: PoolIntake) {
    this.#intake = intake;
  }

  push(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#take(text.slice(start, end));
      this.#finishLine();
      start = end + 1;
    }
    this.#take(text.slice(start));
  }

  end(): void {
    this.#finishLine();
  }

  #take(part: string): void {
    this.#isTooLong ||= this.#text.length + part.length > LINE_CHARACTERS_MAX;
    this.#text = this.#isTooLong ? '' : this.#text + part;
  }

  #finishLine(): void {
    if (this.#isTooLong) this.#intake.refuse(this.#line, `has more than ${LINE_CHARACTERS_MAX} characters`);
    else if (this.#text.trim() !== '') this.#parse();
    this.#line += 1;
    this.#text = '';
    this.#isTooLong = false;
  }

  #parse(): void {
    const parsed = parseJson(this.#text);
    if (parsed.ok) this.#intake.take(this.#line, parsed.value);
    // Its own line is always the first.
    else this.#intake.refuse(this.#line, parsed.message.replace(/^line 1, /, ''));
  }
}
