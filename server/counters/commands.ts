import type { ErrorCode } from '../../protocol/codes.ts';
import type { StorageLevel } from '../coordinator/domain.ts';

/** What can be asked of the counters. Imperative; values have passed the wire's schema. */
export type CounterCommand = AddToCounter | DeleteCounter | SetStorage | Due;

/** A counter that isn't there yet begins at 0. */
export interface AddToCounter {
  readonly type: 'AddToCounter';
  /** Whose `key` it is: `session ID` or `client ID`. */
  readonly holder: string;
  readonly counter: string;
  /** May be negative; 0 without a key only reads. */
  readonly by: number;
  /** The same one again with the same body is answered as the first time. */
  readonly key?: string | undefined;
}

export interface DeleteCounter {
  readonly type: 'DeleteCounter';
  readonly counter: string;
}

/** The journal has more or less room than before. */
export interface SetStorage {
  readonly type: 'SetStorage';
  readonly level: StorageLevel;
}

/** Forget keys whose time is over. */
export interface Due {
  readonly type: 'Due';
}

// ---- answers

export interface Counted {
  readonly type: 'counted';
  readonly counter: string;
  /** Right after this addition. */
  readonly value: number;
}

/** What an `error` frame says. */
export interface Rejected {
  readonly type: 'rejected';
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly retryAfterMs?: number;
}

export interface Done {
  readonly type: 'done';
}

/** What each command is answered. */
export interface CounterAnswers {
  AddToCounter: Counted | Rejected;
  /** `unknown`: there is no such counter. */
  DeleteCounter: { readonly type: 'deleted' } | { readonly type: 'unknown' };
  SetStorage: Done;
  Due: Done;
}
export type CounterAnswer = CounterAnswers[keyof CounterAnswers];
