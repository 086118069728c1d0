import { describeItemFault, type Place, placeBehind } from './parse-json.ts';
import type { PoolIntake } from './pool-intake.ts';
import { LINE_CHARACTERS_MAX, type PoolReader } from './pool-lines.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
/** Of either kind: a bracket and a brace differ in CASE_BIT alone. */
const OPENING = 0x7b;
const CLOSING = 0x7d;
const CASE_BIT = 0x20;
const NO_SPACE = /[^ \t\n\r]/;

/** Longer ones are no records. */
export const ITEM_CHARACTERS_MAX = LINE_CHARACTERS_MAX;

/**
 * A JSON array of records; places are indexes, from 0. The array is cut at its commas, and each part parsed by itself as
 * soon as it is there: so nobody waits for the whole, and nothing is kept of what has been read.
 */
export class PoolJson implements PoolReader {
  /** Why the text can't be read; the first that was found. What follows it is passed over. */
  fault: string | undefined;
  readonly #intake: PoolIntake;
  #phase: 'before' | 'within' | 'behind' = 'before';
  #index = 0;
  /** What has come of the part. Invariant: ITEM_CHARACTERS_MAX at most. */
  #text = '';
  #isTooLong = false;
  /** Where the part, or what follows the array, begins. */
  #place: Place = { line: 1, column: 1 };
  /** Within the part. Brackets are only counted: whether they match is seen when it is parsed. */
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor(intake: PoolIntake) {
    this.#intake = intake;
  }

  push(text: string): void {
    let start = 0;
    while (start < text.length && this.fault === undefined) {
      start = this.#phase === 'within' ? this.#cut(text, start) : this.#skip(text, start);
    }
  }

  end(): void {
    if (this.fault !== undefined || this.#phase === 'behind') return;
    const isFirst = this.#phase === 'before' || this.#index === 0;
    this.fault = describeItemFault(this.#text, isFirst, this.#place);
  }

  /** Up to the bracket that opens the array, or to the end of the text; gives the place behind it. */
  #skip(text: string, start: number): number {
    const length = text.slice(start).search(NO_SPACE);
    const at = length === -1 ? text.length : start + length;
    this.#place = placeBehind(text.slice(start, at), this.#place);
    if (at === text.length) return at;
    const { line, column } = this.#place;
    if (this.#phase === 'behind') this.fault = `line ${line}, column ${column}: nothing may follow the value`;
    else if (text[at] !== '[') this.fault = 'a pool is a JSON array of records';
    this.#phase = 'within';
    this.#place = { line, column: column + 1 };
    return at + 1;
  }

  /** Up to what ends the part, or to the end of the text; gives the place behind it. */
  #cut(text: string, start: number): number {
    for (let at = start; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (code === BACKSLASH) this.#isEscaped = true;
        else if (code === QUOTE) this.#isInString = false;
      } else if (code === QUOTE) this.#isInString = true;
      else if ((code | CASE_BIT) === OPENING) this.#depth += 1;
      else if (this.#depth > 0) {
        if ((code | CASE_BIT) === CLOSING) this.#depth -= 1;
      } else if (code === COMMA || (code | CASE_BIT) === CLOSING) {
        this.#keep(text.slice(start, at));
        this.#finishItem(text[at]!);
        return at + 1;
      }
    }
    this.#keep(text.slice(start));
    return text.length;
  }

  #keep(part: string): void {
    this.#isTooLong ||= this.#text.length + part.length > ITEM_CHARACTERS_MAX;
    if (!this.#isTooLong) this.#text += part;
    else {
      // Only where it ends is still of interest.
      this.#place = placeBehind(this.#text + part, this.#place);
      this.#text = '';
    }
  }

  #finishItem(end: string): void {
    const text = this.#text;
    if (this.#isTooLong && end !== '}') {
      this.#intake.refuse(this.#index, `has more than ${ITEM_CHARACTERS_MAX} characters`);
    } else if (end !== ']' || this.#index > 0 || NO_SPACE.test(text)) this.#parse(text, end);
    this.#place = placeBehind(text + end, this.#place);
    this.#phase = end === ',' ? 'within' : 'behind';
    this.#index += 1;
    this.#text = '';
    this.#isTooLong = false;
  }

  #parse(text: string, end: string): void {
    let value: unknown;
    try {
      // A brace that the part doesn't open is no end of an array.
      if (end !== '}') value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    // JSON has no undefined.
    if (value === undefined) this.fault = describeItemFault(text + end, this.#index === 0, this.#place);
    else this.#intake.take(this.#index, value);
  }
}
