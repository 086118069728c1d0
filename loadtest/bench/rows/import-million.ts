/**
 * A very large pool, brought in over HTTP while collectors are served, and as the file of `--pool` at a start. An import over HTTP
 * is bounded (413 says so), so it comes in parts; each that is answered is progress.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure, Row, RowContext } from '../row.ts';
import { type CoordinatorProcess, poolRecords, WITHOUT_SNAPSHOTS, withCoordinator } from './coordinator-process.ts';
import { Failures, quantile } from './figures.ts';
import { type FleetSession, withFleet } from './fleet.ts';

export interface ImportSize {
  readonly addresses: number;
  /** Addresses in one request. */
  readonly part: number;
}

/** An address and its resource are two changes, and there are at most 100,000 in one import. */
const MILLION: ImportSize = { addresses: 1_000_000, part: 50_000 };
const IMPORTED = 1;
/** What the collector beside it leases. */
const BESIDE = 2;
const BESIDE_ADDRESSES = 100;
const TTL_MS = 60_000;
const QUIET_MS = 2_000;
const PAUSE_MS = 1;

export function importMillion(size: ImportSize = MILLION): Row {
  return {
    name: 'import-million',
    title: `import of ${size.addresses} addresses`,
    figure: undefined,
    async run(context) {
      const failures = new Failures();
      const measures = [
        ...(await importOverHttp(context, size, failures)),
        ...(await importAtStart(context, size, failures)),
      ];
      return failures.result(context, measures, undefined);
    },
  };
}

function importOverHttp(context: RowContext, size: ImportSize, failures: Failures): Promise<Measure[]> {
  const pool = poolRecords(BESIDE_ADDRESSES, [BESIDE], size.addresses);
  return withCoordinator(context.dir, { flags: WITHOUT_SNAPSHOTS, pool }, (coordinator) =>
    withFleet({ port: coordinator.port, sessions: 1, failures }, async ([session]) => {
      const beside = new RequestsBeside(session!, failures);
      await sleep(QUIET_MS);
      const quiet = beside.take();
      await beside.stop();
      const before = await coordinator.settledMemory();
      const during = new RequestsBeside(session!, failures);
      const startMs = performance.now();
      const slowestPartMs = await importParts(context, coordinator, size, failures);
      const seconds = (performance.now() - startMs) / 1_000;
      const busy = during.take();
      await during.stop();
      const after = await coordinator.settledMemory();
      return [
        { name: 'over HTTP', value: seconds, unit: 's' },
        { name: 'over HTTP, slowest part', value: slowestPartMs, unit: 'ms' },
        {
          name: 'resident, garbage collected',
          value: (after.residentBytes - before.residentBytes) / size.addresses,
          unit: 'B/address',
        },
        { name: 'heap and buffers', value: (after.heapBytes - before.heapBytes) / size.addresses, unit: 'B/address' },
        { name: 'a request beside it, p50', value: quantile(busy, 0.5), unit: 'ms' },
        { name: 'a request beside it, p99', value: quantile(busy, 0.99), unit: 'ms' },
        { name: 'a request beside it, slowest', value: quantile(busy, 1), unit: 'ms' },
        { name: 'a request before it, p99', value: quantile(quiet, 0.99), unit: 'ms' },
        { name: 'a request before it, slowest', value: quantile(quiet, 1), unit: 'ms' },
      ];
    }),
  );
}

async function importParts(
  { say }: RowContext,
  coordinator: CoordinatorProcess,
  { addresses, part }: ImportSize,
  failures: Failures,
): Promise<number> {
  let slowestMs = 0;
  const startMs = performance.now();
  for (let first = 0; first < addresses; first += part) {
    const count = Math.min(part, addresses - first);
    const lines = Array.from(poolRecords(count, [IMPORTED], first), (record) => JSON.stringify(record)).join('\n');
    const partMs = performance.now();
    const { added } = await coordinator.post('/v1/addresses/import', lines, 'application/x-ndjson');
    slowestMs = Math.max(slowestMs, performance.now() - partMs);
    if (added !== count) failures.add('addresses not taken', count - Number(added));
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    say(`${first + count} of ${addresses} addresses after ${seconds} s`);
  }
  return slowestMs;
}

async function importAtStart(context: RowContext, size: ImportSize, failures: Failures): Promise<Measure[]> {
  context.say('as a file at the start');
  const bare = await withCoordinator(context.dir, {}, async (coordinator) => ({
    readyMs: coordinator.readyMs,
    memory: await coordinator.settledMemory(),
  }));
  const pool = poolRecords(size.addresses, [IMPORTED]);
  return withCoordinator(context.dir, { flags: WITHOUT_SNAPSHOTS, pool }, async (coordinator) => {
    const { residentBytes } = await coordinator.settledMemory();
    const { addresses } = await coordinator.get(`/v1/resources/${IMPORTED}`);
    const { total } = addresses as { readonly total: number };
    if (total !== size.addresses) failures.add('addresses not taken at the start', size.addresses - total);
    return [
      { name: 'as a file, until ready', value: coordinator.readyMs / 1_000, unit: 's' },
      { name: 'an empty start', value: bare.readyMs / 1_000, unit: 's' },
      {
        name: 'as a file: resident, garbage collected',
        value: (residentBytes - bare.memory.residentBytes) / size.addresses,
        unit: 'B/address',
      },
    ];
  });
}

/** A collector that asks one thing after another: how long it waits is how long the coordinator had no time for it. */
class RequestsBeside {
  readonly #session: FleetSession;
  readonly #failures: Failures;
  readonly #running: Promise<void>;
  #tookMs: number[] = [];
  #isStopped = false;

  constructor(session: FleetSession, failures: Failures) {
    this.#session = session;
    this.#failures = failures;
    this.#running = this.#run();
  }

  /** What was measured so far, in ms. */
  take(): number[] {
    const taken = this.#tookMs;
    this.#tookMs = [];
    return taken;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const granted = await this.#timed({ type: 'acquire', resource: BESIDE, ttl_ms: TTL_MS });
      if (granted.type === 'granted' && 'lease' in granted) {
        const released = await this.#timed({ type: 'release', lease: granted.lease });
        if (released.type !== 'released') this.#failures.add(`a release is answered ${released.type}`);
      } else this.#failures.add(`an acquire is answered ${granted.type}`);
      const pong = await this.#timed({ type: 'ping' });
      if (pong.type !== 'pong') this.#failures.add(`a ping is answered ${pong.type}`);
      await sleep(PAUSE_MS);
    }
  }

  async #timed(request: Parameters<FleetSession['request']>[0]) {
    const startMs = performance.now();
    const answer = await this.#session.request(request);
    this.#tookMs.push(performance.now() - startMs);
    return answer;
  }
}
