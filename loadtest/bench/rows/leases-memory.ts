/** What a live lease takes of the coordinator's memory. */
import type { Row } from '../row.ts';
import { idsTo, poolRecords, WITHOUT_SNAPSHOTS, withCoordinator } from './coordinator-process.ts';
import { Failures, inFlight } from './figures.ts';
import { type FleetSession, withFleet } from './fleet.ts';

export interface LeasesMemorySize {
  readonly leases: number;
  readonly sessions: number;
  /** Each address serves all of them. */
  readonly resources: number;
  readonly addresses: number;
}

/** A thousand collectors with a thousand leases each; one pair in twenty is free. */
const MILLION: LeasesMemorySize = { leases: 1_000_000, sessions: 1_000, resources: 50, addresses: 21_000 };
const BYTES_EACH_MAX = 400;
/** None ends meanwhile. */
const TTL_MS = 24 * 3_600_000;
const MESSAGE_FRAMES = 250;
const SESSIONS_AT_ONCE = 16;
/** Of each session, granted and handed back before memory is read: code is compiled, tables of sessions are there. */
const WARM_UP_LEASES = 20;
const PROGRESS_LEASES = 250_000;

export function leasesMemory(size: LeasesMemorySize = MILLION): Row {
  return {
    name: 'leases-memory',
    title: `${size.leases} live leases: memory each`,
    figure: `≤ ${BYTES_EACH_MAX} B each`,
    async run(context) {
      const { leases, sessions: count, resources, addresses } = size;
      const failures = new Failures();
      const pool = poolRecords(addresses, idsTo(resources));
      let granted = 0;
      let asked = 0;
      const acquire = async (session: FleetSession, wanted: number): Promise<number[]> => {
        const tokens: number[] = [];
        while (wanted > tokens.length) {
          const frames = Array.from({ length: Math.min(MESSAGE_FRAMES, wanted - tokens.length) }, () => {
            asked += 1;
            return { type: 'acquire', resource: 1 + (asked % resources), ttl_ms: TTL_MS } as const;
          });
          for (const answer of await session.requestAll(frames)) {
            if (answer.type === 'granted' && 'lease' in answer) tokens.push(answer.lease);
            else throw new Error(`an acquire is answered ${JSON.stringify(answer)}`);
          }
        }
        return tokens;
      };
      return withCoordinator(context.dir, { flags: WITHOUT_SNAPSHOTS, pool }, (coordinator) =>
        withFleet({ port: coordinator.port, sessions: count, failures, hello: { batch: true } }, async (sessions) => {
          await inFlight(count, SESSIONS_AT_ONCE, async (index) => {
            const tokens = await acquire(sessions[index]!, Math.min(WARM_UP_LEASES, Math.ceil(leases / count)));
            const answers = await sessions[index]!.requestAll(tokens.map((lease) => ({ type: 'release', lease })));
            failures.add('a release refused', answers.filter(({ type }) => type !== 'released').length);
          });
          const before = await coordinator.settledMemory();
          const startMs = performance.now();
          await inFlight(count, SESSIONS_AT_ONCE, async (index) => {
            const own = Math.floor(((index + 1) * leases) / count) - Math.floor((index * leases) / count);
            const tokens = await acquire(sessions[index]!, own);
            const done = granted;
            granted += tokens.length;
            if (Math.floor(done / PROGRESS_LEASES) < Math.floor(granted / PROGRESS_LEASES)) {
              context.say(`${granted} leases`);
            }
          });
          const seconds = (performance.now() - startMs) / 1_000;
          const unsettled = await coordinator.memory();
          const after = await coordinator.settledMemory();
          const each = (bytes: number) => bytes / granted;
          const residentEach = each(after.residentBytes - before.residentBytes);
          const measures = [
            { name: 'resident, garbage collected', value: residentEach, unit: 'B/lease' },
            { name: 'leases', value: granted, unit: '' },
            {
              name: 'resident, as it was',
              value: each(unsettled.residentBytes - before.residentBytes),
              unit: 'B/lease',
            },
            { name: 'heap and buffers', value: each(after.heapBytes - before.heapBytes), unit: 'B/lease' },
            { name: 'resident in all', value: after.residentBytes / 2 ** 20, unit: 'MiB' },
            { name: 'granted', value: granted / seconds, unit: '/s' },
          ];
          return failures.result(context, measures, residentEach <= BYTES_EACH_MAX);
        }),
      );
    },
  };
}
