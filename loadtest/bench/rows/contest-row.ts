/** What all rows have in common that let contestants take turns. */

import { type Contest, medianOf, ratioOf, type Score, type Turn } from '../contest.ts';
import { LEASEHOLD_UWS } from '../contestants/leasehold.ts';
import type { Measure, Point, RowResult } from '../row.ts';

/** What the figures are about. */
export const OURS = LEASEHOLD_UWS;

const PERCENTILES = { p50: 50, p90: 90, p99: 99, p999: 99.9 } as const;

/** With what was run beside the figures, for whoever repeats it. */
export interface ContestResult extends RowResult {
  readonly contestants: readonly Score[];
}

const perSecond = ({ perSecond: value }: Turn) => value;

/** Operations a second of ours on uWS, on which the figure stands, against those of the contestant named `peer`. */
export function throughputResult({ scores, missing }: Contest, peer: string, figure: number): ContestResult {
  const [ours, theirs] = [OURS.name, peer].map((wanted) => scores.find(({ name }) => name === wanted));
  const ratio = ours && theirs && ratioOf(ours, theirs, perSecond);
  return {
    measures: [
      ...(ours ? [{ name: 'ours', value: medianOf(ours, perSecond), unit: 'operations/s' }] : []),
      ...(theirs ? [{ name: 'peer', value: medianOf(theirs, perSecond), unit: 'operations/s' }] : []),
      ...(ratio === undefined ? [] : [{ name: 'ratio', value: ratio, unit: '×' }]),
      ...detailsOf(scores),
    ],
    isReached: ratio === undefined ? undefined : ratio >= figure,
    ...(missing.length > 0 && { missing: missing.join('; ') }),
    contestants: scores,
  };
}

/** Of each contestant, the ratio of ours to it included. */
export function detailsOf(scores: readonly Score[]): Measure[] {
  const ours = scores.find(({ name }) => name === OURS.name);
  return scores.flatMap((score) => {
    const { name } = score;
    const median = (figure: (turn: Turn) => number) => medianOf(score, figure);
    const ratio = ours && ours !== score ? ratioOf(ours, score, perSecond) : undefined;
    return [
      { name, value: median(perSecond), unit: 'operations/s' },
      ...(ratio === undefined ? [] : [{ name: `${name}: ours / it`, value: ratio, unit: '×' }]),
      { name: `${name}: p50`, value: median(({ latencies }) => latencies.p50), unit: 'ms' },
      { name: `${name}: p99`, value: median(({ latencies }) => latencies.p99), unit: 'ms' },
      { name: `${name}: its CPU`, value: median(({ serverCpu }) => serverCpu), unit: 'cores' },
      { name: `${name}: load generator's CPU`, value: median(({ generatorCpu }) => generatorCpu), unit: 'cores' },
    ];
  });
}

/** For the picture of latencies. */
export function latencyPoints(score: Score): Point[] {
  return Object.entries(PERCENTILES).map(([name, x]) => {
    const y = medianOf(score, ({ latencies }) => latencies[name as keyof typeof PERCENTILES]);
    return { chart: 'latency', series: score.name, x, y };
  });
}
