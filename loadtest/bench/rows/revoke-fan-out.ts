/** Time until the last collector knows, where an operator takes back very many leases by one request. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure, Row, RowContext } from '../row.ts';
import { type CoordinatorProcess, poolRecords, WITHOUT_SNAPSHOTS, withCoordinator } from './coordinator-process.ts';
import { Failures, inFlight, medianOfRounds, quantile, within } from './figures.ts';
import { type FleetSession, type Heard, withFleet } from './fleet.ts';

export interface RevokeFanOutSize {
  readonly leases: number;
  /** Over which the leases lie: a run for each. */
  readonly sessions: readonly number[];
}

const FULL: RevokeFanOutSize = { leases: 10_000, sessions: [500, 10_000] };
/** Its pairs rest after a revocation, so that none comes in the place of another: all there is to say is `revoked`. */
const RESTING = 1;
/** Its pairs are free again at once: a collector gets another lease with the word that the old one is revoked. */
const FREE = 2;
const REST_MS = 2_000;
const TTL_MS = 3_600_000;
const NOTICES_MS_MAX = 30_000;
const AT_ONCE = 500;

export function revokeFanOut(size: RevokeFanOutSize = FULL): Row {
  return {
    name: 'revoke-fan-out',
    title: `one revocation of ${size.leases} leases: time to the last notice`,
    figure: undefined,
    async run(context) {
      const failures = new Failures();
      const resources = JSON.stringify({ [RESTING]: { cooldown_ms: { revoked: REST_MS } } });
      const pool = poolRecords(size.leases, [RESTING, FREE]);
      const start = { flags: { ...WITHOUT_SNAPSHOTS, resources }, pool };
      return withCoordinator(context.dir, start, async (coordinator) => {
        const measures: Measure[] = [];
        for (const count of size.sessions) {
          const run = new FanOut(context, coordinator, size.leases, failures);
          const fleet = {
            port: coordinator.port,
            sessions: count,
            failures,
            onFrame: (frame: Heard, session: FleetSession) => run.heard(frame, session),
          };
          measures.push(...(await withFleet(fleet, (sessions) => run.rounds(sessions))));
        }
        return failures.result(context, measures, undefined);
      });
    },
  };
}

class FanOut {
  readonly #context: RowContext;
  readonly #coordinator: CoordinatorProcess;
  readonly #leases: number;
  readonly #failures: Failures;
  readonly #substitutes: { readonly lease: number; readonly session: FleetSession }[] = [];
  readonly #live = new Set<number>();
  #noticedMs: number[] = [];
  #allHeard: () => void = () => {};

  constructor(context: RowContext, coordinator: CoordinatorProcess, leases: number, failures: Failures) {
    this.#context = context;
    this.#coordinator = coordinator;
    this.#leases = leases;
    this.#failures = failures;
  }

  heard(frame: Heard, session: FleetSession): void {
    if (frame.type !== 'revoked') return this.#failures.add(`instead of a notice: ${frame.type}`);
    if (!this.#live.delete(frame.lease)) return this.#failures.add('revoked, and not held');
    if (frame.substitute) this.#substitutes.push({ lease: frame.substitute.lease, session });
    this.#noticedMs.push(performance.now());
    if (this.#live.size === 0) this.#allHeard();
  }

  async rounds(sessions: readonly FleetSession[]): Promise<Measure[]> {
    const measures: Measure[] = [];
    for (const [resource, name] of [
      [RESTING, ''],
      [FREE, ', with substitutes'],
    ] as const) {
      await this.#round(sessions, resource, name);
      const rounds: Measure[][] = [];
      for (let nth = 1; nth <= this.#context.rounds; nth += 1) {
        this.#context.say(
          `revoke-fan-out: ${sessions.length} sessions${name}, round ${nth} of ${this.#context.rounds}`,
        );
        rounds.push(await this.#round(sessions, resource, name));
      }
      measures.push(...medianOfRounds(rounds));
    }
    return measures;
  }

  async #round(sessions: readonly FleetSession[], resource: number, name: string): Promise<Measure[]> {
    await inFlight(this.#leases, AT_ONCE, async (index) => {
      const request = { type: 'acquire', resource, ttl_ms: TTL_MS } as const;
      const answer = await sessions[index % sessions.length]!.request(request);
      if (answer.type === 'granted' && 'lease' in answer) this.#live.add(answer.lease);
      else this.#failures.add(`an acquire is answered ${answer.type}`);
    });
    const granted = this.#live.size;
    this.#noticedMs = [];
    const allHeard = new Promise<void>((done) => {
      this.#allHeard = done;
    });
    const startMs = performance.now();
    const { revoked } = await this.#coordinator.post('/v1/leases/revoke', JSON.stringify({ resource }));
    const answeredMs = performance.now();
    if (revoked !== granted) this.#failures.add(`of ${granted} leases ${String(revoked)} are revoked`);
    await within('notices of revocation', NOTICES_MS_MAX, allHeard).catch(() => {
      this.#failures.add('notices that never came', this.#live.size);
      this.#live.clear();
    });
    const noticedMs = this.#noticedMs.map((atMs) => atMs - startMs);
    const given = this.#substitutes.splice(0);
    await inFlight(given.length, AT_ONCE, async (index) => {
      const { lease, session } = given[index]!;
      const { type } = await session.request({ type: 'release', lease });
      if (type !== 'released') this.#failures.add(`a release is answered ${type}`);
    });
    if (resource === RESTING) {
      if (given.length > 0) this.#failures.add('substitutes of pairs that rest', given.length);
      await sleep(REST_MS);
    }
    const sessionCount = `${sessions.length} sessions${name}`;
    return [
      { name: `${sessionCount}: last notice`, value: quantile(noticedMs, 1), unit: 'ms' },
      { name: `${sessionCount}: median notice`, value: quantile(noticedMs, 0.5), unit: 'ms' },
      { name: `${sessionCount}: answer to the operator`, value: answeredMs - startMs, unit: 'ms' },
      ...(resource === FREE ? [{ name: `${sessionCount}: substitutes`, value: given.length, unit: '' }] : []),
    ];
  }
}
