/** Counts whatever its list doesn't name. */
export const OTHER = 'other';

/**
 * Counts by the words of a closed list. On the way of every lease: 20 ns, where a counter of prom-client's with a label takes
 * 200 even where the label is bound ahead.
 */
export class Tally {
  readonly #words: readonly string[];
  readonly #places: ReadonlyMap<string, number>;
  /** One more than there are words: the last is `other`. */
  readonly #counts: Float64Array;

  constructor(words: readonly string[]) {
    this.#words = words;
    this.#places = new Map(words.map((word, place) => [word, place]));
    this.#counts = new Float64Array(words.length + 1);
  }

  add(word: string): void {
    this.#counts[this.#places.get(word) ?? this.#words.length]! += 1;
  }

  /** Each word of the list, counted or not; `other` only once there was one. */
  *entries(): Generator<readonly [word: string, count: number]> {
    for (const [place, word] of this.#words.entries()) yield [word, this.#counts[place]!];
    const others = this.#counts[this.#words.length]!;
    if (others > 0) yield [OTHER, others];
  }
}
