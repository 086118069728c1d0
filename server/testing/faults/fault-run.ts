/**
 * What every fault test is: drawn from a seed, bounded in cases, telling how far it is. The gate runs each once at its CI
 * size; the soak runs them again and again with new seeds. So none of them needs a test runner around it.
 */
export interface FaultRunOptions {
  /** The same seed makes the same cases. */
  readonly seed: number;
  /** Cases at most. */
  readonly cases: number;
  /** Told of the cases that are through, now and then. */
  readonly onProgress?: (doneCount: number) => void;
}

export interface FaultRunResult {
  /** Cases that were run; fewer than asked for only where a finding ended the run. */
  readonly cases: number;
  /** One line each: what was found, and the command that shows it again. */
  readonly findings: readonly string[];
}

export type FaultRun = (options: FaultRunOptions) => Promise<FaultRunResult>;
