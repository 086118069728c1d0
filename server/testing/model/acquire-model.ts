/** What an acquire comes to at this moment, and so what `explain` says of it. */
import type { ErrorCode, RefusedReason } from '../../../protocol/codes.ts';
import type { Why } from '../../../protocol/frames.ts';
import type { AcquireLease, AcquireTerms } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { LeaseModel } from './lease-model.ts';
import type { ModelAddress, ModelLease, ModelTerms } from './model-records.ts';
import { boundOf, eligible, whyOf } from './pair-model.ts';

export type AcquireOutcome =
  | { readonly kind: 'rejected'; readonly code: ErrorCode }
  /** Known by its key: granted before, or waiting already. */
  | { readonly kind: 'again'; readonly leases: readonly ModelLease[] }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'granted'; readonly eligible: readonly ModelAddress[]; readonly terms: ModelTerms }
  | { readonly kind: 'queued'; readonly event: Extract<LeaseEvent, { type: 'AcquireQueued' }> }
  | { readonly kind: 'refused'; readonly reason: RefusedReason; readonly why: Why };

export function outcomeOf(model: LeaseModel, command: AcquireLease): AcquireOutcome {
  const { holder, resource, ttlMs, request, waitMs = 0, count, key } = command;
  if (!model.isPresent(holder)) return { kind: 'rejected', code: 'not_holder' };
  const entry = key === undefined ? undefined : model.findKey(holder, key);
  if (entry) {
    if (entry.body !== bodyOf(command)) return { kind: 'rejected', code: 'key_reused' };
    if (entry.waiter) return { kind: 'repeated' };
    const live = entry.leases.filter((lease) => lease.end === undefined);
    return live.length > 0 ? { kind: 'again', leases: live } : { kind: 'rejected', code: 'lease_lost' };
  }
  if (!model.exists(resource)) return { kind: 'rejected', code: 'unknown_resource' };
  const terms = termsOf(model, command);
  const bound = boundOf(model, resource, count ?? 1);
  const candidates = eligible(model, resource, command.where);
  if (!bound && candidates.length >= (count ?? 1)) return { kind: 'granted', eligible: candidates, terms };
  if (mayWait(model, command) && holder.kind === 'session') {
    const times = { atMs: model.nowMs, untilMs: Math.ceil(model.nowMs) + waitMs };
    const asked = { resource, request, ttlMs, ...terms, count, key };
    return { kind: 'queued', event: { type: 'AcquireQueued', waiter: 0, session: holder.session, ...times, ...asked } };
  }
  const why = whyOf(model, resource, command.where, count ?? 1, bound);
  return { kind: 'refused', reason: bound?.reason ?? 'none_available', why };
}

export function explainedOf(
  model: LeaseModel,
  terms: AcquireTerms,
): { readonly would: 'grant' | 'queue' | 'refuse'; readonly why: Why } | ErrorCode {
  const { resource, where, count = 1 } = terms;
  if (!model.exists(resource)) return 'unknown_resource';
  const bound = boundOf(model, resource, count);
  const why = whyOf(model, resource, where, count, bound);
  if (!bound && eligible(model, resource, where).length >= count) return { would: 'grant', why };
  return { would: mayWait(model, terms) ? 'queue' : 'refuse', why };
}

/** Only a session that says how long; for more than may ever be leased at once not even that. */
function mayWait(model: LeaseModel, { holder, resource, waitMs = 0, count = 1 }: AcquireTerms): boolean {
  return holder.kind === 'session' && waitMs > 0 && count <= (model.policy(resource).maxLeases ?? Infinity);
}

/** A string stands for sticky; else the resource's own strategy; round robin is what nobody has to name. */
function termsOf(model: LeaseModel, { holder, resource, where, strategy, sticky }: AcquireTerms): ModelTerms {
  if (strategy !== undefined) return { where, strategy: strategy === 'round_robin' ? undefined : strategy, sticky };
  if (sticky !== undefined) return { where, strategy: 'sticky', sticky };
  const { strategy: own } = model.policy(resource);
  if (own === 'sticky') return { where, strategy: own, sticky: Object.values(holder).map(String).join(' ') };
  return { where, strategy: own === 'round_robin' ? undefined : own, sticky };
}

/** What a repetition has to repeat. */
export function bodyOf({ resource, ttlMs, where, strategy, sticky, waitMs = 0, count }: AcquireTerms): string {
  return JSON.stringify({ resource, ttlMs, where, strategy, sticky, waitMs, count });
}
