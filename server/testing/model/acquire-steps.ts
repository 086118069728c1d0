/** Acquires, each explained first now and then, and what takes them back. */
import assert from 'node:assert/strict';
import type { Grant } from '../../../protocol/frames.ts';
import type { AcquireLease } from '../../lease/commands.ts';
import type { Decided } from '../lease-driver.ts';
import { type AcquireOutcome, bodyOf, explainedOf, outcomeOf } from './acquire-model.ts';
import { eventText } from './following.ts';
import type { Answer, HistoryRun } from './history-run.ts';
import type { LeaseModel } from './lease-model.ts';
import type { OperationOf } from './lease-operations.ts';
import { endsAtMs, type ModelAddress, type ModelSession } from './model-records.ts';
import { positions } from './queue-model.ts';

export class AcquireSteps {
  readonly #run: HistoryRun;
  readonly #model: LeaseModel;

  constructor(run: HistoryRun) {
    this.#run = run;
    this.#model = run.model;
  }

  acquire(operation: OperationOf<'acquire'>): void {
    const { by, type: _, isExplained, key, ...asked } = operation;
    const holder = this.#run.holder(by);
    // Nothing comes on a socket that is gone; and only sessions wait, only who has a name has keys.
    const isAway = holder.kind === 'session' && this.#model.session(holder.session)?.suspendedUntilMs !== undefined;
    if (isAway && asked.waitMs !== undefined) return;
    const named = holder.kind === 'session' || holder.kind === 'client' ? key : undefined;
    if (asked.sticky !== undefined) asked.strategy = undefined;
    const terms = JSON.parse(JSON.stringify({ ...asked, holder })) as Omit<AcquireLease, 'type' | 'request'>;
    const isKeyed = named !== undefined;
    if (isExplained && !isKeyed) this.#explain(terms);
    this.#run.request += 1;
    const command = {
      type: 'AcquireLease',
      ...terms,
      ...(isKeyed ? { key: named } : {}),
      request: this.#run.request,
    } as const;
    this.#run.execute(command, {
      before: (answer, decided) => {
        this.#run.follower.asked.body = bodyOf(command);
        const outcome = outcomeOf(this.#model, command);
        if (outcome.kind === 'granted' || outcome.kind === 'queued' || outcome.kind === 'refused') {
          // Nobody who waits is passed, and nothing that is overdue stands in the way.
          this.#run.follower.waiting.checkServed(command.resource);
          for (const lease of this.#model.unended(command.resource)) assert.ok(endsAtMs(lease) > this.#model.nowMs);
        }
        this.#checkAcquired(command, outcome, answer, decided);
      },
      after: (answer) => {
        if (answer.type !== 'queued') return;
        const waiter = this.#model.waiters.find(({ requests }) => requests.some(({ id }) => id === command.request))!;
        assert.equal(answer.position, positions(this.#model, command.resource).get(waiter), 'place in the line');
      },
    });
  }

  /** What is explained is what comes of it at the same moment: the model answers for both. */
  #explain(terms: Omit<AcquireLease, 'type' | 'request'>): void {
    const { key: _, ...asked } = terms;
    this.#run.execute(
      { type: 'ExplainAcquire', ...asked },
      {
        before: (answer) => {
          const expected = explainedOf(this.#model, asked);
          if (typeof expected === 'string') assert.ok(answer.type === 'rejected' && answer.code === expected);
          else assert.deepEqual(answer, { type: 'explained', ...expected });
        },
      },
    );
  }

  #checkAcquired(
    command: AcquireLease,
    outcome: AcquireOutcome,
    answer: Answer<'AcquireLease'>,
    decided: Decided,
  ): void {
    const model = this.#model;
    const { asked, strategies } = this.#run.follower;
    switch (outcome.kind) {
      case 'rejected':
        assert.ok(answer.type === 'rejected' && answer.code === outcome.code, `expected ${outcome.code}`);
        return;
      case 'again': {
        const grants = outcome.leases.map((lease): Grant => {
          const address = { ...lease.address.record, rpw: model.rpw(lease.address) };
          const ttlMs = Math.floor(endsAtMs(lease) - model.nowMs);
          const { token, resource, clamped } = lease;
          return { lease: token, resource, address, ttl_ms: ttlMs, ...(clamped ? { clamped } : {}) };
        });
        assert.deepEqual(answer, { type: 'granted', grants, isMany: command.count !== undefined });
        return;
      }
      case 'repeated':
        assert.equal(answer.type, 'queued', 'it waits already');
        return;
      case 'refused': {
        const { reason, why } = outcome;
        const retryAfterMs = why.soonest_ms === undefined ? {} : { retryAfterMs: why.soonest_ms };
        assert.deepEqual(answer, { type: 'refused', reason, why, ...retryAfterMs });
        return;
      }
      case 'queued':
        assert.equal(answer.type, 'queued', 'it can wait');
        asked.events.push(eventText(outcome.event));
        return;
      case 'granted': {
        assert.ok(answer.type === 'granted', 'it can be granted');
        const chosen = decided.events.flatMap((event) => {
          return event.type === 'LeaseGranted' ? [this.#run.follower.addressOf(event)] : [];
        });
        strategies.check(command.resource, outcome.eligible, chosen, outcome.terms);
        this.#checkGrants(command, answer, decided, chosen);
      }
    }
  }

  #checkGrants(
    command: AcquireLease,
    answer: Extract<Answer<'AcquireLease'>, { type: 'granted' }>,
    { events }: Decided,
    chosen: readonly ModelAddress[],
  ): void {
    const model = this.#model;
    const { resource, count, holder, request, key } = command;
    const ttlMs = model.clamp(resource, command.ttlMs);
    const clamped = ttlMs !== command.ttlMs;
    assert.equal(chosen.length, count ?? 1, 'all or nothing');
    const grants: Grant[] = [];
    for (const event of events) {
      if (event.type !== 'LeaseGranted') continue;
      const terms = [event.holder, event.resource, event.request, event.key, event.ttlMs, event.deadlineMs];
      assert.deepEqual(terms, [holder, resource, request, key, ttlMs, Math.ceil(model.nowMs) + ttlMs]);
      grants.push(
        this.#run.follower.grantOf(this.#run.follower.addressOf(event), event.lease, resource, ttlMs, clamped),
      );
    }
    assert.deepEqual(answer, { type: 'granted', grants, isMany: count !== undefined });
  }

  cancel({ slot, back }: OperationOf<'cancel'>): void {
    const model = this.#model;
    const holder = this.#run.holder({ slot });
    const request = this.#run.request - back;
    this.#run.execute(
      { type: 'CancelAcquire', holder, request },
      {
        before: (answer) => {
          const isOwn = (session: ModelSession) => holder.kind === 'session' && session.id === holder.session;
          const waiter = model.waiters.find(
            (one) => isOwn(one.session) && one.requests.some(({ id }) => id === request),
          );
          if (waiter) {
            this.#run.follower.asked.events.push(`waiter ${waiter.number} cancelled`);
            assert.deepEqual(answer, { type: 'cancelled', leases: [], isMany: false });
            return;
          }
          const held = model
            .heldBy(holder)
            .filter((lease) => [lease.request, ...lease.otherRequests].includes(request));
          for (const { token } of held) this.#run.follower.asked.ends.set(token, { end: 'released' });
          const isMany = held.some((lease) => lease.isOfCount);
          assert.deepEqual(answer, { type: 'cancelled', leases: held.map(({ token }) => token), isMany });
        },
      },
    );
  }
}
