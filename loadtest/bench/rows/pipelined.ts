import { contest } from '../contest.ts';
import { ETCD } from '../contestants/etcd.ts';
import { LEASEHOLD_UWS, LEASEHOLD_WS } from '../contestants/leasehold.ts';
import { REDIS } from '../contestants/redis.ts';
import type { Row } from '../row.ts';
import { throughputResult } from './contest-row.ts';

const LOAD = { sessions: 50, inFlight: 16 };
const RATIO_MIN = 0.6;

export const pipelined: Row = {
  name: 'pipelined',
  title: 'the same, 50 sessions, 16 in flight, batched',
  figure: `≥ ${RATIO_MIN} ×`,
  async run(context) {
    const scored = await contest([LEASEHOLD_UWS, LEASEHOLD_WS, REDIS, ETCD], LOAD, context);
    // Its latencies are those of a full pipeline: none for the picture.
    const { points: _, ...result } = throughputResult(scored, REDIS.name, RATIO_MIN);
    return result;
  },
};
