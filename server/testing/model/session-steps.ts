/** Sessions that come, drop, come back and leave. */
import assert from 'node:assert/strict';
import type { Held } from '../../../protocol/frames.ts';
import { eventText } from './following.ts';
import type { Answer, HistoryRun } from './history-run.ts';
import { tokensOf } from './lease-checks.ts';
import type { LeaseModel } from './lease-model.ts';
import { type OperationOf, SESSIONS_MAX } from './lease-operations.ts';
import { endsAtMs, type ModelSession } from './model-records.ts';
import { positions } from './queue-model.ts';

export class SessionSteps {
  readonly #run: HistoryRun;
  readonly #model: LeaseModel;

  #sessionCount = 0;

  constructor(run: HistoryRun) {
    this.#run = run;
    this.#model = run.model;
  }

  open(
    { slot, windowMs, noticeMs }: { slot: number; windowMs: number; noticeMs: number | undefined },
    resume: { session: string; right: boolean } | undefined,
  ): void {
    const model = this.#model;
    this.#sessionCount += 1;
    const id = `s${this.#sessionCount}`;
    const secretHash = resume?.right === true ? `secret of ${resume.session}` : '?';
    const command = {
      type: 'OpenSession',
      session: id,
      secretHash: `secret of ${id}`,
      resumeWindowMs: windowMs,
      sessionsMax: SESSIONS_MAX,
      ...(noticeMs === undefined ? {} : { noticeMs }),
      ...(resume && { resume: { session: resume.session, secretHash } }),
    } as const;
    let resumable: ModelSession | undefined;
    let isFull = false;
    const before = () => {
      const named = resume?.right === true ? model.session(resume.session) : undefined;
      resumable = named && model.isPresent({ kind: 'session', session: named.id }) ? named : undefined;
      isFull = model.sessions.length >= SESSIONS_MAX;
    };
    this.#run.execute(command, {
      before,
      after: (answer) => {
        if (resumable) this.#checkResumed(resumable, answer);
        else if (isFull) assert.ok(answer.type === 'rejected' && answer.code === 'overloaded', 'too many sessions');
        else {
          const nothing = { leases: [], waiting: [], ended: [] };
          assert.deepEqual(answer, { type: 'opened', session: id, resumed: false, ...nothing });
          this.#run.slots[slot] = id;
        }
      },
    });
  }

  #checkResumed(session: ModelSession, answer: Answer<'OpenSession'>): void {
    const model = this.#model;
    assert.ok(answer.type === 'opened' && answer.resumed && answer.session === session.id, 'it can be resumed');
    const held = model.heldBy({ kind: 'session', session: session.id }).map((lease): Held => {
      const { token, resource, address, clamped, request, key, revoking } = lease;
      const deadlineMs = revoking && Math.floor(revoking.atMs - model.nowMs);
      return {
        lease: token,
        resource,
        address: { ...address.record, rpw: model.rpw(address) },
        ttl_ms: Math.floor(endsAtMs(lease) - model.nowMs),
        ...(clamped ? { clamped } : {}),
        request,
        ...(key === undefined ? {} : { key }),
        ...(revoking && { revoking: { reason: revoking.reason, deadline_ms: deadlineMs! } }),
      };
    });
    assert.deepEqual(answer.leases.toSorted(byLease), held.toSorted(byLease), 'leases of the session');
    const waiting = model.waiters
      .filter((waiter) => waiter.session === session)
      .map((waiter) => ({
        request: waiter.requests.at(-1)!.id,
        ...(waiter.key === undefined ? {} : { key: waiter.key }),
        position: positions(model, waiter.resource).get(waiter)!,
      }));
    assert.deepEqual(answer.waiting, waiting, 'requests of the session that wait');
    assert.deepEqual(tokensOf(answer.ended), session.unasked, 'unasked ends');
  }

  leave(operation: OperationOf<'drop' | 'bye'>): void {
    const model = this.#model;
    const id = this.#run.slots[operation.slot];
    const session = id === undefined ? undefined : model.session(id);
    // A suspended one has no socket to lose.
    if (!session || session.suspendedUntilMs !== undefined) return;
    const keepMs = operation.type === 'bye' ? 0 : Math.max(session.windowMs, operation.suspendMs);
    const end = operation.type === 'bye' ? 'released' : 'session_lost';
    const before = () => {
      const { asked } = this.#run.follower;
      if (keepMs > 0) {
        const untilMs = Math.ceil(model.nowMs) + keepMs;
        asked.events.push(eventText({ type: 'SessionSuspended', session: session.id, untilMs, end: 'session_lost' }));
        return;
      }
      asked.events.push(eventText({ type: 'SessionEnded', session: session.id }));
      for (const { token } of model.heldBy({ kind: 'session', session: session.id })) asked.ends.set(token, { end });
    };
    if (operation.type === 'bye') this.#run.execute({ type: 'EndSession', session: session.id }, { before });
    else this.#run.execute({ type: 'DropSession', session: session.id, suspendMs: operation.suspendMs }, { before });
  }
}

function byLease(one: Held, other: Held): number {
  return one.lease - other.lease;
}
