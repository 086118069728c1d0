/** What takes members out by their traffic, and for how long: the same rules for pool addresses and for targets. */

/** How long a member stays out, by how often it had to go. */
export interface EjectionTerms {
  /** The first time; the second time twice as long, and so on. */
  readonly ejectionMs: number;
  readonly ejectionMaxMs: number;
}

/** The ejections of one member. */
export class Ejections {
  #inARow = 0;
  #backMs = -Infinity;

  /** It goes now: for how long. Having been back for `ejectionMaxMs` without trouble, it begins anew. */
  next(nowMs: number, { ejectionMs, ejectionMaxMs }: EjectionTerms): number {
    if (this.isForgotten(nowMs, ejectionMaxMs)) this.#inARow = 0;
    this.#inARow += 1;
    return Math.min(ejectionMs * this.#inARow, ejectionMaxMs);
  }

  back(nowMs: number): void {
    this.#backMs = nowMs;
  }

  /** Whether what has been says nothing any more about what comes. Of a member that is back. */
  isForgotten(nowMs: number, ejectionMaxMs: number): boolean {
    return this.#inARow === 0 || nowMs - this.#backMs >= ejectionMaxMs;
  }
}

/** Whether one more of `size` members may be out, `out` of them being so: a share of them, and always one. */
export function mayEject(out: number, size: number, shareMax: number): boolean {
  return out < Math.max(1, Math.floor(size * shareMax));
}
