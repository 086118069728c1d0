/**
 * What counting costs a lease: cycles of acquire and release through the loop and a log that is durable at once, counted
 * and not, taking turns in one process. Prints how many ns of processor time a cycle takes, in two coordinators that count
 * nothing and in one that does.
 */
import { ERROR_CODES, LEASE_ENDS, REFUSED_REASONS, REVOKE_REASONS } from '../../protocol/codes.ts';
import { Coordinator } from '../coordinator/coordinator.ts';
import type { EventLog } from '../coordinator/event-log.ts';
import { Replica } from '../coordinator/replica.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { countedLeases, timedLog } from '../measured.ts';
import { Counts } from '../metrics/counts.ts';
import { samplePool } from './coordinator-run.ts';
import { realScheduler } from './real-scheduler.ts';

const ROUNDS = 401;
const CYCLES_PER_ROUND = 2_000;
const IN_FLIGHT = 50;
const RESOURCE = 7;
const HOLDER = { kind: 'session', session: 'bench' } as const;

type Cycle = () => Promise<void>;

const clock = { nowMs: () => performance.now(), utcMs: () => Date.now() };
const memoryLog: EventLog = {
  batchBytesMax: 1024 * 1024,
  batchEventsMax: 1_000,
  append: () => Promise.resolve({ outcome: 'durable' }),
  // oxlint-disable-next-line require-yield -- nothing is kept.
  async *readFrom() {},
  close: () => Promise.resolve(),
};

/** A coordinator with a pool and a session; runs `CYCLES_PER_ROUND` cycles, `IN_FLIGHT` at a time. */
function open(isCounted: boolean): Cycle {
  const metrics = new Counts({
    refusedReasons: REFUSED_REASONS,
    leaseEnds: LEASE_ENDS,
    revokeReasons: REVOKE_REASONS,
    errorCodes: ERROR_CODES,
  });
  const coordinator = new Coordinator({
    replica: new Replica([leaseDomain]),
    log: isCounted ? timedLog(memoryLog, clock, metrics) : memoryLog,
    position: 0,
    epoch: 1,
    clock,
    scheduler: realScheduler,
    random: Math.random,
    onFailure: ({ message }) => {
      throw new Error(message);
    },
  });
  const leases = coordinator.mount(isCounted ? countedLeases(metrics) : leaseDomain);
  const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 3_600_000 };
  leases.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 1_000 }, () => {});
  leases.execute({ type: 'Configure', defaultPolicy, policies: new Map() }, () => {});
  const records = samplePool(2 * IN_FLIGHT).map((record) => ({ ...record, resource_ids: [RESOURCE] }));
  leases.execute({ type: 'ImportPool', records, replace: false }, () => {});
  leases.execute(
    { type: 'OpenSession', session: 'bench', secretHash: '', resumeWindowMs: 0, sessionsMax: 1 },
    () => {},
  );
  let request = 0;
  return () =>
    new Promise((done) => {
      let begun = 0;
      let ended = 0;
      const next = () => {
        if (begun === CYCLES_PER_ROUND) return;
        begun += 1;
        request += 1;
        const acquire = {
          type: 'AcquireLease',
          holder: HOLDER,
          request,
          resource: RESOURCE,
          ttlMs: 3_600_000,
        } as const;
        leases.execute(acquire, (answer) => {
          if (answer.type !== 'granted') throw new Error(answer.type);
          leases.execute({ type: 'ReleaseLease', holder: HOLDER, lease: answer.grants[0]!.lease }, () => {
            ended += 1;
            if (ended === CYCLES_PER_ROUND) done();
            else next();
          });
        });
      };
      for (let index = 0; index < IN_FLIGHT; index += 1) next();
    });
}

async function nsOf(run: Cycle): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / CYCLES_PER_ROUND;
}

/** What a twentieth of the rounds stays below: others on the machine only ever add to it. */
function undisturbed(values: readonly number[]): number {
  return Math.round(values.toSorted((one, other) => one - other)[Math.floor(values.length / 20)]!);
}

/** The second counts as little as the first: what lies between them is chance. */
const benches = [open(false), open(false), open(true)];
const rounds: number[][] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const ns: number[] = [];
  // Whoever goes first meets what another has left to collect.
  for (let turn = 0; turn < benches.length; turn += 1) {
    const index = (round + turn) % benches.length;
    ns[index] = await nsOf(benches[index]!);
  }
  rounds.push(ns);
}
const warm = rounds.slice(ROUNDS >> 2);
const [plainNs, againNs, countedNs] = benches.map((_, index) => undisturbed(warm.map((ns) => ns[index]!)));
process.stdout.write(`${JSON.stringify({ plainNs, againNs, countedNs, rounds: warm.length })}\n`);
process.exit(0);
