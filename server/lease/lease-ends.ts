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

  add(lease: Lease, asked: Ending): void {
    const { events, notice } = endOf(this.#state, lease, asked, this.#nowMs);
    this.events.push(...events);
    if (notice) this.notices.push(notice);
  }
}

/** The same of a single lease. One past its time has ended by that, whatever would end it now. */
export function endOf(
  state: LeaseState,
  lease: Lease,
  asked: Ending,
  nowMs: number,
): { readonly events: LeaseEvent[]; readonly notice: LeaseNotice | undefined } {
  const ending = overdueEnding(lease, nowMs) ?? asked;
  const untilMs = coolingUntilMs(state, lease, ending.end, nowMs);
  const { token, resource, addressId } = lease;
  const isProcess = isEphemeral(lease);
  const ended: LeaseEvent = {
    type: 'LeaseEnded',
    lease: token,
    end: ending.end,
    reason: ending.end === 'revoked' ? ending.reason : undefined,
    atMs: nowMs,
    coolingUntilMs: isProcess ? undefined : untilMs,
    isEphemeral: isProcess ? true : undefined,
  };
  const rests = isProcess && untilMs !== undefined;
  return {
    events: rests ? [{ type: 'CooldownBegan', resource, addressId, untilMs }, ended] : [ended],
    notice: noticeOf(lease, ending),
  };
}

/** Word to the holder, where it didn't ask for the end. */
function noticeOf({ token, holder }: Lease, ending: Ending): LeaseNotice | undefined {
  switch (ending.end) {
    case 'released':
    case 'session_lost':
      return undefined;
    case 'expired':
      if (holder.kind === 'process') return { type: 'ProcessLeaseEnded', lease: token, reason: 'expired' };
      return holder.kind === 'session' ? { type: 'LeaseExpired', session: holder.session, lease: token } : undefined;
    case 'revoked': {
      const { reason } = ending;
      if (holder.kind === 'process') return { type: 'ProcessLeaseEnded', lease: token, reason };
      return holder.kind === 'session'
        ? { type: 'LeaseRevoked', session: holder.session, lease: token, reason }
        : undefined;
    }
    default:
      return assertNever(ending);
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
