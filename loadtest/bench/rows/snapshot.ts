import { otherBench } from '../other-bench.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const RATIO_MAX = 1.5;
/** Of each load: three snapshots. */
const SECONDS = 360;

/** As snapshot-bench.ts writes it. */
interface Compared {
  readonly name: string;
  readonly p99WithoutMs: number;
  readonly p99WithinMs: number;
  /** Of each window with a snapshot to the one without before it. */
  readonly pairs: readonly number[];
}

export const snapshot: Row = {
  name: 'snapshot',
  title: 'p99 while a snapshot is taken, to without',
  figure: `≤ ${RATIO_MAX} ×`,
  async run(context) {
    const loads = await otherBench<Compared[]>('server/testing/snapshot-bench.js', argumentsFor, context);
    const short = loads.find(({ pairs }) => pairs.length === 0);
    if (short) return { measures: [], isReached: undefined, missing: `${short.name}: no snapshot came to its end` };
    const ratios = loads.map(({ pairs }) => median(pairs));
    const worst = Math.max(...ratios);
    const slowest = loads[ratios.indexOf(worst)];
    const measures = loads.flatMap(({ name, p99WithoutMs, p99WithinMs }, index) => [
      { name: `${name}: p99 without`, value: p99WithoutMs, unit: 'ms' },
      { name: `${name}: p99 with`, value: p99WithinMs, unit: 'ms' },
      { name: `${name}: ratio, median of pairs`, value: ratios[index]!, unit: '×' },
    ]);
    return {
      measures: [
        { name: 'ours', value: slowest?.p99WithinMs ?? Number.NaN, unit: 'ms' },
        { name: 'peer', value: slowest?.p99WithoutMs ?? Number.NaN, unit: 'ms' },
        { name: 'ratio', value: worst, unit: '×' },
        ...measures,
      ],
      isReached: worst <= RATIO_MAX,
    };
  },
};

function argumentsFor(folder: string): string[] {
  return ['--seconds', String(SECONDS), '--no-spinner', '--dir', folder];
}
