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
  title: 'lease cycle, 50 × 16 in flight, to Redis',
  figure: `≥ ${RATIO_MIN} ×`,
  async run(context) {
    const everybody = [LEASEHOLD_UWS, LEASEHOLD_WS, REDIS, ETCD];
    return throughputResult(await contest(everybody, LOAD, context), REDIS.name, RATIO_MIN);
  },
};
