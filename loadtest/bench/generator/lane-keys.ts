/** Keys and tokens of a session's lanes, for peers that are told which key to lock. */

export interface KeyRange {
  /** That of the session's first lane; those of the others follow. */
  readonly first: number;
  /** From one cycle's key to the next: the lanes of all sessions, so that no two ever meet. */
  readonly step: number;
  /** Keys in all, as many as our pool has addresses; at least `step`. */
  readonly size: number;
}

export const KEY_DIGITS = 8;
export const TOKEN_DIGITS = 16;
/** As they stand in a template. */
export const KEY = `lease:7:${'0'.repeat(KEY_DIGITS)}`;
export const TOKEN = '0'.repeat(TOKEN_DIGITS);
const ZERO = 0x30;

export class LaneKeys {
  readonly #range: KeyRange;
  readonly #keys: Int32Array;
  readonly #tokens: Float64Array;

  constructor(range: KeyRange, lanes: number) {
    this.#range = range;
    this.#keys = Int32Array.from({ length: lanes }, (_, lane) => range.first + lane);
    this.#tokens = Float64Array.from(this.#keys);
  }

  /** The lane's next key, and a token that nobody had before. */
  next(lane: number): void {
    const { first, step, size } = this.#range;
    const key = this.#keys[lane]! + step;
    this.#keys[lane] = key < size ? key : first + lane;
    this.#tokens[lane]! += step;
  }

  /** Into a template whose key ends at `end`. */
  writeKey(lane: number, out: Buffer, end: number): void {
    writeDigits(out, end, this.#keys[lane]!);
  }

  writeToken(lane: number, out: Buffer, end: number): void {
    writeDigits(out, end, this.#tokens[lane]!);
  }
}

/** Decimal digits that end at `end`; those in front of them are zeros already. */
function writeDigits(out: Buffer, end: number, value: number): void {
  for (let left = value, at = end - 1; left > 0; at -= 1) {
    const rest = Math.floor(left / 10);
    out[at] = ZERO + left - rest * 10;
    left = rest;
  }
}
