import { contest, medianOf } from '../contest.ts';
import { ETCD } from '../contestants/etcd.ts';
import { LEASEHOLD_UWS, LEASEHOLD_WS } from '../contestants/leasehold.ts';
import { REDIS } from '../contestants/redis.ts';
import type { Measure, Point, Row } from '../row.ts';

const SESSIONS = [1, 10, 50, 200, 500, 2_000];

/** For the picture: throughput over sessions. */
export const sessionsSweep: Row = {
  name: 'sessions-sweep',
  title: `lease cycle, ${SESSIONS[0]} to ${SESSIONS.at(-1)} sessions`,
  figure: undefined,
  async run(context) {
    const measures: Measure[] = [];
    const points: Point[] = [];
    const lacking = new Set<string>();
    for (const sessions of SESSIONS) {
      const say = (line: string) => context.say(`${sessions} sessions, ${line}`);
      const everybody = [LEASEHOLD_UWS, LEASEHOLD_WS, REDIS, ETCD];
      const { scores, missing } = await contest(everybody, { sessions, inFlight: 1 }, { ...context, say });
      for (const why of missing) lacking.add(why);
      for (const score of scores) {
        const perSecond = medianOf(score, (turn) => turn.perSecond);
        measures.push({ name: `${score.name}, ${sessions} sessions`, value: perSecond, unit: 'operations/s' });
        points.push({ chart: 'throughput', series: score.name, x: sessions, y: perSecond });
      }
    }
    const missing = lacking.size > 0 && { missing: [...lacking].join('; ') };
    return { measures, isReached: undefined, points, ...missing };
  },
};
