import assert from 'node:assert/strict';
import { LeaseDriver } from '../lease-driver.ts';
import { checkIndexes } from '../lease-invariants.ts';
import type { LeaseModel } from './lease-model.ts';

/** What must hold after each step, whatever the step was. Every method throws where it doesn't. */
export class LeaseChecks {
  readonly #driver: LeaseDriver;
  readonly #model: LeaseModel;
  /** Follows the journal event by event, as a standby would. */
  readonly #standby: LeaseDriver;
  #replayed = 0;

  constructor(driver: LeaseDriver, model: LeaseModel) {
    this.#driver = driver;
    this.#model = model;
    this.#standby = new LeaseDriver(driver.domain);
  }

  /** The state says what the model says, and its indexes what it says itself. */
  checkState(): void {
    const { state } = this.#driver;
    const model = this.#model;
    checkIndexes(state);
    const live = model.unended();
    sameNumbers(
      [...state.leases.keys()],
      live.map(({ token }) => token),
      'live leases',
    );
    for (const lease of live) {
      assert.equal(state.leases.get(lease.token)!.deadlineMs, lease.deadlineMs, `deadline of lease ${lease.token}`);
      const noticeAtMs = model.noticeAtMs(lease) ?? Infinity;
      assert.ok(lease.noticed || noticeAtMs > model.nowMs, `untold of lease ${lease.token}`);
    }
    sameNumbers(
      [...state.waiters.keys()],
      model.waiters.map(({ number }) => number),
      'waiters',
    );
    assert.deepEqual(
      [...state.sessions.keys()],
      model.sessions.map(({ id }) => id),
      'sessions',
    );
    const rpw = new Map(Array.from(state.addresses.values(), ({ address, rpw: figure }) => [address, figure]));
    assert.deepEqual(rpw, new Map(model.addresses.map((one) => [one.record.address, model.rpw(one)])), 'rpw');
  }

  /** Snapshot and journal say what the state says. */
  checkDurable(): void {
    const snapshot = this.#driver.snapshot();
    const { domain, journal } = this.#driver;
    const restored = new LeaseDriver(domain);
    for (const record of snapshot) domain.restore(restored.state, record);
    assert.deepEqual(restored.snapshot(), snapshot, 'a snapshot gives itself');
    for (; this.#replayed < journal.length; this.#replayed += 1) this.#standby.replay(journal[this.#replayed]!);
    assert.deepEqual(this.#standby.snapshot(), snapshot, 'the journal gives another state');
  }
}

export function tokensOf(leases: readonly ({ readonly lease: number } | { readonly token: number })[]): number[] {
  return leases.map((one) => ('token' in one ? one.token : one.lease));
}

/** In any order, each as often as in the other. */
export function sameNumbers(actual: readonly number[], expected: readonly number[], what: string): void {
  const sorted = (numbers: readonly number[]) => numbers.toSorted((one, other) => one - other);
  assert.deepEqual(sorted(actual), sorted(expected), what);
}
