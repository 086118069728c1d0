import { Distribution } from './distribution.ts';
import { counter, type Family, histogram } from './family.ts';
import {
  GRANT_VIAS,
  type GrantVia,
  type HttpRequest,
  type Metrics,
  REQUEST_VIAS,
  type RequestVia,
  type WrittenBatch,
} from './metrics.ts';
import { OperationCounts } from './operation-counts.ts';
import { Tally } from './tally.ts';

/** The wire's lists of words: labels are of these and no others. */
export interface MetricWords {
  readonly refusedReasons: readonly string[];
  readonly leaseEnds: readonly string[];
  readonly revokeReasons: readonly string[];
  readonly errorCodes: readonly string[];
}

/** A write to a good disk takes a tenth of a millisecond; one that takes 30 s ends the process. */
const DISK_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
/** From the same turn to the longest that a request may wait: a day. */
const WAIT_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400];
/** A batch has 1,000 events at most … */
const BATCH_EVENTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];
/** … and 1 MB: from a single sector on. */
const BATCH_BYTES = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576];

/**
 * Everything that is counted in this run, as plain numbers. prom-client has no part in it: it is what writes them down when
 * somebody asks (exposition.ts).
 */
export class Counts implements Metrics {
  readonly #granted = new Tally(GRANT_VIAS);
  readonly #ended: Tally;
  readonly #revoked: Tally;
  readonly #refused: Tally;
  readonly #errors: Tally;
  readonly #rateLimited = new Tally(REQUEST_VIAS);
  readonly #waitSeconds = new Distribution(WAIT_SECONDS);
  readonly #commitSeconds = new Distribution(DISK_SECONDS);
  readonly #writeSeconds = new Distribution(DISK_SECONDS);
  readonly #batchEvents = new Distribution(BATCH_EVENTS);
  readonly #batchBytes = new Distribution(BATCH_BYTES);
  readonly #operations = new OperationCounts();

  constructor({ leaseEnds, revokeReasons, refusedReasons, errorCodes }: MetricWords) {
    this.#ended = new Tally(leaseEnds);
    this.#revoked = new Tally(revokeReasons);
    this.#refused = new Tally(refusedReasons);
    this.#errors = new Tally(errorCodes);
  }

  granted(via: GrantVia): void {
    this.#granted.add(via);
  }

  leaseEnded(end: string, reason: string | undefined): void {
    this.#ended.add(end);
    if (reason !== undefined) this.#revoked.add(reason);
  }

  refused(reason: string): void {
    this.#refused.add(reason);
  }

  waited(seconds: number): void {
    this.#waitSeconds.observe(seconds);
  }

  errorSent(code: string): void {
    this.#errors.add(code);
  }

  rateLimited(via: RequestVia): void {
    this.#rateLimited.add(via);
  }

  httpRequest(request: HttpRequest): void {
    this.#operations.add(request);
  }

  batchWritten({ events, bytes, seconds }: WrittenBatch): void {
    this.#batchEvents.observe(events);
    this.#batchBytes.observe(bytes);
    this.#writeSeconds.observe(seconds);
  }

  committed(seconds: number): void {
    this.#commitSeconds.observe(seconds);
  }

  families(): Family[] {
    return [
      counter(
        'leases_granted_total',
        'Leases granted: asked for over ws, http or the gateway, after a wait, or in the place of another.',
        'via',
        this.#granted,
      ),
      counter('leases_ended_total', 'Leases ended, by how.', 'end', this.#ended),
      counter('leases_revoked_total', 'Leases revoked, by why.', 'reason', this.#revoked),
      counter('requests_refused_total', 'Acquires refused, by why.', 'reason', this.#refused),
      counter('errors_total', 'Error frames sent to collectors, by code.', 'code', this.#errors),
      counter('requests_rate_limited_total', 'Requests beyond the rate of their client.', 'via', this.#rateLimited),
      histogram('wait_duration_seconds', 'Time that requests waited in line until granted.', this.#waitSeconds),
      histogram(
        'journal_commit_duration_seconds',
        'Time from handing a batch to the journal until it was durable.',
        this.#commitSeconds,
      ),
      histogram(
        'journal_write_duration_seconds',
        'Time of the write that forced a batch to the disk.',
        this.#writeSeconds,
      ),
      histogram('journal_batch_events', 'Events of a batch.', this.#batchEvents),
      histogram('journal_batch_bytes', 'Bytes of a batch as written, filled up to whole sectors.', this.#batchBytes),
      ...this.#operations.families(),
    ];
  }
}
