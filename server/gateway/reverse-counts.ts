import { OUT_CAUSES, type OutCause } from '../health/target-health.ts';
import { counter, type Family, family, gauge, type Sample } from '../metrics/family.ts';
import { Tally } from '../metrics/tally.ts';
import type { Target } from './target.ts';
import type { TargetPool } from './target-pool.ts';

const CLASSES = ['2xx', '3xx', '4xx', '5xx'];

/** What the reverse proxy counts. Series come from the settings alone: of each target in each route. */
export class ReverseCounts {
  readonly #classes = new Tally(CLASSES);
  readonly #outs = new Tally(OUT_CAUSES);
  #retries = 0;

  /** 499: the client was gone. */
  answered(status: number): void {
    this.#classes.add(CLASSES[Math.floor(status / 100) - 2] ?? 'other');
  }

  retried(): void {
    this.#retries += 1;
  }

  out(cause: OutCause): void {
    this.#outs.add(cause);
  }

  families(pools: readonly TargetPool[]): Family[] {
    const ofTargets = (read: (target: Target, pool: TargetPool) => number) =>
      function* samples(): Generator<Sample> {
        for (const pool of pools) {
          for (const target of pool.targets) {
            yield { labels: { route: pool.route.name, target: target.name }, value: read(target, pool) };
          }
        }
      };
    return [
      counter('reverse_responses_total', 'Answers of the reverse proxy by class of status.', 'status', this.#classes),
      family(
        'counter',
        'reverse_target_requests_total',
        'Requests that a target was chosen for.',
        ofTargets((target) => target.requests),
      ),
      family(
        'gauge',
        'reverse_target_in_flight',
        'Requests and upgraded connections that a target has under way.',
        ofTargets((target) => target.inFlight),
      ),
      family(
        'gauge',
        'reverse_target_healthy',
        'Whether a target gets requests: 1, or 0 while it is out.',
        ofTargets((target, pool) => Number(pool.health.outOf(target) === undefined)),
      ),
      counter('reverse_targets_out_total', 'How often a target was taken out, by cause.', 'cause', this.#outs),
      family('counter', 'reverse_retries_total', 'Requests moved to another target.', () => [
        { labels: {}, value: this.#retries },
      ]),
      gauge('reverse_in_flight', 'Requests and upgraded connections under way.', () =>
        pools.reduce((sum, pool) => sum + pool.inFlight, 0),
      ),
    ];
  }
}
