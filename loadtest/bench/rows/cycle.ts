import { contest } from '../contest.ts';
import { ETCD } from '../contestants/etcd.ts';
import { LEASEHOLD_UWS, LEASEHOLD_WS } from '../contestants/leasehold.ts';
import { REDIS } from '../contestants/redis.ts';
import type { Row } from '../row.ts';
import { latencyPoints, throughputResult } from './contest-row.ts';

const RATIO_MIN = 1;
/** Whose latencies the picture shows. */
const PICTURED_SESSIONS = 50;

/** Everybody there is, one request in flight on each of so many sessions. */
export function cycle(sessions: number): Row {
  return {
    name: `cycle-${sessions}`,
    title: `lease cycle, ${sessions} sessions, to Redis`,
    figure: `≥ ${RATIO_MIN.toFixed(1)} ×`,
    async run(context) {
      const everybody = [LEASEHOLD_UWS, LEASEHOLD_WS, REDIS, ETCD];
      const result = throughputResult(
        await contest(everybody, { sessions, inFlight: 1 }, context),
        REDIS.name,
        RATIO_MIN,
      );
      return sessions === PICTURED_SESSIONS ? { ...result, points: result.contestants.flatMap(latencyPoints) } : result;
    },
  };
}
