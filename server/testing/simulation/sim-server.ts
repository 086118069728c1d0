import type { AddressRecord } from '../../../protocol/frames.ts';
import { Coordinator, type Failure } from '../../coordinator/coordinator.ts';
import type { DomainPort } from '../../coordinator/domain-port.ts';
import type { Replica } from '../../coordinator/replica.ts';
import type { Clock, Scheduler } from '../../coordinator/scheduler.ts';
import { counterDomain } from '../../counters/counter-domain.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from '../../lease/commands.ts';
import type { leaseDomain } from '../../lease/lease-domain.ts';
import type { LeaseState } from '../../lease/state.ts';
import { tokenFloorAt } from '../../lease/token-floor.ts';
import { NO_METRICS } from '../../metrics/metrics.ts';
import { SessionHub } from '../../sessions/session-hub.ts';
import { openAccess } from '../open-access.ts';
import type { Random } from './random.ts';
import type { SimDisk } from './sim-log.ts';
import type { SimNetwork } from './sim-network.ts';
import type { Policies } from './sim-policies.ts';
import { SimProcess } from './sim-process.ts';
import type { Settings } from './sim-settings.ts';
import type { Timeline } from './timeline.ts';

/** Where the wall clock of the simulation starts, and where tokens count from, as main.ts has it. */
const START_UTC_MS = Date.UTC(2026, 0, 5);
const SESSIONS_MAX = 1_000;
const HELLO_TIMEOUT_HEARTBEATS = 4;
/** Timers of a real event loop come up to so much late, now and then a little early. */
const TIMER_EARLY_MS = 0.9;
const TIMER_LATE_MS = 1.5;
/** What is due is decided so late at most: timers are asked for in whole milliseconds, and clocks differ by a little. */
export const DUE_LATE_MS = TIMER_LATE_MS + 1.1;

type Leases = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

export interface ServerOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly settings: Settings;
  readonly domain: typeof leaseDomain;
  /** The pool file as the operator has it now. */
  pool(): readonly AddressRecord[];
  /** The configuration as the operator has it now. */
  policies(): Policies;
  /** The process has nothing left to do before something happens. */
  onTurnOver(): void;
  /** The coordinator gave up on its own. */
  onFailure(failure: Failure): void;
}

/** One run of the coordinator: dies as a whole. */
export interface Run {
  readonly process: SimProcess;
  readonly clock: Clock;
  readonly coordinator: Coordinator;
  readonly leases: Leases;
  readonly hub: SessionHub;
  readonly replica: Replica;
  readonly state: LeaseState;
}

/** The machine that the coordinator runs on, composed as main.ts composes it, on simulated time, disk and network. */
export class SimServer {
  readonly #options: ServerOptions;
  #run: Run | undefined;
  #wallOffsetMs = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** The process that is up, if one is. */
  get run(): Run | undefined {
    return this.#run;
  }

  get suspendMs(): number {
    return 2 * this.#options.settings.heartbeatMs;
  }

  /** Somebody sets the wall clock. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  start(): void {
    const { timeline, random, network, disk, settings, domain } = this.#options;
    const recovered = disk.recover();
    const epoch = recovered.epoch + 1;
    const process = new SimProcess(timeline);
    const clock = this.#clockFrom(recovered.clockMs);
    const scheduler = this.#scheduler(process);
    const coordinator = new Coordinator({
      replica: recovered.replica,
      log: disk.open(process, epoch),
      position: recovered.position,
      epoch,
      clock,
      scheduler,
      random: () => random.next(),
      onFailure: (failure) => this.#options.onFailure(failure),
    });
    const leases = coordinator.mount(domain);
    const hub = new SessionHub({
      coordinator,
      leases,
      counters: coordinator.mount(counterDomain),
      access: openAccess(clock),
      scheduler,
      log: { debug() {}, info() {} },
      metrics: NO_METRICS,
      random: () => random.next(),
      randomBytes: (size) => random.bytes(size),
      limits: {
        heartbeatMs: settings.heartbeatMs,
        helloTimeoutMs: settings.heartbeatMs * HELLO_TIMEOUT_HEARTBEATS,
        closeTimeoutMs: network.closeTimeoutMs,
        resumeWindowMaxMs: settings.resumeWindowMaxMs,
        noticeMs: undefined,
        sessionsMax: SESSIONS_MAX,
        sessionsPerClientMax: undefined,
        socketsPerIpMax: SESSIONS_MAX,
        outboxBytesMax: settings.outboxBytesMax,
        ttlMinMs: settings.ttlBounds.ttlMinMs,
        ttlMaxMs: settings.ttlBounds.ttlMaxMs,
      },
    });
    const state = recovered.replica.state(domain.name) as LeaseState;
    this.#run = { process, clock, coordinator, leases, hub, replica: recovered.replica, state };
    this.#firstCommands(this.#run, () => {
      network.listener = { process, accept: (connection) => hub.accept(connection) };
    });
  }

  /** kill -9, or, silently, the power. */
  crash(isSilent: boolean): void {
    const { network, disk } = this.#options;
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    network.listener = undefined;
    run.process.kill();
    disk.processDied();
    network.processDied(run.process, isSilent);
  }

  /** In order, as main.ts stops. Resolves when all is durable and has left; false: the process died on the way. */
  async stop(drainMs: number): Promise<boolean> {
    const run = this.#run;
    if (!run) return false;
    await run.hub.drain(drainMs);
    if (this.#run !== run) return false;
    this.#options.network.listener = undefined;
    await run.coordinator.stop();
    if (this.#run !== run) return false;
    this.#options.disk.close(run.clock.nowMs());
    return true;
  }

  /** Each is durable before the next, and nobody is served before. */
  #firstCommands({ leases, clock, coordinator }: Run, done: () => void): void {
    const tokenFloor = tokenFloorAt(clock.utcMs())!;
    const start = { type: 'StartEpoch', epoch: coordinator.epoch, tokenFloor, suspendMs: this.suspendMs } as const;
    leases.execute(start, () => {
      leases.execute({ type: 'Configure', ...this.#options.policies() }, () => {
        leases.execute({ type: 'ImportPool', records: this.#options.pool(), replace: true }, done);
      });
    });
  }

  #clockFrom(recoveredMs: number): Clock {
    const { timeline, settings } = this.#options;
    const startMs = timeline.nowMs;
    return {
      nowMs: () => recoveredMs + (timeline.nowMs - startMs) * settings.serverClockRate,
      utcMs: () => Math.floor(START_UTC_MS + timeline.nowMs + this.#wallOffsetMs),
    };
  }

  #scheduler(process: SimProcess): Scheduler {
    const { random, settings } = this.#options;
    let deferred: (() => void)[] = [];
    const turn = () => {
      const callbacks = deferred;
      deferred = [];
      for (const each of callbacks) each();
      if (deferred.length === 0) this.#options.onTurnOver();
    };
    return {
      setTimer(delayMs, callback) {
        const errorMs = random.between(-TIMER_EARLY_MS, TIMER_LATE_MS);
        const planned = process.plan('timer', Math.max(0, delayMs / settings.serverClockRate + errorMs), callback);
        return () => {
          planned.run = undefined;
        };
      },
      defer: (callback) => {
        // All that is deferred by then comes in the next turn, in order, as `setImmediate` has it.
        if (deferred.push(callback) > 1) return;
        process.plan('turn', random.next() * settings.turnMs, turn);
      },
    };
  }
}
