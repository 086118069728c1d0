/** Runs operations against the lease domain and the model side by side, and throws where they part. */
import assert from 'node:assert/strict';
import type { LeaseDomain } from '../lease-driver.ts';
import { AcquireSteps } from './acquire-steps.ts';
import { HistoryRun } from './history-run.ts';
import { LeaseChecks } from './lease-checks.ts';
import type { Operation, OperationOf } from './lease-operations.ts';
import { LeaseSteps } from './lease-steps.ts';
import { OperatorSteps } from './operator-steps.ts';
import { SessionSteps } from './session-steps.ts';

/** So many steps between two comparisons of state, snapshot and journal. */
const CHECKED_EVERY = 8;

export function runHistory(domain: LeaseDomain, operations: readonly Operation[]): void {
  const history = new History(domain);
  for (const operation of operations) history.step(operation);
  history.finish();
}

class History {
  readonly #run: HistoryRun;
  readonly #checks: LeaseChecks;
  readonly #sessions: SessionSteps;
  readonly #acquires: AcquireSteps;
  readonly #leases: LeaseSteps;
  readonly #operator: OperatorSteps;
  #epoch = 0;
  #steps = 0;

  constructor(domain: LeaseDomain) {
    this.#run = new HistoryRun(domain);
    this.#checks = new LeaseChecks(this.#run.driver, this.#run.model);
    this.#sessions = new SessionSteps(this.#run);
    this.#acquires = new AcquireSteps(this.#run);
    this.#leases = new LeaseSteps(this.#run);
    this.#operator = new OperatorSteps(this.#run);
    this.#restart({ type: 'restart', floorAhead: 0, suspendMs: 0 });
    this.#operator.configure({ type: 'configure', defaults: {}, own: { maxLeases: 3, ttlMaxMs: 10_000 } });
  }

  step(operation: Operation): void {
    const { driver, model, follower } = this.#run;
    model.moveTo(driver.nowMs);
    if (operation.type === 'pause') return this.#run.pause(operation.ms);
    if (operation.type === 'advance') {
      this.#run.expectExtension();
      follower.follow(driver.advance(operation.ms));
    } else {
      this.#do(operation);
      this.#run.expectExtension();
      follower.follow(driver.runDue());
    }
    model.moveTo(driver.nowMs);
    follower.checkSettled();
    this.#checks.checkState();
    this.#steps += 1;
    if (this.#steps % CHECKED_EVERY === 0) this.#checks.checkDurable();
  }

  finish(): void {
    this.#checks.checkDurable();
    const { driver } = this.#run;
    assert.deepEqual(driver.replayed(), driver.snapshot(), 'the journal gives another state');
  }

  #do(operation: Exclude<Operation, { type: 'advance' | 'pause' }>): void {
    switch (operation.type) {
      case 'open':
        return this.#run.isAlive(operation.slot) ? undefined : this.#sessions.open(operation, undefined);
      case 'resume': {
        const session = this.#run.slots[operation.slot] ?? 'none';
        return this.#sessions.open(operation, { session, right: operation.right });
      }
      case 'drop':
      case 'bye':
        return this.#sessions.leave(operation);
      case 'acquire':
        return this.#acquires.acquire(operation);
      case 'cancel':
        return this.#acquires.cancel(operation);
      case 'renew':
        return this.#leases.renew(operation);
      case 'release':
      case 'report':
        return this.#leases.settle(operation);
      case 'revoke':
        return this.#leases.revoke(operation);
      case 'quarantine':
      case 'lift':
      case 'health':
      case 'drain':
        return this.#operator.govern(operation);
      case 'import':
        return this.#operator.import(operation);
      case 'configure':
        return this.#operator.configure(operation);
      case 'wall':
        this.#run.driver.utcMs += operation.ms;
        this.#run.model.utcMs += operation.ms;
        return;
      case 'restart':
        this.#reload();
        return this.#restart(operation);
    }
  }

  #reload(): void {
    const { driver, model } = this.#run;
    this.#checks.checkDurable();
    driver.reload();
    this.#run.forgetPause();
    // Whoever was told that a lease runs out, or of a place, is told again; what was collected is collected again.
    for (const lease of model.leases) lease.noticed = false;
    for (const waiter of model.waiters) {
      model.unreserve(waiter);
      Object.assign(waiter, { toldPosition: 0, toldAtMs: -Infinity, untoldSinceMs: undefined });
    }
  }

  #restart({ floorAhead, suspendMs }: OperationOf<'restart'>): void {
    this.#epoch += 1;
    const tokenFloor = this.#run.driver.state.lastToken + floorAhead;
    this.#run.execute({ type: 'StartEpoch', epoch: this.#epoch, tokenFloor, suspendMs }, {});
    assert.ok(this.#run.model.sessions.every((session) => session.suspendedUntilMs !== undefined));
  }
}
