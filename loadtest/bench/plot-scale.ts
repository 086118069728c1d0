/** From values to places on a picture, and which values an axis names. */

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface Scale {
  readonly place: (value: number) => number;
  /** Rising. */
  readonly ticks: readonly Tick[];
}

const TICKS_MAX = 6;

/** From zero up to a round number above all values. */
export function throughputScale(values: readonly number[], from: number, to: number): Scale {
  const most = Math.max(...values, 1);
  const step = roundStep(most / TICKS_MAX);
  const end = Math.ceil(most / step) * step;
  const count = Math.round(end / step);
  return {
    place: (value) => from + (value / end) * (to - from),
    ticks: Array.from({ length: count + 1 }, (_, nth) => ({ value: nth * step, label: thousands(nth * step) })),
  };
}

/**
 * Logarithmic. Names the values given as `named`, or powers of ten with 2 and 5 between them, which then also bound it.
 * Values are above zero.
 */
export function logScale(values: readonly number[], from: number, to: number, named?: readonly number[]): Scale {
  const least = Math.min(...values);
  const most = Math.max(...values);
  const rounds = named ? [...new Set(named)].toSorted((one, other) => one - other) : roundsAround(least, most);
  const low = Math.log10(rounds[0]!);
  const high = Math.log10(rounds.at(-1)!);
  const ticks = rounds.map((value) => ({ value, label: shortest(value) }));
  // One value alone stands in the middle.
  if (high === low) return { place: () => (from + to) / 2, ticks };
  return { place: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from), ticks };
}

/** Percentiles, each nine as far from the last as that from the one before. */
export function latencyScale(percentiles: readonly number[], from: number, to: number): Scale {
  const own = [...new Set(percentiles)].toSorted((one, other) => one - other);
  const nines = (percentile: number) => -Math.log10(1 - Math.min(percentile, 99.9999) / 100);
  const low = nines(own[0]!);
  const high = nines(own.at(-1)!);
  return {
    place: (value) => (high === low ? (from + to) / 2 : from + ((nines(value) - low) / (high - low)) * (to - from)),
    ticks: own.map((value) => ({ value, label: `p${value}` })),
  };
}

/** 1, 2 or 5 times a power of ten, at or above `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least * 0.999_999) ?? 10);
}

function roundsAround(least: number, most: number): number[] {
  const rounds: number[] = [];
  for (let exponent = Math.floor(Math.log10(least)); exponent <= Math.ceil(Math.log10(most)); exponent += 1) {
    // Fractions by division: 5 × 10 ** -1 is exact this way.
    for (const factor of [1, 2, 5]) rounds.push(exponent < 0 ? factor / 10 ** -exponent : factor * 10 ** exponent);
  }
  const first = rounds.findLastIndex((value) => value <= least);
  const last = rounds.findIndex((value) => value >= most);
  return rounds.slice(first, Math.max(last, first + 1) + 1);
}

function thousands(value: number): string {
  return value >= 1_000 ? `${shortest(value / 1_000)}k` : shortest(value);
}

function shortest(value: number): string {
  return String(Number(value.toPrecision(6)));
}
