/** Grants, and how leases end: each by the operation at hand, by time, or by what has become of their address. */
import assert from 'node:assert/strict';
import type { LeaseEnd, RevokeReason } from '../../../protocol/codes.ts';
import type { Grant } from '../../../protocol/frames.ts';
import type { Decided } from '../lease-driver.ts';
import type { EventOf, Following } from './following.ts';
import type { LeaseModel } from './lease-model.ts';
import {
  DAY_MS,
  endsAtMs,
  isSame,
  type ModelAddress,
  type ModelLease,
  type ModelWaiter,
  pairOf,
} from './model-records.ts';
import { boundOf, coolingUntilMs, eligible, withdrawalOf } from './pair-model.ts';
import { nextStep, reservedFor, serve } from './queue-model.ts';

export class GrantFollower {
  readonly #following: Following;
  readonly #model: LeaseModel;

  constructor(following: Following) {
    this.#following = following;
    this.#model = following.model;
  }

  granted(event: EventOf<'LeaseGranted'>, decided: Decided): void {
    const model = this.#model;
    const { lease: token, resource, holder, request, ttlMs, clamped, deadlineMs, key, substituteFor } = event;
    const address = this.#following.addressOf(event);
    assert.ok(token > model.lastToken && token <= model.reservedToken, `token ${token}`);
    assert.ok(model.today >= Math.floor(model.utcMs / DAY_MS), 'a grant on a day that is over');
    const waiter = event.waiter === undefined ? undefined : model.waiters.find((one) => one.number === event.waiter);
    if (waiter) this.#serve(waiter, event, decided);
    else if (substituteFor !== undefined) this.#checkSubstitute(event, address);
    else assert.ok(decided.answer || event.waiter !== undefined, 'a grant that nobody asked for');
    if (holder.kind === 'session' && substituteFor === undefined) {
      serve(model, model.session(holder.session)!, resource, address);
    }
    const { where, strategy, sticky } = event;
    const predecessor = model.leases.find((one) => one.token === substituteFor);
    const isOfCount = event.isMany ?? false;
    const asked = { request, otherRequests: [...(event.otherRequests ?? [])], terms: { where, strategy, sticky }, key };
    const given = model.grant({ token, address, resource, holder, ...asked, isOfCount, ttlMs, clamped, deadlineMs });
    if (substituteFor === undefined) {
      model.grants.set(resource, (model.grants.get(resource) ?? 0) + 1);
      model.lastGrantMs.set(resource, Math.ceil(model.nowMs));
    }
    if (strategy === undefined) this.#following.strategies.granted(resource, where, address);
    if (predecessor) predecessor.hasSubstitute = true;
    if (key !== undefined) this.#remember(given, waiter);
  }

