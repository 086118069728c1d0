/** Figures of many samples, and the result of a row: one that saw failures is never reached. */
import type { Measure, RowContext, RowResult } from '../row.ts';
import { median } from '../statistics.ts';

/** Of samples in any order; NaN where there are none. */
export function quantile(samples: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The same measure of several rounds as its median, under the name that it has in each of them. */
export function medianOfRounds(rounds: readonly (readonly Measure[])[]): Measure[] {
  return (rounds[0] ?? []).map(({ name, unit }, index) => ({
    name,
    unit,
    value: median(rounds.map((measures) => measures[index]!.value)),
  }));
}

/** What went wrong in a row: refusals, errors, notices that never came, sessions lost. */
export class Failures {
  count = 0;
  readonly #kinds = new Map<string, number>();

  add(what: string, count = 1): void {
    if (count === 0) return;
    this.count += count;
    this.#kinds.set(what, (this.#kinds.get(what) ?? 0) + count);
  }

  /** Of each kind how many, once. */
  take(): [what: string, count: number][] {
    const taken = [...this.#kinds];
    this.#kinds.clear();
    this.count = 0;
    return taken;
  }

  /**
   * What a row hands back: `figure` says whether its figure is reached, undefined where it has none. Throws where anything went
   * wrong: figures of a run like that are said, and count for nothing.
   */
  result({ say }: RowContext, measures: readonly Measure[], figure: boolean | undefined, missing?: string): RowResult {
    if (this.count > 0) {
      for (const { name, value, unit } of measures) say(`worth nothing: ${name} ${value} ${unit}`);
      throw new Error(
        `${this.count} failures: ${Array.from(this.#kinds, ([what, count]) => `${count} × ${what}`).join('; ')}`,
      );
    }
    return {
      measures: [...measures, { name: 'failures', value: 0, unit: '' }],
      // A figure that is missed is missed, whatever couldn't be measured.
      isReached: missing === undefined || figure === false ? figure : undefined,
      ...(missing === undefined ? {} : { missing }),
    };
  }
}

/** Throws where it takes longer, naming what was waited for. */
export async function within<Value>(what: string, timeoutMs: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${timeoutMs} ms in vain for ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Does `step` for 0 … `count` − 1, so many at a time. */
export async function inFlight(count: number, lanes: number, step: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await step(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
}
