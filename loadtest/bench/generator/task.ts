/** What the bench and its load generator, a process of its own, say to each other. */

/** `leasehold` is spoken by the coordinator and by the null peer of the row `generator`. */
export type Speaks = 'leasehold' | 'redis' | 'etcd';

/** On one session. */
export const IN_FLIGHT_MAX = 64;

export interface LoadTask {
  readonly speaks: Speaks;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly sessions: number;
  /** Requests in flight on each session, 1 to IN_FLIGHT_MAX. */
  readonly inFlight: number;
  /** Before anything counts. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

export interface LoadResult {
  /** Answers of either kind in the window, each of them a durable operation. */
  readonly operations: number;
  readonly windowMs: number;
  /** Of all of them, and of either kind. */
  readonly all: Latencies;
  readonly acquire: Latencies;
  readonly release: Latencies;
  /** Of one core, in the window: 1 is a generator that had no time to spare. */
  readonly generatorCpu: number;
}

/** From the bench: a task. From the generator: `begun` and `ended` around the window, then the result, or why there is none. */
export type FromGenerator =
  | { readonly type: 'begun' | 'ended' }
  | { readonly type: 'result'; readonly result: LoadResult }
  | { readonly type: 'failed'; readonly message: string };
