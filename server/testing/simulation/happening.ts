import type { LeaseCommand } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { LeaseState } from '../../lease/state.ts';
import type { Findings } from './findings.ts';
import type { Timeline } from './timeline.ts';
import type { UndoLog } from './undo-log.ts';

/** Where an event comes from, which is about to be applied. */
export interface Happening {
  /** As it is before the event. */
  readonly state: LeaseState;
  readonly command: LeaseCommand;
  /** Of the event in the journal. */
  readonly position: number;
  /** Events with the same number are of one decision. */
  readonly decision: number;
  /** By the coordinator's clock. */
  readonly nowMs: number;
}

export type EventOf<Type extends LeaseEvent['type']> = Extract<LeaseEvent, { type: Type }>;

/** What all the books of a history share. */
export interface BookOptions {
  readonly findings: Findings;
  readonly timeline: Timeline;
  readonly undos: UndoLog;
}

/** Room for the rounding of sums of fractions. */
export const ROUNDING_MS = 1e-6;

/** Who releases by this command, if a session does. */
export function releaser(command: LeaseCommand): string | undefined {
  if (command.type === 'EndSession') return command.session;
  if (command.type !== 'ReleaseLease' && command.type !== 'CancelAcquire') return undefined;
  return command.holder.kind === 'session' ? command.holder.session : undefined;
}
