import { otherBench } from '../other-bench.ts';
import type { Row } from '../row.ts';

const RATIO_MAX = 3;

/** As choose-bench.ts writes it: nanoseconds of choosing, granting and releasing in a pool of 100 and of a million. */
interface Chosen {
  readonly strategy: string;
  readonly smallNs: number;
  readonly largeNs: number;
}

export const choose: Row = {
  name: 'choose',
  title: 'choosing in a pool of 1,000,000 to one of 100',
  figure: `≤ ${RATIO_MAX} ×`,
  async run(context) {
    const strategies = await otherBench<Chosen[]>('server/testing/choose-bench.js', () => [], context);
    const ratioOf = ({ smallNs, largeNs }: Chosen) => largeNs / smallNs;
    const worst = strategies.reduce((one, other) => (ratioOf(one) > ratioOf(other) ? one : other));
    return {
      measures: [
        { name: 'ours', value: worst.largeNs, unit: 'ns' },
        { name: 'peer', value: worst.smallNs, unit: 'ns' },
        { name: 'ratio', value: ratioOf(worst), unit: '×' },
        ...strategies.flatMap((one) => [
          { name: `${one.strategy}: pool of 100`, value: one.smallNs, unit: 'ns' },
          { name: `${one.strategy}: pool of 1,000,000`, value: one.largeNs, unit: 'ns' },
          { name: `${one.strategy}: ratio`, value: ratioOf(one), unit: '×' },
        ]),
      ],
      isReached: ratioOf(worst) <= RATIO_MAX,
    };
  },
};
