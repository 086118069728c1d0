/**
 * What was answered in each second, for the curves of the report: artillery's own periods are ten seconds long.
 *
 * A file of JSON lines, one for each second and worker in which something was answered:
 *
 *   {"second": 1750000000, "answered": {"acquire": 25}, "ms": {"acquire": [0.61, 0.55, …]}, "loop_ms": 1.2}
 *
 * `second` since 1970. `ms` holds VALUES_MAX values of each name at most, the first ones; `answered` counts all. `loop_ms` is
 * the longest that the worker's own event loop was held up: no answer could be read for so long, whoever is to blame.
 */
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface TimelineLine {
  readonly second: number;
  readonly answered: Readonly<Record<string, number>>;
  readonly ms: Readonly<Record<string, readonly number[]>>;
  readonly loop_ms: number;
}

/** Of one name in one second. */
const VALUES_MAX = 2_000;
/** Between two looks at the event loop. What is measured holds one of them. */
const LOOP_RESOLUTION_MS = 10;

export class Timeline {
  readonly #file: string;
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  #second = 0;
  #answered: Record<string, number> = {};
  #ms: Record<string, number[]> = {};

  constructor(file: string) {
    this.#file = file;
    this.#loop.enable();
  }

  record(name: string, ms: number, nowMs = Date.now()): void {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.flush();
      this.#second = second;
    }
    this.#answered[name] = (this.#answered[name] ?? 0) + 1;
    const values = (this.#ms[name] ??= []);
    if (values.length < VALUES_MAX) values.push(rounded(ms));
  }

  /** Synchronous: it is also called when the worker is about to end. */
  flush(): void {
    const loopMs = Math.max(0, this.#loop.max / 1e6 - LOOP_RESOLUTION_MS);
    const line: TimelineLine = {
      second: this.#second,
      answered: this.#answered,
      ms: this.#ms,
      loop_ms: rounded(loopMs),
    };
    this.#loop.reset();
    this.#answered = {};
    this.#ms = {};
    if (Object.keys(line.answered).length > 0) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** Names the file; absent: nothing is recorded. */
export const TIMELINE_VARIABLE = 'LOADTEST_TIMELINE';

let ofThisWorker: Timeline | undefined;

/** One for all who record in this worker: the file has a line of it for each second. */
export function openTimeline(): Timeline | undefined {
  const file = process.env[TIMELINE_VARIABLE];
  if (file === undefined || ofThisWorker) return ofThisWorker;
  const timeline = new Timeline(file);
  process.once('exit', () => timeline.flush());
  ofThisWorker = timeline;
  return timeline;
}
