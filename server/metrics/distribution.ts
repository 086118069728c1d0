import type { Labels, Sample } from './family.ts';

/** How often values fell between given bounds, and their sum: a histogram as Prometheus has it. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** One more than there are bounds: the last is for what lies above them all. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds` rise; each belongs to what it bounds. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let place = 0;
    while (place < this.#bounds.length && value > this.#bounds[place]!) place += 1;
    this.#counts[place]! += 1;
    this.#sum += value;
  }

  *samples(labels: Labels = {}): Generator<Sample> {
    let count = 0;
    for (const [place, within] of this.#counts.entries()) {
      count += within;
      yield { suffix: '_bucket', labels: { ...labels, le: this.#bounds[place] ?? '+Inf' }, value: count };
    }
    yield { suffix: '_sum', labels, value: this.#sum };
    yield { suffix: '_count', labels, value: count };
  }
}
