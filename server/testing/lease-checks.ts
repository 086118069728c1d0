import assert from 'node:assert/strict';
import { type Decided, LeaseDriver } from './lease-driver.ts';
import { checkIndexes } from './lease-invariants.ts';
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

  /** Each session is told once that a lease runs out, in time, and of each end it didn't ask for. */
  checkNotices(decisions: readonly Decided[]): void {
    for (const { atMs, notices } of decisions) {
      for (const notice of notices) {
        if (notice.type !== 'LeaseExpiring') continue;
        const lease = this.#model.leases.find(({ token }) => token === notice.lease)!;
        const noticeAtMs = this.#model.noticeAtMs(lease);
        assert.ok(lease.end === undefined && lease.deadlineMs > atMs, `told of lease ${lease.token}, which has ended`);
        assert.ok(noticeAtMs !== undefined && noticeAtMs <= atMs, `told of lease ${lease.token} too early`);
        assert.ok(!lease.noticed, `told of lease ${lease.token} twice`);
        assert.equal(notice.remainingMs, Math.floor(lease.deadlineMs - atMs));
        lease.noticed = true;
      }
    }
  }

  /** Nothing ran out on the way of which nobody was told. */
  advanceModel(ms: number): void {
    const model = this.#model;
    const startMs = model.nowMs;
    const unnoticed = model.leases.filter((lease) => lease.end === undefined && !lease.noticed);
    const due = unnoticed.filter((lease) => (model.noticeAtMs(lease) ?? 0) > startMs);
    model.advance(ms);
    for (const lease of due) assert.ok(lease.end !== 'expired' || lease.noticed, `untold of lease ${lease.token}`);
  }

  /** What ended is what the model ended, and whoever held it is told where he didn't ask for it. */
  checkEnds(decisions: readonly Decided[]): void {
    const events = decisions.flatMap((decision) => decision.events);
    const ends = events.flatMap((event) => (event.type === 'LeaseEnded' ? [`${event.lease} ${event.end}`] : []));
    assert.deepEqual(ends.toSorted(), this.#model.ends.toSorted(), 'ends of leases');
    const told = decisions.flatMap(({ notices }) =>
      notices.flatMap(({ type, lease }) =>
        type === 'LeaseExpiring' ? [] : [`${lease} ${type === 'LeaseExpired' ? 'expired' : 'revoked'}`],
      ),
    );
    const unasked = this.#model.ends.filter((end) => {
      const lease = this.#model.leases.find(({ token }) => end.startsWith(`${token} `))!;
      return lease.holder.kind === 'session' && (lease.end === 'expired' || lease.end === 'revoked');
    });
    assert.deepEqual(told.toSorted(), unasked.toSorted(), 'ends that a session is told of');
  }

  /** State, indexes, snapshot and journal say the same. */
  checkState(): void {
    const { state } = this.#driver;
    const model = this.#model;
    checkIndexes(state);
    const live = model.live();
    sameNumbers(
      [...state.leases.keys()],
      live.map(({ token }) => token),
      'live leases',
    );
    for (const lease of live) {
      assert.equal(state.leases.get(lease.token)!.deadlineMs, lease.deadlineMs, `deadline of lease ${lease.token}`);
      const noticeAtMs = model.noticeAtMs(lease);
      assert.ok(lease.noticed || (noticeAtMs ?? Infinity) > model.nowMs, `untold of lease ${lease.token}`);
    }
    assert.deepEqual(
      [...state.sessions.keys()],
      model.sessions.map(({ id }) => id),
      'sessions',
    );
    const rpw = new Map(Array.from(state.addresses.values(), ({ address, rpw: figure }) => [address, figure]));
    assert.deepEqual(rpw, new Map(model.addresses.map((one) => [one.record.address, model.rpw(one)])), 'rpw');
    const snapshot = this.#driver.snapshot();
    const { domain, journal } = this.#driver;
    const restored = new LeaseDriver(domain);
    for (const record of snapshot) domain.restore(restored.state, record);
    assert.deepEqual(restored.snapshot(), snapshot, 'a snapshot gives itself');
    for (; this.#replayed < journal.length; this.#replayed += 1) this.#standby.replay(journal[this.#replayed]!);
    assert.deepEqual(this.#standby.snapshot(), snapshot, 'the journal gives another state');
  }
}

/** In any order, each as often as in the other. */
export function sameNumbers(actual: readonly number[], expected: readonly number[], what: string): void {
  const sorted = (numbers: readonly number[]) => numbers.toSorted((one, other) => one - other);
  assert.deepEqual(sorted(actual), sorted(expected), what);
}
