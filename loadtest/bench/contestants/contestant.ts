import type { Speaks } from '../generator/task.ts';
import type { Program } from '../processes.ts';

export interface Running {
  readonly server: Program;
  readonly port: number;
}

/** A server that takes the load: ours or a peer's. */
export interface Contestant {
  readonly name: string;
  readonly speaks: Speaks;
  /** Why it can't take part, and what to do about that; undefined: it can. */
  missing(): string | undefined;
  /** Starts it on a free port of loopback, its data in a folder that is empty. */
  start(folder: string): Promise<Running>;
}
