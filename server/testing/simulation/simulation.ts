import type { AddressRecord } from '../../../protocol/frames.ts';
import type { Failure } from '../../coordinator/coordinator.ts';
import { counterDomain } from '../../counters/counter-domain.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import { promisesSettled } from '../virtual-time.ts';
import { type Finding, Findings } from './findings.ts';
import { History } from './history.ts';
import { Onlooker } from './onlooker.ts';
import { connectOr, isClients, Mix, type World } from './operations.ts';
import { quieten } from './quiet-end.ts';
import { Random } from './random.ts';
import { type ClientOptions, SimClient } from './sim-client.ts';
import { SimDisk } from './sim-log.ts';
import { SimNetwork } from './sim-network.ts';
import type { Policies } from './sim-policies.ts';
import { SimServer } from './sim-server.ts';
import { drawSettings, type Settings } from './sim-settings.ts';
import { checkAll, checkClock } from './state-checks.ts';
import { Timeline } from './timeline.ts';
import { Told } from './told.ts';
import { Tally, Trace } from './trace.ts';
import { watched } from './watched-domain.ts';

/** Everything is checked from the ground up every so many steps. */
const FULL_CHECK_STEPS = 1_000;
/** So many operations follow the one before in the same moment. */
const TOGETHER_CHANCE = 0.1;
/** After so many there is a lull, in which leases run out. */
const LULL_CHANCE = 0.0005;
const LULL_UNITS = 500;
/** A coordinator that went is up again after so many units at most. */
const RESTART_UNITS = 100;
const DRAIN_UNITS = 20;

export interface SimulationOptions {
  readonly seed: number;
  readonly operations: number;
  /** Takes a line of what happens, for people. */
  readonly print?: (line: string) => void;
}

export interface Outcome {
  readonly operations: number;
  /** Things that happened: a frame that arrived, a timer, an answer of the disk. */
  readonly steps: number;
  /** Of simulated time. */
  readonly spanMs: number;
  readonly grants: number;
  readonly restarts: number;
  readonly trace: string;
  /** How often each kind of thing happened. */
  readonly tally: readonly (readonly [what: string, count: number])[];
  readonly finding: Finding | undefined;
}

/** One world from its beginning to its end: the same seed gives the same one. */
export class Simulation implements World {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly settings: Settings;
  readonly server: SimServer;
  readonly disk: SimDisk;
  readonly network: SimNetwork;
  readonly clients: readonly SimClient[];
  pool: AddressRecord[];
  policies: Policies;
  readonly #options: SimulationOptions;
  readonly findings = new Findings();
  readonly #trace: Trace;
  readonly #tally = new Tally();
  readonly #history: History;
  readonly #told: Told;
  readonly #onlooker: Onlooker;
  readonly #mix: Mix;
  readonly #clientOptions: ClientOptions;
  #operations = 0;
  #steps = 0;
  #restarts = -1;
  #isAnswered = false;
  /** The process has been asked to stop; it takes promises to do so. */
  #isStopping = false;
  readonly #nextOperation = () => this.#operate();

