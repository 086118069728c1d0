/** How a lease came to be granted: asked for by this way, after a wait, or in the place of another. */
export const GRANT_VIAS = ['ws', 'http', 'gateway', 'waiter', 'substitute'] as const;
export type GrantVia = (typeof GRANT_VIAS)[number];

/** By which way a request comes. */
export const REQUEST_VIAS = ['ws', 'http', 'gateway'] as const;
export type RequestVia = (typeof REQUEST_VIAS)[number];

/** An HTTP request that has been answered. */
export interface HttpRequest {
  /** The name or pattern of the route, never the path as it was asked for; undefined: there is none. */
  readonly operation: string | undefined;
  readonly status: number;
  readonly seconds: number;
}

/** A batch of events as the disk took it. */
export interface WrittenBatch {
  readonly events: number;
  readonly bytes: number;
  /** Of the write itself, that forces it to the disk. */
  readonly seconds: number;
}

/**
 * What is counted while the coordinator runs, for `GET /metrics`. Nothing reads it back to decide anything.
 *
 * Words are the wire's own; one that isn't in its list counts as `other`, so nobody outside can add a series.
 */
export interface Metrics {
  granted(via: GrantVia): void;
  /** `reason` of those revoked. */
  leaseEnded(end: string, reason: string | undefined): void;
  refused(reason: string): void;
  /** A request that had waited for so long was granted. */
  waited(seconds: number): void;
  /** An error frame left for a collector. */
  errorSent(code: string): void;
  /** A request was turned away by its client's rate limit. */
  rateLimited(via: RequestVia): void;
  httpRequest(request: HttpRequest): void;
  batchWritten(batch: WrittenBatch): void;
  /** From the moment at which a batch was handed to the log to that at which it was durable. */
  committed(seconds: number): void;
}

/** Counts nothing. */
export const NO_METRICS: Metrics = {
  granted() {},
  leaseEnded() {},
  refused() {},
  waited() {},
  errorSent() {},
  rateLimited() {},
  httpRequest() {},
  batchWritten() {},
  committed() {},
};