  #remember(lease: ModelLease, waiter: ModelWaiter | undefined): void {
    const model = this.#model;
    let entry = model.findKey(lease.holder, lease.key!);
    if (!entry) {
      model.keys = model.keys.filter((one) => one.key !== lease.key || !isSame(one.holder, lease.holder));
      entry = {
        holder: lease.holder,
        key: lease.key!,
        body: this.#following.asked.body,
        waiter: undefined,
        leases: [],
      };
      model.keys.push(entry);
    }
    if (waiter) entry.waiter = undefined;
    entry.leases.push(lease);
  }

  /** The waiter whose turn it is, with what it asked for: all of it at once. */
  #serve(waiter: ModelWaiter, event: EventOf<'LeaseGranted'>, decided: Decided): void {
    const model = this.#model;
    const { resource, terms, count = 1 } = waiter;
    const next = nextStep(model, resource);
    assert.ok(next?.waiter === waiter && next.kind === 'grant', `it isn't the turn of waiter ${waiter.number}`);
    const events = decided.events.filter((one) => one.type === 'LeaseGranted');
    assert.equal(events.length, count, `leases of waiter ${waiter.number}`);
    const kept = reservedFor(model, waiter);
    const chosen = events.map((one) => this.#following.addressOf(one));
    for (const address of kept) assert.ok(chosen.includes(address), `${address.id} was kept for it`);
    const rest = chosen.filter((address) => !kept.includes(address));
    this.#following.strategies.check(resource, eligible(model, resource, terms.where), rest, terms);
    const holder = { kind: 'session', session: waiter.session.id };
    const ttlMs = model.clamp(resource, waiter.ttlMs);
    const clamped = ttlMs !== waiter.ttlMs;
    const [main, ...others] = waiter.requests.map(({ id }) => id).toReversed();
    assert.deepEqual(
      [event.holder, event.ttlMs, event.clamped, event.deadlineMs, event.request, event.key],
      [holder, ttlMs, clamped, Math.ceil(model.nowMs) + ttlMs, main, waiter.key],
    );
    assert.deepEqual(
      [event.isMany ?? false, event.otherRequests ?? []],
      [waiter.count !== undefined, others.toReversed()],
    );
    const grants = events.map((one) =>
      this.#following.grantOf(this.#following.addressOf(one), one.lease, resource, ttlMs, clamped),
    );
    for (const { id, atMs } of waiter.requests) {
      const told = grants.map((grant) => ({ ...grant, waited_ms: Math.floor(model.nowMs - atMs) }));
      const answer = { type: 'granted', grants: told, isMany: waiter.count !== undefined } as const;
      this.#following.expected.push({ type: 'WaitAnswered', session: waiter.session.id, request: id, answer });
    }
    model.removeWaiter(waiter);
  }

  ended(event: EventOf<'LeaseEnded'>, decided: Decided): void {
    const model = this.#model;
    const lease = this.#following.lease(event.lease);
    const ending = this.#endingOf(lease);
    assert.deepEqual([event.end, event.reason], [ending.end, ending.reason], `end of lease ${lease.token}`);
    const cooling = coolingUntilMs(model, lease, event.end);
    assert.equal(event.coolingUntilMs, cooling, `rest after lease ${lease.token}`);
    const substitute = event.end === 'revoked' ? this.#substituteOf(lease, 1, decided) : {};
    model.end(lease, event.end);
    if (cooling !== undefined) pairOf(lease.address, lease.resource).coolingUntilMs = cooling;
    if (event.end === 'expired') this.#following.expect(lease, { type: 'LeaseExpired', lease: lease.token });
    if (event.end === 'revoked') {
      this.#following.expect(lease, {
        type: 'LeaseRevoked',
        lease: lease.token,
        reason: ending.reason!,
        ...substitute,
      });
    }
  }

  #endingOf(lease: ModelLease): { readonly end: LeaseEnd; readonly reason?: RevokeReason | undefined } {
    const model = this.#model;
    const { token, revoking, deadlineMs, holder } = lease;
    const asked = this.#following.asked.ends.get(token);
    this.#following.asked.ends.delete(token);
    if (endsAtMs(lease) <= model.nowMs) {
      const isRevoked = revoking !== undefined && revoking.atMs <= deadlineMs;
      return isRevoked ? { end: 'revoked', reason: revoking.reason } : { end: 'expired' };
    }
    if (asked) return asked;
    const session = holder.kind === 'session' ? model.session(holder.session) : undefined;
    if (session && (session.suspendedUntilMs ?? Infinity) <= model.nowMs) return { end: 'session_lost' };
    const reason = withdrawalOf(model, lease);
    assert.ok(reason && !model.policy(lease.resource).revokeDeadlineMs, `nothing ends lease ${token}`);
    return { end: 'revoked', reason };
  }

  announced(event: EventOf<'RevocationAnnounced'>, decided: Decided): void {
    const model = this.#model;
    const lease = this.#following.lease(event.lease);
    const deadlineMs = model.policy(lease.resource).revokeDeadlineMs;
    const reason = withdrawalOf(model, lease);
    if (!this.#following.asked.revocations.has(lease.token) && lease.revoking?.atMs === event.atMs) {
      // An operator's announcement, which comes sooner: only the reason is another now.
      assert.ok(lease.revoking.atMs < Math.ceil(model.nowMs) + (deadlineMs ?? 0) && event.reason === reason);
      lease.revoking = { reason: event.reason, atMs: event.atMs };
      return;
    }
    const asked = this.#following.asked.revocations.get(lease.token) ?? { reason, deadlineMs };
    this.#following.asked.revocations.delete(lease.token);
    assert.ok(asked.reason && asked.deadlineMs, `nothing revokes lease ${lease.token}`);
    assert.deepEqual([event.reason, event.atMs], [asked.reason, Math.ceil(model.nowMs) + asked.deadlineMs]);
    assert.ok(!(lease.revoking && lease.revoking.atMs < event.atMs), 'it is announced for sooner');
    const substitute = this.#substituteOf(lease, 0, decided);
    lease.revoking = { reason: event.reason, atMs: event.atMs };
    const told = { lease: lease.token, reason: event.reason, deadlineMs: asked.deadlineMs };
    this.#following.expect(lease, { type: 'LeaseRevoking', ...told, ...substitute });
  }

  /** The substitute that comes with the revocation; there is one where there can be. */
  #substituteOf(lease: ModelLease, ownCount: number, { events }: Decided): { substitute?: Grant } {
    const model = this.#model;
    const { holder, resource, terms } = lease;
    const session = holder.kind === 'session' ? model.session(holder.session) : undefined;
    const isThere = session !== undefined && session.suspendedUntilMs === undefined && !lease.hasSubstitute;
    const isFree = eligible(model, resource, terms.where).length > 0 && !boundOf(model, resource, 1, ownCount);
    const isDue = isThere && isFree && lease.deadlineMs > model.nowMs;
    const event = events.find((one) => one.type === 'LeaseGranted' && one.substituteFor === lease.token);
    assert.equal(event !== undefined, isDue, `substitute for lease ${lease.token}`);
    if (event?.type !== 'LeaseGranted') return {};
    const remainingMs = Math.floor(lease.deadlineMs - model.nowMs);
    this.#following.strategies.check(
      resource,
      eligible(model, resource, terms.where),
      [this.#following.addressOf(event)],
      terms,
    );
    return {
      substitute: this.#following.grantOf(
        this.#following.addressOf(event),
        event.lease,
        resource,
        remainingMs,
        lease.clamped,
      ),
    };
  }

  #checkSubstitute(event: EventOf<'LeaseGranted'>, address: ModelAddress): void {
    const lease = this.#model.leases.find((one) => one.token === event.substituteFor)!;
    assert.notEqual(address, lease.address, 'another address');
    assert.deepEqual(
      [event.holder, event.resource, event.request, event.ttlMs, event.deadlineMs, event.key],
      [lease.holder, lease.resource, lease.request, lease.ttlMs, lease.deadlineMs, undefined],
    );
    assert.deepEqual({ where: event.where, strategy: event.strategy, sticky: event.sticky }, lease.terms);
    assert.deepEqual([event.isMany ?? false, event.otherRequests ?? []], [lease.isOfCount, lease.otherRequests]);
  }
}
