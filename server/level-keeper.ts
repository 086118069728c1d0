import type { Access } from './clients/access.ts';
import { LEVELS_KEPT_AT_ONCE } from './clients/buckets.ts';
import type { KeepLevels } from './clients/commands.ts';
import type { Scheduler } from './coordinator/scheduler.ts';

/** After a crash, a client may have what it had so long before; … */
const KEEP_MS = 5_000;
/** … where more has changed than is kept at one time, the rest follows soon. */
const KEEP_REST_MS = 100;

export interface LevelKeeperOptions {
  readonly clients: { execute(command: KeepLevels, released: () => void): void };
  readonly access: Access;
  readonly scheduler: Scheduler;
  /** While room on the disk is short, levels aren't worth it. */
  readonly hasRoom: () => boolean;
}

/** Keeps the levels of buckets, where they have changed. */
export class LevelKeeper {
  readonly #options: LevelKeeperOptions;
  #cancel: () => void;

  constructor(options: LevelKeeperOptions) {
    this.#options = options;
    this.#cancel = this.#keepIn(KEEP_MS);
  }

  /** Keeps what there is, and no more after that. */
  stop(): void {
    this.#cancel();
    while (this.#keep());
  }

  #keepIn(delayMs: number): () => void {
    return this.#options.scheduler.setTimer(delayMs, () => {
      this.#cancel = this.#keepIn(this.#keep() ? KEEP_REST_MS : KEEP_MS);
    });
  }

  /** Whether there is more. */
  #keep(): boolean {
    const { clients, access, hasRoom } = this.#options;
    const changed = hasRoom() ? access.changedLevels() : undefined;
    if (!changed) return false;
    clients.execute(changed, () => {});
    return changed.levels.length + changed.forgotten.length === LEVELS_KEPT_AT_ONCE;
  }
}
