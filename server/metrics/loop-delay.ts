import { type Family, family } from './family.ts';

const NS_PER_S = 1e9;
/** 1: the longest. */
const QUANTILES = [0.5, 0.99, 1];

/** What `monitorEventLoopDelay` gives: in each interval of `resolutionMs` how long it really took, in ns. */
export interface LoopMonitor {
  readonly resolutionMs: number;
  readonly count: number;
  readonly mean: number;
  percentile(percentile: number): number;
  reset(): void;
}

/**
 * By how much the event loop is behind: a timer that should come every so often is later by that.
 *
 * The quantiles are of the time since the scrape before: over the whole run nothing would show in them any more. With two
 * that scrape, each sees its own part; `_sum` and `_count` only rise and are the same for all.
 */
export class LoopDelay {
  readonly #monitor: LoopMonitor;
  readonly #resolution: number;
  /** Of the last time in which there was an interval. */
  #quantiles: readonly number[] = QUANTILES.map(() => 0);
  #sum = 0;
  #count = 0;

  constructor(monitor: LoopMonitor) {
    this.#monitor = monitor;
    this.#resolution = monitor.resolutionMs / 1_000;
  }

  family(): Family {
    return family('summary', 'event_loop_delay_seconds', 'How late the event loop is, since the last scrape.', () => {
      this.#read();
      return [
        ...QUANTILES.map((quantile, place) => ({ labels: { quantile }, value: this.#quantiles[place]! })),
        { suffix: '_sum', labels: {}, value: this.#sum },
        { suffix: '_count', labels: {}, value: this.#count },
      ];
    });
  }

  #read(): void {
    const monitor = this.#monitor;
    if (monitor.count === 0) return;
    this.#count += monitor.count;
    this.#sum += this.#delay(monitor.mean) * monitor.count;
    this.#quantiles = QUANTILES.map((quantile) => this.#delay(monitor.percentile(quantile * 100)));
    monitor.reset();
  }

  /** The monitor counts the interval itself as well; a timer may also come a little early. */
  #delay(ns: number): number {
    return Math.max(0, ns / NS_PER_S - this.#resolution);
  }
}
