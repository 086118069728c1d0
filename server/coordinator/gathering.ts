/** Looks in a row that may bring nothing, and as a share of the last commit's time: clients are slower than a turn of the loop. */
const VAIN_LOOKS_MAX = 16;
const VAIN_SHARE = 0.25;
/** The longest that a gathering counts for, as a multiple of the commit's time: in the rest of it nobody asked for anything. */
const GATHERING_TIMES_MAX = 2;
/** How much less the last gathering counts with each commit without one. */
const FADING = 0.9;

/**
 * Whether the next commit waits for another look at what clients send.
 *
 * Answers that leave with a commit are followed by what their receivers ask next, moments later. A disk that is faster than
 * the work on all that is best kept busy beside it: the next commit begins with whatever is there. A slower disk would then
 * have half of the clients in each commit, and need two for what one could hold: so where the loop stood idle for the most of
 * a commit, the next one waits until as many requests have come as answers have left; but no longer than a commit takes, and
 * only while looks bring something new.
 */
export class Gathering {
  #isGathering = false;
  #beganMs = 0;
  #tookMs = 0;
  /** End of the last commit. */
  #endedMs = 0;
  /** Of the present commit, in which the loop had something to do. */
  #busyMs = 0;
  /** Since when it has. */
  #busySinceMs: number | undefined;
  /** From the end of a commit to the next, where that one gathered. */
  #gatheringMs = 0;
  /** Requests that may be under way, as answers have left. */
  #expected = 0;
  #came = 0;
  #cameBefore = 0;
  /** When a look last brought something, and how many have not since. */
  #newsMs = 0;
  #vainLooks = 0;

  /** Decides whether what comes until `answersLeft` is waited for. To be asked when a commit has ended. */
  commitEnded(nowMs: number): boolean {
    this.#tookMs = nowMs - this.#beganMs;
    const busyMs = this.#busyMs + (this.#busySinceMs === undefined ? 0 : nowMs - this.#busySinceMs);
    const idleMs = this.#tookMs - busyMs;
    this.#isGathering = idleMs > this.#tookMs / 2 && this.#gatheringMs < this.#tookMs;
    if (!this.#isGathering) this.#gatheringMs *= FADING;
    this.#endedMs = nowMs;
    this.#expected = 0;
    this.#came = 0;
    this.#cameBefore = 0;
    this.#newsMs = nowMs;
    this.#vainLooks = 0;
    return this.#isGathering;
  }

  /** So many outputs have left with the commit that has just ended. */
  answersLeft(count: number): void {
    this.#expected = count;
  }

  /** A request that will be part of the next commit. */
  requestCame(): void {
    this.#came += 1;
  }

  workBegan(nowMs: number): void {
    this.#busySinceMs ??= nowMs;
  }

  workEnded(nowMs: number): void {
    if (this.#busySinceMs !== undefined) this.#busyMs += nowMs - this.#busySinceMs;
    this.#busySinceMs = undefined;
  }

  /** Whether to look once more before the next commit begins. To be asked once in each turn of the loop. */
  isWorthALook(nowMs: number): boolean {
    if (!this.#isGathering) return false;
    if (this.#came > this.#cameBefore) {
      this.#cameBefore = this.#came;
      this.#newsMs = nowMs;
      this.#vainLooks = 0;
    } else this.#vainLooks += 1;
    if (this.#came >= this.#expected || nowMs - this.#endedMs >= this.#tookMs) return false;
    return this.#vainLooks < VAIN_LOOKS_MAX && nowMs - this.#newsMs < VAIN_SHARE * this.#tookMs;
  }

  commitBegins(nowMs: number): void {
    if (this.#isGathering) this.#gatheringMs = Math.min(nowMs - this.#endedMs, GATHERING_TIMES_MAX * this.#tookMs);
    this.#isGathering = false;
    this.#beganMs = nowMs;
    this.#busyMs = 0;
    if (this.#busySinceMs !== undefined) this.#busySinceMs = nowMs;
  }
}
