import { assertNever } from '../../protocol/assert.ts';
import type { LeaseEnd, RevokeReason } from '../../protocol/codes.ts';
import type { LeaseNotice } from './commands.ts';
import type { LeaseEvent } from './events.ts';
import { isEphemeral } from './holder.ts';
import { endsAtMs, type Lease, type LeaseState, policyOf } from './state.ts';

/** How a lease ends, and why where that needs saying. */
export type Ending =
  | { readonly end: Exclude<LeaseEnd, 'revoked'> }
  | { readonly end: 'revoked'; readonly reason: RevokeReason };

/** What the end of leases adds to a decision: the events, and word to the holders where they didn't ask for it. */
export class LeaseEnds {
  readonly events: LeaseEvent[] = [];
  readonly notices: LeaseNotice[] = [];
  readonly #state: LeaseState;
  readonly #nowMs: number;

  constructor(state: LeaseState, nowMs: number) {
    this.#state = state;
    this.#nowMs = nowMs;
  }

  /** A lease past its time has ended by that, whatever would end it now. */
  add(lease: Lease, asked: Ending): void {
    const ending = overdueEnding(lease, this.#nowMs) ?? asked;
    const reason = ending.end === 'revoked' ? ending.reason : undefined;
    const untilMs = coolingUntilMs(this.#state, lease, ending.end, this.#nowMs);
    const { token, resource, addressId, holder } = lease;
    if (isEphemeral(lease)) {
      if (untilMs !== undefined) this.events.push({ type: 'CooldownBegan', resource, addressId, untilMs });
      this.events.push({
        type: 'LeaseEnded',
        lease: token,
        end: ending.end,
        reason,
        atMs: this.#nowMs,
        isEphemeral: true,
      });
      const why = ending.end === 'revoked' ? ending.reason : ending.end;
      if (why === 'released' || why === 'session_lost') return;
      this.notices.push({ type: 'ProcessLeaseEnded', lease: token, reason: why });
      return;
    }
    this.events.push({
      type: 'LeaseEnded',
      lease: token,
      end: ending.end,
      reason,
      atMs: this.#nowMs,
      coolingUntilMs: untilMs,
    });
    if (holder.kind !== 'session') return;
    const { session } = holder;
    switch (ending.end) {
      case 'expired':
        this.notices.push({ type: 'LeaseExpired', session, lease: token });
        return;
      case 'revoked':
        this.notices.push({ type: 'LeaseRevoked', session, lease: token, reason: ending.reason });
        return;
      case 'released':
      case 'session_lost':
        return;
      default:
        assertNever(ending);
    }
  }
}

/** How a lease has ended by time: at its deadline, or before it by a revocation that was announced. */
export function overdueEnding(lease: Lease, nowMs: number): Ending | undefined {
  if (endsAtMs(lease) > nowMs) return undefined;
  const { revoking, deadlineMs } = lease;
  // A lease that was renewed up to its announced revocation ends by that.
  if (revoking && revoking.atMs <= deadlineMs) return { end: 'revoked', reason: revoking.reason };
  return { end: 'expired' };
}

/** Until when the pair rests; undefined: not at all. */
function coolingUntilMs(state: LeaseState, lease: Lease, end: LeaseEnd, nowMs: number): number | undefined {
  const { cooldownMs, handover: asked } = policyOf(state, lease.resource);
  // What this process holds it knows the end of.
  const handover = isEphemeral(lease) ? 'fast' : asked;
  const restMs = cooldownMs?.[end] ?? 0;
  let untilMs = restMs > 0 ? Math.ceil(nowMs) + restMs : nowMs;
  // Its holder may not know of the end and go by the deadline.
  if (handover === 'safe' && end !== 'released') untilMs = Math.max(untilMs, lease.deadlineMs);
  return untilMs > nowMs ? untilMs : undefined;
}
