import { contest } from '../contest.ts';
import { ETCD } from '../contestants/etcd.ts';
import { LEASEHOLD_UWS, LEASEHOLD_WS } from '../contestants/leasehold.ts';
import { REDIS } from '../contestants/redis.ts';
import type { Row } from '../row.ts';
import { throughputResult } from './contest-row.ts';

const RATIO_MIN = 1;

/** Everybody there is, one request in flight on each of so many sessions. */
export function cycle(sessions: number): Row {
  return {
    name: `cycle-${sessions}`,
    title: `durable lease cycle, ${sessions} sessions, 1 in flight, against Redis`,
    figure: `≥ ${RATIO_MIN.toFixed(1)} ×`,
    async run(context) {
      const everybody = [LEASEHOLD_UWS, LEASEHOLD_WS, REDIS, ETCD];
      return throughputResult(await contest(everybody, { sessions, inFlight: 1 }, context), REDIS.name, RATIO_MIN);
    },
  };
}
