/** More that is planned at once means that something plans without end. */
const PLANNED_MAX = 200_000;

/** Something that will happen; without `run` it was called off. */
export interface Planned {
  atMs: number;
  order: number;
  run: (() => void) | undefined;
  /** Whose it is, if anybody's. */
  readonly gate: Gate | undefined;
}

/** Lets what has come happen now, or keeps it back. */
export interface Gate {
  admits(planned: Planned): boolean;
}

/**
 * True time, which no program of the simulation can read, and all that is going to happen in it: by time, and of one time
 * in the order of planning.
 */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  /** A binary heap, the next one first. */
  readonly #planned: Planned[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  plan(delayMs: number, run: () => void, gate?: Gate): Planned {
    return this.planAt(this.#nowMs + delayMs, run, gate);
  }

  /** What is planned for one time happens in the order of planning: sums of fractions would make two of it. */
  planAt(atMs: number, run: () => void, gate?: Gate): Planned {
    const planned: Planned = { atMs, order: 0, run, gate };
    this.#push(planned);
    return planned;
  }

  /** What was kept back comes again, at once. */
  again(planned: Planned): void {
    planned.atMs = this.#nowMs;
    this.#push(planned);
  }

  /** Time goes on to what comes next; false where nothing does. */
  runNext(): boolean {
    for (let next = this.#pop(); next; next = this.#pop()) {
      if (!next.run) continue;
      this.#nowMs = next.atMs;
      if (next.gate && !next.gate.admits(next)) continue;
      next.run();
      return true;
    }
    return false;
  }

  #push(planned: Planned): void {
    if (!(planned.atMs >= this.#nowMs)) throw new Error(`at ${this.#nowMs} nothing can be planned for ${planned.atMs}`);
    if (this.#planned.length === PLANNED_MAX) throw new Error(`${PLANNED_MAX} things are planned`);
    planned.order = this.#order;
    this.#order += 1;
    const heap = this.#planned;
    let index = heap.push(planned) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(planned, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = planned;
  }

  #pop(): Planned | undefined {
    const heap = this.#planned;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(one: Planned, other: Planned): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