  constructor(options: SimulationOptions) {
    this.#options = options;
    const random = new Random(options.seed);
    const settings = drawSettings(random);
    const { timeline } = this;
    this.random = random;
    this.settings = settings;
    this.pool = [...settings.pool];
    this.policies = settings.policies;
    this.#mix = new Mix(settings.roughness);
    this.#trace = new Trace(options.print);
    this.network = new SimNetwork({
      timeline,
      random,
      trace: this.#trace,
      latencyMs: settings.latencyMs,
      heartbeatMs: settings.heartbeatMs,
      onSentAway: (connection) => this.#onlooker.sentAway(connection),
      onWronglyDropped: ({ id }) => this.findings.report('sessions', `connection ${id} is dropped, though it answers`),
    });
    this.disk = new SimDisk({
      domains: [leaseDomain, counterDomain],
      random,
      appendMs: settings.diskMs,
      onAnswered: () => {
        this.#isAnswered = true;
      },
    });
    this.#history = new History(this.findings, timeline, 2 * settings.heartbeatMs);
    this.#told = new Told(this.findings, this.#history, () => this.disk.position);
    this.#onlooker = new Onlooker({
      network: this.network,
      history: this.#history,
      findings: this.findings,
      tally: this.#tally,
      run: () => this.server.run,
    });
    this.server = new SimServer({
      timeline,
      random,
      network: this.network,
      disk: this.disk,
      settings,
      domain: watched(this.#onlooker),
      pool: () => this.pool,
      policies: () => this.policies,
      onTurnOver: () => this.#onlooker.turnOver(),
      onFailure: (failure) => this.#failed(failure),
    });
    this.#clientOptions = {
      timeline,
      random,
      network: this.network,
      settings,
      findings: this.findings,
      told: this.#told,
      tally: this.#tally,
    };
    this.clients = Array.from({ length: settings.clientCount }, () => new SimClient(this.#clientOptions));
  }

  /** Up, awake, taking connections, and to stay so. */
  get isServing(): boolean {
    return this.network.listener?.process.isPaused === false && !this.#isStopping;
  }

  get tokens(): readonly number[] {
    return this.#told.tokens;
  }

  async run(): Promise<Outcome> {
    this.#start();
    this.timeline.plan(0, this.#nextOperation);
    await this.until(() => this.#operations === this.#options.operations);
    if (!this.findings.first) await quieten(this, () => new SimClient(this.#clientOptions));
    if (this.server.run) checkAll(this.server.run.state, this.#history, this.findings);
    return {
      operations: this.#operations,
      steps: this.#steps,
      spanMs: this.timeline.nowMs,
      grants: this.#history.leases.leases.size,
      restarts: this.#restarts,
      trace: this.#trace.hash,
      tally: this.#tally.entries(),
      finding: this.findings.first,
    };
  }

  // ---- for operations

  crash(isSilent: boolean): void {
    const { run } = this.server;
    if (!run) return;
    checkClock(run, this.disk, this.findings);
    this.#die(isSilent);
  }

  stop(): void {
    if (!this.server.run || this.#isStopping) return;
    this.#isStopping = true;
    const drainMs = Math.ceil(this.random.next() * DRAIN_UNITS * this.settings.unitMs);
    this.server.stop(drainMs).then(
      (isStopped) => {
        if (!isStopped) return;
        this.mustReplay();
        this.#die(false);
      },
      (error: Error) => this.findings.report('bug', error.stack ?? error.message),
    );
  }

  // ---- the run

  /** Lets things happen until `isDone`, the given time is over, or something is found. */
  async until(isDone: () => boolean, limitMs = Infinity): Promise<void> {
    const endMs = this.timeline.nowMs + limitMs;
    while (!this.findings.first && !isDone() && this.timeline.nowMs < endMs) {
      this.#steps += 1;
      try {
        if (!this.timeline.runNext()) return;
        if (this.#isStopping) await promisesSettled();
        else if (this.#isAnswered) await Promise.resolve();
        this.#isAnswered = false;
        this.#check();
      } catch (error) {
        this.findings.report('bug', (error as Error).stack ?? String(error));
      }
    }
  }

  #check(): void {
    const { run } = this.server;
    if (!run) return;
    if (this.#steps % FULL_CHECK_STEPS > 0) return;
    checkAll(run.state, this.#history, this.findings);
    checkClock(run, this.disk, this.findings);
    this.#history.settle(this.disk.position);
  }

  #operate(): void {
    if (this.#operations === this.#options.operations) return;
    this.#operations += 1;
    const { random, settings, timeline } = this;
    const operation = this.#mix.pick(random);
    if (this.#trace.isPrinted) this.#trace.print(`${timeline.nowMs.toFixed(3)} ${operation.name}`);
    const client = random.pick(this.clients);
    if (isClients(operation)) connectOr(client, () => operation.run(this, client));
    else operation.run(this, client);
    const lullMs = random.chance(LULL_CHANCE) ? random.exponential(LULL_UNITS * settings.unitMs) : 0;
    const delayMs = random.chance(TOGETHER_CHANCE) ? 0 : random.exponential(settings.unitMs);
    timeline.plan(lullMs + delayMs, this.#nextOperation);
  }

  #start(): void {
    this.#restarts += 1;
    this.server.start();
    checkAll(this.server.run!.state, this.#history, this.findings);
  }

  /** What the process had in memory is gone, and after a while another one starts. */
  #die(isSilent: boolean): void {
    this.server.crash(isSilent);
    this.#isStopping = false;
    this.#onlooker.died();
    this.#history.loseBehind(this.disk.position);
    this.timeline.plan(this.random.next() * RESTART_UNITS * this.settings.unitMs, () => this.#start());
  }

  #failed({ kind, message }: Failure): void {
    // What the disk was made to do ends the process, and it comes up again; anything else is a bug.
    if (kind !== 'storage') return this.findings.report('bug', message);
    this.#die(false);
  }

  /** Only where all is durable. */
  mustReplay(): void {
    const { run } = this.server;
    if (run && !this.disk.agreesWith(run.replica)) {
      this.findings.report('replay', `the journal up to ${this.disk.position} gives another state than the live one`);
    }
  }
}
