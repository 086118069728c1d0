import type { Gate, Planned, Timeline } from './timeline.ts';

/** What a process wakes up to, in the order in which an event loop looks: timers, what can be read, the end of the turn. */
const KINDS = ['timer', 'input', 'turn'] as const;
type Kind = (typeof KINDS)[number];

/** A process on the simulation's time, which can be stopped for a while with nobody told, and killed. */
export class SimProcess {
  readonly #timeline: Timeline;
  readonly #gates: Readonly<Record<Kind, ProcessGate>>;
  #wake: Planned | undefined;
  #awakeSinceMs: number;
  #isDead = false;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.#gates = { timer: new ProcessGate(this), input: new ProcessGate(this), turn: new ProcessGate(this) };
    this.#awakeSinceMs = timeline.nowMs;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isPaused(): boolean {
    return this.#wake !== undefined;
  }

  /** For how long it has been so; 0 while it is paused. */
  get awakeMs(): number {
    return this.#wake ? 0 : this.#timeline.nowMs - this.#awakeSinceMs;
  }

  /** Runs unless the process has died by then, and later where it is paused then. Without its `run` it is called off. */
  plan(kind: Kind, delayMs: number, run: () => void): Planned {
    return this.planAt(kind, this.#timeline.nowMs + delayMs, run);
  }

  planAt(kind: Kind, atMs: number, run: () => void): Planned {
    return this.#timeline.planAt(atMs, run, this.#gates[kind]);
  }

  /** Does nothing where it is paused or dead already. */
  pause(ms: number): void {
    if (this.#wake || this.#isDead) return;
    this.#wake = this.#timeline.plan(ms, () => {
      this.#wake = undefined;
      this.#awakeSinceMs = this.#timeline.nowMs;
      for (const kind of KINDS) {
        for (const planned of this.#gates[kind].held.splice(0)) this.#timeline.again(planned);
      }
    });
  }

  kill(): void {
    this.#isDead = true;
    if (this.#wake) this.#wake.run = undefined;
    for (const kind of KINDS) this.#gates[kind].held.length = 0;
  }
}

/** Keeps back what comes for a process that is paused. */
class ProcessGate implements Gate {
  readonly held: Planned[] = [];
  readonly #process: SimProcess;

  constructor(process: SimProcess) {
    this.#process = process;
  }

  admits(planned: Planned): boolean {
    if (this.#process.isPaused && !this.#process.isDead) this.held.push(planned);
    return !this.#process.isPaused && !this.#process.isDead;
  }
}
