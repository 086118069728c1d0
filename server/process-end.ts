/** How the process ends: on a signal, on a failure, or where it can't even start. */
import type { Failure } from './coordinator/coordinator.ts';
import { EXIT, Refusal } from './exit.ts';
import { killIfHung } from './kill-if-hung.ts';
import type { Logger } from './logger.ts';
import { isAboutData } from './replay.ts';

/** What a signal calls; until the coordinator serves there is nothing to drain, and recovery takes care of the rest. */
export interface Stopper {
  stop: () => Promise<void>;
}

/** A terminal and a process runner both pass one Ctrl-C on: so soon, a second signal is the first one again. */
const SAME_SIGNAL_MS = 1_000;

/** SIGTERM and SIGINT stop in order; a second one stops at once, as a crash would. */
export function stopOnSignal(stopper: Stopper, log: Logger, nowMs: () => number): void {
  let stoppingSinceMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs !== undefined) {
      if (nowMs() - stoppingSinceMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, 'stopping at once');
      exit(EXIT.internal);
    }
    stoppingSinceMs = nowMs();
    log.info({ signal }, 'stopping');
    stopper.stop().then(
      () => {
        log.info('stopped');
        exit(EXIT.clean);
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'stopping failed');
        exit(EXIT.storage);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

export function exitOnFailure({ kind, message }: Failure, log: Logger): never {
  log.fatal({ kind }, message);
  exit({ storage: EXIT.storage, deposed: EXIT.held, bug: EXIT.internal }[kind]);
}

/** Also where the disk hangs, and with it a thread of ours. */
export function exit(code: number): never {
  killIfHung(process.pid);
  process.exit(code);
}

/** Of a start that failed. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Refusal) return error.exitCode;
  if (isAboutData(error)) return EXIT.data;
  // The system's own errors here are about the data folder.
  const isSystemError = error instanceof Error && 'errno' in error;
  return isSystemError ? EXIT.storage : EXIT.internal;
}
