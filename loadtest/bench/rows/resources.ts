/** Leases of few resources and of many, over a pool of which every address serves all of them. */
import type { Measure, Row, RowContext } from '../row.ts';
import {
  type CoordinatorProcess,
  idsTo,
  poolRecords,
  WITHOUT_SNAPSHOTS,
  withCoordinator,
} from './coordinator-process.ts';
import { Failures, medianOfRounds, quantile } from './figures.ts';
import { withFleet } from './fleet.ts';

export interface ResourcesSize {
  readonly addresses: number;
  readonly resources: readonly number[];
  readonly sessions: number;
}

/** One of them, and what it came to in each round. */
interface Contestant {
  readonly resources: number;
  readonly coordinator: CoordinatorProcess;
  readonly rounds: Measure[][];
}

const FULL: ResourcesSize = { addresses: 10_000, resources: [50, 1_000], sessions: 50 };
const TTL_MS = 60_000;
const WARM_UP_S = 2;

export function resources(size: ResourcesSize = FULL): Row {
  return {
    name: 'resources',
    title: `acquire and release, ${size.resources.join(' and ')} resources over ${size.addresses} addresses`,
    figure: undefined,
    async run(context) {
      const failures = new Failures();
      const measures = await withContestants(context, size, [], async (contestants) => {
        for (const contestant of contestants) await load(WARM_UP_S, contestant, size.sessions, failures);
        // In turn, so that what disturbs one round disturbs its neighbour.
        for (let nth = 1; nth <= context.rounds; nth += 1) {
          for (const contestant of contestants) {
            context.say(`${contestant.resources} resources, round ${nth} of ${context.rounds}`);
            contestant.rounds.push(await load(context.seconds, contestant, size.sessions, failures));
          }
        }
        const all: Measure[] = [];
        for (const { resources: count, coordinator, rounds } of contestants) {
          const { residentBytes } = await coordinator.settledMemory();
          all.push(
            ...medianOfRounds(rounds),
            { name: `${count} resources: pool imported, ready`, value: coordinator.readyMs / 1_000, unit: 's' },
            { name: `${count} resources: resident`, value: residentBytes / 2 ** 20, unit: 'MiB' },
          );
        }
        return all;
      });
      return failures.result(context, measures, undefined);
    },
  };
}

/** A coordinator for each number of resources, all of them at once. */
function withContestants(
  context: RowContext,
  size: ResourcesSize,
  started: readonly Contestant[],
  use: (contestants: readonly Contestant[]) => Promise<Measure[]>,
): Promise<Measure[]> {
  const count = size.resources[started.length];
  if (count === undefined) return use(started);
  context.say(`a pool for ${count} resources`);
  const flags = { ...WITHOUT_SNAPSHOTS, 'resources-max': String(count) };
  const pool = poolRecords(size.addresses, idsTo(count));
  return withCoordinator(context.dir, { flags, pool }, (coordinator) =>
    withContestants(context, size, [...started, { resources: count, coordinator, rounds: [] }], use),
  );
}

/** A closed loop: each session sends its next request when the last is answered. */
async function load(
  seconds: number,
  { resources: count, coordinator: { port } }: Contestant,
  sessionCount: number,
  failures: Failures,
): Promise<Measure[]> {
  const acquiresMs: number[] = [];
  const releasesMs: number[] = [];
  return withFleet({ port, sessions: sessionCount, failures }, async (sessions) => {
    const startMs = performance.now();
    const endMs = startMs + seconds * 1_000;
    let next = 0;
    await Promise.all(
      sessions.map(async (session) => {
        while (performance.now() < endMs) {
          next += 1;
          const acquireMs = performance.now();
          const granted = await session.request({ type: 'acquire', resource: 1 + (next % count), ttl_ms: TTL_MS });
          const releaseMs = performance.now();
          if (granted.type !== 'granted' || !('lease' in granted)) {
            failures.add(`an acquire is answered ${granted.type}`);
            continue;
          }
          const released = await session.request({ type: 'release', lease: granted.lease });
          if (released.type !== 'released') failures.add(`a release is answered ${released.type}`);
          acquiresMs.push(releaseMs - acquireMs);
          releasesMs.push(performance.now() - releaseMs);
        }
      }),
    );
    const name = `${count} resources`;
    const tookSeconds = (performance.now() - startMs) / 1_000;
    return [
      { name: `${name}: acquire and release`, value: releasesMs.length / tookSeconds, unit: 'cycles/s' },
      { name: `${name}: acquire p50`, value: quantile(acquiresMs, 0.5), unit: 'ms' },
      { name: `${name}: acquire p99`, value: quantile(acquiresMs, 0.99), unit: 'ms' },
      { name: `${name}: release p50`, value: quantile(releasesMs, 0.5), unit: 'ms' },
      { name: `${name}: release p99`, value: quantile(releasesMs, 0.99), unit: 'ms' },
    ];
  });
}
