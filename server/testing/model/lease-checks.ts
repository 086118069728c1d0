import assert from 'node:assert/strict';
import type { LeaseHeap } from '../../lease/lease-heap.ts';
import type { LeaseState } from '../../lease/state.ts';
import { LeaseDriver } from '../lease-driver.ts';
import { checkIndexes } from '../lease-invariants.ts';
import type { LeaseModel } from './lease-model.ts';

/** What must hold after each step, whatever the step was. Every method throws where it doesn't. */
export class LeaseChecks {
  readonly #driver: LeaseDriver;
  readonly #model: LeaseModel;
  /** Follows the journal event by event, as a standby would. */
  readonly #standby: LeaseDriver;
  /** Goes on from the snapshot before, in a replay that was begun. */
  #recovering: LeaseDriver;
  #replayed = 0;

  constructor(driver: LeaseDriver, model: LeaseModel) {
    this.#driver = driver;
    this.#model = model;
    this.#standby = new LeaseDriver(driver.domain);
    this.#recovering = replaying(driver.domain, []);
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
    const recovering = this.#recovering;
    for (; this.#replayed < journal.length; this.#replayed += 1) {
      this.#standby.replay(journal[this.#replayed]!);
      recovering.replay(journal[this.#replayed]!);
    }
    assert.deepEqual(this.#standby.snapshot(), snapshot, 'the journal gives another state');
    assert.deepEqual(recovering.snapshot(), snapshot, 'snapshot and journal give another state');
    domain.endReplay!(recovering.state);
    checkIndexes(recovering.state);
    assert.deepEqual(recovering.snapshot(), snapshot, 'the end of a replay changes the state');
    assert.deepEqual(armedIn(recovering.state), armedIn(this.#standby.state), 'what falls due after a replay');
    this.#recovering = replaying(domain, snapshot);
  }
}

/** In the middle of a replay that begins with `snapshot`. */
function replaying(domain: LeaseDriver['domain'], snapshot: readonly unknown[]): LeaseDriver {
  const driver = new LeaseDriver(domain);
  domain.beginReplay!(driver.state);
  for (const record of snapshot) domain.restore(driver.state, record);
  return driver;
}

function armedIn({ notices, withdrawn, resources }: LeaseState) {
  const ends = Array.from(resources.values(), ({ id, leases }) => [id, armed(leases)]);
  return { notices: armed(notices), withdrawn: armed(withdrawn), ends };
}

/** Taken out one by one, and put back. */
function armed(heap: LeaseHeap) {
  const taken = [];
  for (let key = heap.peekKey(); key !== undefined; key = heap.peekKey()) {
    const lease = heap.peek()!;
    taken.push({ key, lease });
    heap.delete(lease);
  }
  for (const { key, lease } of taken) heap.set(lease, key);
  return taken.map(({ key, lease }) => [key, lease.token]).sort(([a1, a2], [b1, b2]) => a1! - b1! || a2! - b2!);
}

export function tokensOf(leases: readonly ({ readonly lease: number } | { readonly token: number })[]): number[] {
  return leases.map((one) => ('token' in one ? one.token : one.lease));
}

/** In any order, each as often as in the other. */
export function sameNumbers(actual: readonly number[], expected: readonly number[], what: string): void {
  const sorted = (numbers: readonly number[]) => numbers.toSorted((one, other) => one - other);
  assert.deepEqual(sorted(actual), sorted(expected), what);
}
