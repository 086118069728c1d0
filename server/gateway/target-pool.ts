import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import { type ProbeResult, Prober } from '../health/prober.ts';
import { probeHttp, probeTcp } from '../health/probes.ts';
import { isEjection, type Out, TargetHealth } from '../health/target-health.ts';
import type { GatewayLog } from './request-line.ts';
import type { Route } from './route.ts';
import { Target } from './target.ts';
import { type Choice, makeChoice } from './target-choice.ts';

const PROBE_JITTER = 0.1;
const PROBES_AT_ONCE_MAX = 32;
const ANY_STATUS = Array.from({ length: 500 }, (_, index) => 100 + index);

export interface TargetPoolOptions {
  readonly route: Route;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: GatewayLog;
  /** A target was taken out. */
  readonly onOut: (out: Out) => void;
}

/** The targets of one route: which of them are well, and which gets the next request. */
export class TargetPool {
  readonly route: Route;
  readonly targets: readonly Target[];
  readonly health: TargetHealth<Target>;
  /** Requests under way, wherever they are. */
  inFlight = 0;
  readonly #options: TargetPoolOptions;
  readonly #choice: Choice<Target>;
  readonly #prober: Prober<Target>;
  /** Those that are well, in the order of the settings. */
  #in: readonly Target[];
  #choices = 0;

  constructor(options: TargetPoolOptions) {
    const { route, clock, scheduler, random } = options;
    const { policy } = route;
    this.#options = options;
    this.route = route;
    this.targets = route.targets.map((settings) => new Target(settings, policy));
    this.#in = this.targets;
    const isWeighted = route.targets.some(({ weight }) => weight !== 1);
    this.#choice = makeChoice(policy.strategy ?? (isWeighted ? 'weighted' : 'round_robin'), random);
    this.health = new TargetHealth({
      items: this.targets,
      policy,
      clock,
      scheduler,
      onChange: (target, out, before) => this.#changed(target, out, before),
    });
    this.#prober = new Prober({
      items: new Set(this.targets),
      probe: (target, signal) => this.#probe(target, signal),
      intervalMs: policy.probeIntervalMs,
      jitter: PROBE_JITTER,
      timeoutMs: policy.probeTimeoutMs,
      concurrencyMax: PROBES_AT_ONCE_MAX,
      clock,
      scheduler,
      random,
      onResult: (target, result) => this.health.probed(target, result),
    });
  }

  get healthyCount(): number {
    return this.#in.length;
  }

  /**
   * Somebody to ask who isn't among `tried`; `key` is what `sticky` goes by. Where nobody who is well is left, those are asked
   * who are out but would say no at once; undefined: there are none of them either.
   */
  choose(tried: ReadonlySet<Target> | undefined, key: string): Target | undefined {
    let candidates = tried ? this.#in.filter((target) => !tried.has(target)) : this.#in;
    if (candidates.length === 0) {
      candidates = this.targets.filter((target) => !tried?.has(target) && isQuickToRefuse(this.health.outOf(target)));
    }
    if (candidates.length === 0) return undefined;
    let chosen = this.#choice(candidates, key);
    if (candidates.length > 1 && this.#isPassedOver(chosen)) {
      const passedOver = chosen;
      chosen = this.#choice(
        candidates.filter((target) => target !== passedOver),
        key,
      );
    }
    this.#choices += 1;
    chosen.lastChosen = this.#choices;
    chosen.used += 1;
    chosen.requests += 1;
    return chosen;
  }

  async close(): Promise<void> {
    this.health.stop();
    await this.#prober.stop();
    await Promise.all(this.targets.map((target) => target.close()));
  }

  /** Slow start: one that came back a while ago is taken as often as that while is part of the whole. */
  #isPassedOver(target: Target): boolean {
    const { slowStartMs } = this.route.policy;
    if (slowStartMs === 0) return false;
    const share = (this.#options.clock.nowMs() - this.health.backSinceMs(target)) / slowStartMs;
    return share < 1 && this.#options.random() >= share;
  }

  #probe(target: Target, signal: AbortSignal): Promise<ProbeResult> {
    const { probePath, probeStatus } = this.route.policy;
    if (probePath !== undefined) {
      return probeHttp({ url: new URL(probePath, target.url), expect: [probeStatus] }, signal);
    }
    const out = this.health.outOf(target);
    // The kernel takes connections for a process that stands still, and TLS begins behind them: what failed there has to speak.
    if (out && (target.isTls || out.cause === 'silent' || out.cause === 'broken')) {
      return probeHttp({ url: target.url, expect: ANY_STATUS }, signal);
    }
    return probeTcp(target.hostname, target.port, signal);
  }

  #changed(target: Target, out: Out | undefined, before: Out | undefined): void {
    const { log, onOut } = this.#options;
    const route = this.route.name;
    this.#in = this.targets.filter((other) => this.health.outOf(other) === undefined);
    const healthy = this.#in.length;
    if (out) {
      onOut(out);
      log.warn({ route, target: target.name, ...out, healthy }, 'target out');
      return;
    }
    const others = this.#in.filter((other) => other !== target);
    if (others.length > 0) target.used = Math.min(...others.map((other) => other.used));
    target.credit = 0;
    log.info({ route, target: target.name, cause: before?.cause, healthy }, 'target back');
  }
}

function isQuickToRefuse(out: Out | undefined): boolean {
  return out !== undefined && (isEjection(out) || out.reason === 'refused' || out.reason === 'reset');
}
