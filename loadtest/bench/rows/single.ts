import { contest, medianOf } from '../contest.ts';
import { LEASEHOLD_UWS, LEASEHOLD_WS } from '../contestants/leasehold.ts';
import { REDIS } from '../contestants/redis.ts';
import { durableWriteMs } from '../durable-write.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';
import { type ContestResult, detailsOf, OURS } from './contest-row.ts';

const RATIO_MAX = 1.5;
/** Of a contestant's turn. */
const WRITES_SHARE = 0.25;

export const single: Row = {
  name: 'single',
  title: "one session: p50 to the disk's own write",
  figure: `≤ ${RATIO_MAX} ×`,
  async run(context): Promise<ContestResult> {
    const writesMs: number[] = [];
    const load = { sessions: 1, inFlight: 1 };
    const { scores, missing } = await contest([LEASEHOLD_UWS, LEASEHOLD_WS, REDIS], load, context, (folder) => {
      const writeMs = durableWriteMs(folder, context.seconds * 1_000 * WRITES_SHARE);
      writesMs.push(writeMs);
      context.say(`a durable write of the machine's own takes ${writeMs.toFixed(3)} ms`);
    });
    const ours = scores.find(({ name }) => name === OURS.name);
    // Of each round the mean of both sides.
    const roundsMs = scores[0]!.turns.map((_, round) => (writesMs[2 * round]! + writesMs[2 * round + 1]!) / 2);
    const ratio = ours && median(ours.turns.map(({ latencies }, round) => latencies.p50 / roundsMs[round]!));
    // No answer is quicker than the write that it waits for, on a disk that is the same all the while.
    const isSteady = ratio === undefined || ratio >= 1;
    const lacking = isSteady
      ? missing
      : [...missing, "nothing can be said: the disk's own write changed from turn to turn"];
    return {
      measures: [
        ...(ours ? [{ name: 'ours', value: medianOf(ours, ({ latencies }) => latencies.p50), unit: 'ms' }] : []),
        { name: 'peer', value: median(roundsMs), unit: 'ms' },
        ...(ratio === undefined ? [] : [{ name: 'ratio', value: ratio, unit: '×' }]),
        ...detailsOf(scores),
      ],
      isReached: ratio === undefined || !isSteady ? undefined : ratio <= RATIO_MAX,
      ...(lacking.length > 0 && { missing: lacking.join('; ') }),
      contestants: scores,
    };
  },
};
