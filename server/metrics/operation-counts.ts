import { Distribution } from './distribution.ts';
import { type Family, family } from './family.ts';
import type { HttpRequest } from './metrics.ts';
import { OTHER, Tally } from './tally.ts';

/** Operations that are told apart; there are as many as routes, and what comes beyond counts as `other`. */
export const OPERATIONS_MAX = 200;
const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'];
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

interface Operation {
  readonly statuses: Tally;
  readonly seconds: Distribution;
}

/** Requests by operation. Their names aren't known ahead, since each folder brings its own routes: hence a bound. */
export class OperationCounts {
  readonly #operations = new Map<string, Operation>();

  add({ operation, status, seconds }: HttpRequest): void {
    const entry = this.#operation(operation ?? OTHER);
    entry.statuses.add(`${Math.floor(status / 100)}xx`);
    entry.seconds.observe(seconds);
  }

  families(): Family[] {
    return [
      family('counter', 'http_requests_total', 'HTTP requests answered, by operation and class of status.', () =>
        this.#requests(),
      ),
      family('histogram', 'http_request_duration_seconds', 'Time that an HTTP request took, by operation.', () =>
        this.#seconds(),
      ),
    ];
  }

  #operation(name: string): Operation {
    const known = this.#operations.get(name);
    if (known) return known;
    if (this.#operations.size >= OPERATIONS_MAX && name !== OTHER) return this.#operation(OTHER);
    const operation = { statuses: new Tally(STATUS_CLASSES), seconds: new Distribution(SECONDS) };
    this.#operations.set(name, operation);
    return operation;
  }

  *#requests() {
    for (const [operation, { statuses }] of this.#operations) {
      for (const [status, value] of statuses.entries()) {
        // Most operations never answer most of them.
        if (value > 0) yield { labels: { operation, status }, value };
      }
    }
  }

  *#seconds() {
    for (const [operation, { seconds }] of this.#operations) yield* seconds.samples({ operation });
  }
}
