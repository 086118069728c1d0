/** What becomes of leases once they are granted: by their holders, or anybody who says so, and by an operator. */
import assert from 'node:assert/strict';
import type { HistoryRun } from './history-run.ts';
import { sameNumbers, tokensOf } from './lease-checks.ts';
import type { LeaseModel } from './lease-model.ts';
import type { OperationOf } from './lease-operations.ts';

export class LeaseSteps {
  readonly #run: HistoryRun;
  readonly #model: LeaseModel;

  constructor(run: HistoryRun) {
    this.#run = run;
    this.#model = run.model;
  }

  renew({ back, more, by, ttlMs }: OperationOf<'renew'>): void {
    const model = this.#model;
    const tokens = [back, ...more].map((number) => this.#run.token(number));
    const holder = this.#run.askerOf(tokens[0]!, by);
    const given = ttlMs === undefined ? {} : { ttlMs };
    this.#run.execute(
      { type: 'RenewLeases', holder, leases: tokens, ...given },
      {
        before: (answer) => {
          const expected = [...new Set(tokens)].map((token) => {
            const lease = model.find(token, holder);
            if (typeof lease === 'string') return [token, lease];
            if (lease.end !== undefined) return [token, 'lease_lost'];
            const askedMs = ttlMs ?? lease.ttlMs;
            const grantedMs = model.clamp(lease.resource, askedMs);
            const revokedAtMs = lease.revoking?.atMs ?? Infinity;
            // Never nearer than it was, and no further than an announced revocation.
            const untilMs = Math.min(Math.max(lease.deadlineMs, Math.ceil(model.nowMs) + grantedMs), revokedAtMs);
            const isCut = Math.ceil(model.nowMs) + grantedMs > revokedAtMs;
            const remainingMs = Math.floor(untilMs - model.nowMs);
            return [token, isCut ? remainingMs : Math.max(grantedMs, remainingMs), isCut || grantedMs !== askedMs];
          });
          assert.ok(answer.type === 'renewed', 'the model knows of no full disk');
          const got = answer.leases.map((one) =>
            'rejected' in one ? [one.lease, one.rejected.code] : [one.lease, one.ttlMs, one.clamped],
          );
          assert.deepEqual(got, expected, 'renewals');
        },
      },
    );
  }

  settle({ type, back, by, outcome, requests }: OperationOf<'release' | 'report'>): void {
    const model = this.#model;
    const token = this.#run.token(back);
    const holder = this.#run.askerOf(token, by);
    const command = {
      type: type === 'release' ? 'ReleaseLease' : 'ReportLease',
      holder,
      lease: token,
      ...(outcome === undefined ? {} : { outcome }),
      ...(requests === undefined ? {} : { requests }),
    } as const;
    this.#run.execute<typeof command>(command, {
      before: (answer) => {
        const lease = model.find(token, holder);
        if (typeof lease === 'string') assert.ok(answer.type === 'rejected' && answer.code === lease, `is ${lease}`);
        else if (type === 'report') assert.deepEqual(answer, { type: 'reported' });
        else if (lease.end === undefined || lease.end === 'released') {
          if (lease.end === undefined) this.#run.follower.asked.ends.set(token, { end: 'released' });
          assert.deepEqual(answer, { type: 'released' });
        } else assert.ok(answer.type === 'rejected' && answer.code === 'lease_lost', `it has ${lease.end}`);
      },
    });
  }

  revoke({ backs, deadlineMs }: OperationOf<'revoke'>): void {
    const model = this.#model;
    const tokens = [...new Set(backs.map((back) => this.#run.token(back)))];
    let revoked: number[] = [];
    const given = deadlineMs === undefined ? {} : { deadlineMs };
    const reason = 'operator';
    this.#run.execute(
      { type: 'RevokeLeases', leases: tokens, reason, ...given },
      {
        begin: () => {
          const { asked } = this.#run.follower;
          const live = tokens.flatMap((token) => model.unended().find((lease) => lease.token === token) ?? []);
          revoked = tokensOf(live);
          for (const { token, revoking } of live) {
            if (!deadlineMs) asked.ends.set(token, { end: 'revoked', reason });
            else if ((revoking?.atMs ?? Infinity) >= Math.ceil(model.nowMs) + deadlineMs) {
              asked.revocations.set(token, { reason, deadlineMs });
            }
          }
        },
        before: (answer) => sameNumbers(answer.leases, revoked, 'revoked'),
      },
    );
  }
}
