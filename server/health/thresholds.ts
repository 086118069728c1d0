/** When results make a change: so many in a row that say the same. */
export interface Thresholds {
  /** Good ones that bring back what is out. */
  readonly up: number;
  /** Bad ones that take out what is in. */
  readonly down: number;
}

/** Consecutive results of one member. What was in or out before is kept by whoever owns the member. */
export class Streak {
  /** Above 0: good results in a row, below: bad ones. */
  #length = 0;

  /** Whether the member is in after this result. */
  take(isGood: boolean, isIn: boolean, { up, down }: Thresholds): boolean {
    if (isGood) this.#length = Math.max(0, this.#length) + 1;
    else this.#length = Math.min(0, this.#length) - 1;
    return isIn ? this.#length > -down : this.#length >= up;
  }

  /** Whether the last result was bad. */
  get isBad(): boolean {
    return this.#length < 0;
  }

  /** What was counted says nothing any more: the member is begun anew. */
  forget(): void {
    this.#length = 0;
  }
}
