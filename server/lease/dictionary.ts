const UNKNOWN = -1;
/** Codes of another one for each that is acquired of it, beyond which no table of them all is made. */
const KNOWN_PER_CODE_MAX = 16;

/** Small integers for values that many share. A value that nobody uses any more gives its integer back. */
export class Dictionary<Value> {
  readonly #codes = new Map<string, number>();
  /** By code; a code that is free has uses 0. */
  readonly #entries: { key: string; value: Value; uses: number }[] = [];
  readonly #freeCodes: number[] = [];

  /** Every code is below it. */
  get codesEnd(): number {
    return this.#entries.length;
  }

  /** The code of `value`, which is told from others by `key`, used once more. */
  acquire(key: string, value: Value): number {
    const known = this.#codes.get(key);
    if (known !== undefined) {
      this.#entries[known]!.uses += 1;
      return known;
    }
    const code = this.#freeCodes.pop() ?? this.#entries.length;
    this.#entries[code] = { key, value, uses: 1 };
    this.#codes.set(key, code);
    return code;
  }

  /**
   * In `into` the codes of those values that have `codes` in `other`, each used once more: as `acquire`, without a look at
   * any key twice.
   */
  acquireAll(other: Dictionary<Value>, codes: Uint32Array, into: Uint32Array): void {
    // As long as all that `other` has: for few of many values that would cost more than to look at each key.
    if (codes.length < other.codesEnd / KNOWN_PER_CODE_MAX) {
      for (let index = 0; index < codes.length; index += 1) {
        const { key, value } = other.#entries[codes[index]!]!;
        into[index] = this.acquire(key, value);
      }
      return;
    }
    const known = new Int32Array(other.codesEnd).fill(UNKNOWN);
    for (let index = 0; index < codes.length; index += 1) {
      const theirs = codes[index]!;
      let ours = known[theirs]!;
      if (ours === UNKNOWN) {
        const { key, value } = other.#entries[theirs]!;
        ours = this.acquire(key, value);
        known[theirs] = ours;
      } else this.#entries[ours]!.uses += 1;
      into[index] = ours;
    }
  }

  release(code: number): void {
    const entry = this.#entries[code]!;
    entry.uses -= 1;
    if (entry.uses > 0) return;
    this.#codes.delete(entry.key);
    this.#freeCodes.push(code);
  }

  /** What `holds` says of each value, by code: 1 or 0. Of codes that are free it says nothing of use. */
  verdicts(holds: (value: Value) => boolean): Uint8Array {
    const verdicts = new Uint8Array(this.#entries.length);
    for (const [code, { value, uses }] of this.#entries.entries()) verdicts[code] = uses > 0 && holds(value) ? 1 : 0;
    return verdicts;
  }

  /** The value of a code in use. */
  valueOf(code: number): Value {
    return this.#entries[code]!.value;
  }
}
