/** What all rows have in common that let contestants take turns. */
import { type Contest, medianOf, ratioOf, type Score, type Turn } from '../contest.ts';
import type { Measure, Point, RowResult } from '../row.ts';

const PERCENTILES = { p50: 50, p90: 90, p99: 99, p999: 99.9 } as const;

/** With what was run beside the figures, for whoever repeats it. */
export interface ContestResult extends RowResult {
  readonly contestants: readonly Score[];
}

const perSecond = ({ perSecond: value }: Turn) => value;

/** Operations a second of the first contestant against those of the one named `peer`. */
export function throughputResult({ scores, missing }: Contest, peer: string, figure: number): ContestResult {
  const ours = scores[0]!;
  const theirs = scores.find(({ name }) => name === peer);
  const ratio = theirs && ratioOf(ours, theirs, perSecond);
  return {
    measures: [
      { name: 'ours', value: medianOf(ours, perSecond), unit: 'operations/s' },
      ...(theirs ? [{ name: 'peer', value: medianOf(theirs, perSecond), unit: 'operations/s' }] : []),
      ...(ratio === undefined ? [] : [{ name: 'ratio', value: ratio, unit: '×' }]),
      ...detailsOf(scores),
    ],
    isReached: ratio === undefined ? undefined : ratio >= figure,
    ...(missing.length > 0 && { missing: missing.join('; ') }),
    points: scores.flatMap(latencyPoints),
    contestants: scores,
  };
}

/** Of each contestant, the first's ratio to it included. */
export function detailsOf(scores: readonly Score[]): Measure[] {
  return scores.flatMap((score, index) => {
    const { name } = score;
    const measures: Measure[] = [{ name, value: medianOf(score, perSecond), unit: 'operations/s' }];
    if (index > 0)
      measures.push({ name: `${name}: ours / it`, value: ratioOf(scores[0]!, score, perSecond), unit: '×' });
    for (const percentile of ['p50', 'p99'] as const) {
      const value = medianOf(score, ({ latencies }) => latencies[percentile]);
      measures.push({ name: `${name}: ${percentile}`, value, unit: 'ms' });
    }
    measures.push({ name: `${name}: its CPU`, value: medianOf(score, ({ serverCpu }) => serverCpu), unit: 'cores' });
    const value = medianOf(score, ({ generatorCpu }) => generatorCpu);
    measures.push({ name: `${name}: load generator's CPU`, value, unit: 'cores' });
    return measures;
  });
}

function latencyPoints(score: Score): Point[] {
  return Object.entries(PERCENTILES).map(([name, x]) => {
    const y = medianOf(score, ({ latencies }) => latencies[name as keyof typeof PERCENTILES]);
    return { chart: 'latency', series: score.name, x, y };
  });
}
