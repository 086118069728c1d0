import { assertNever } from '../../protocol/assert.ts';
import type { LeaseEnd, RevokeReason } from '../../protocol/codes.ts';
import type { LeaseNotice } from './commands.ts';
import type { LeaseEvent } from './events.ts';
import type { Lease } from './state.ts';

/** How a lease ends, and why where that needs saying. */
export type Ending =
  | { readonly end: Exclude<LeaseEnd, 'revoked'> }
  | { readonly end: 'revoked'; readonly reason: RevokeReason };

/** What the end of a lease adds to a decision: the event, and word to the holder where it didn't ask for it. */
export class LeaseEnds {
  readonly events: LeaseEvent[] = [];
  readonly notices: LeaseNotice[] = [];
  readonly #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  /** A lease past its deadline has expired, whatever would end it now. */
  add(lease: Lease, asked: Ending): void {
    const ending: Ending = lease.deadlineMs > this.#nowMs ? asked : { end: 'expired' };
    const reason = ending.end === 'revoked' ? ending.reason : undefined;
    this.events.push({ type: 'LeaseEnded', lease: lease.token, end: ending.end, reason, atMs: this.#nowMs });
    if (lease.holder.kind !== 'session') return;
    const { session } = lease.holder;
    switch (ending.end) {
      case 'expired':
        this.notices.push({ type: 'LeaseExpired', session, lease: lease.token });
        return;
      case 'revoked':
        this.notices.push({ type: 'LeaseRevoked', session, lease: lease.token, reason: ending.reason });
        return;
      case 'released':
      case 'session_lost':
        return;
      default:
        assertNever(ending);
    }
  }
}
