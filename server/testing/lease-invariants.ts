import assert from 'node:assert/strict';
import { isAtBound, type Tally, tallyOf } from '../lease/collectors.ts';
import { ownerName } from '../lease/holder.ts';
import { holderName } from '../lease/idempotency.ts';
import type { IndexedHeap } from '../lease/indexed-heap.ts';
import type { LeaseHeap } from '../lease/lease-heap.ts';
import { leasesOf, withdrawalOf } from '../lease/lease-index.ts';
import { type Pair, pairStatus, restsUntilMs } from '../lease/pair.ts';
import { endsAtMs, type Lease, type LeaseState, type Resource } from '../lease/state.ts';
import { isBefore, keyOf } from '../lease/waiting-order.ts';

/** How the names of sessions begin among the holders of keys. */
const SESSION_KEYS = holderName({ kind: 'session', session: '' });

/**
 * Throws where an index of the state says something else than the state itself. Objects of the state are compared by `ok`:
 * the others describe both of them and what they differ in, and behind each of them is the whole state.
 */
export function checkIndexes(state: LeaseState): void {
  const leases = [...state.leases.values()];
  const pairs = [...state.addresses.values()].flatMap((address) => [...(address.pairs?.values() ?? [])]);
  assert.equal(new Set(leases.map(pairName)).size, leases.length, 'a pair is leased twice');

  checkAddresses(state, leases);
  for (const resource of state.resources.values()) checkResource(state, resource, leases, pairs);
  const busy = [...state.resources.values()].filter(({ leases: own, resting }) => own.size + resting.size > 0);
  const earliest = ({ leases: own, resting }: Resource) =>
    Math.min(own.peekKey() ?? Infinity, resting.peekKey() ?? Infinity);
  checkHeap(state.expiry, new Map(busy.map((resource) => [resource, earliest(resource)])), 'expiry');
  checkSessions(state, leases);
  checkWaiters(state, pairs);
  checkParties(state, leases);
  checkKeys(state);

  const { terms, revoking, otherRequests } = state.leases.rows;
  const counts = [terms.size, revoking.size, otherRequests.size];
  const expected = [
    leases.filter((lease) => lease.terms).length,
    leases.filter((lease) => lease.revoking).length,
    leases.filter((lease) => lease.otherRequests.length > 0).length,
  ];
  assert.deepEqual(counts, expected, 'nothing is left of a lease that has ended');

  const classes = new Uint32Array(state.ttlClasses.length);
  for (const { ttlMs } of leases.filter(({ holder }) => holder.kind !== 'process'))
    classes[Math.floor(Math.log2(ttlMs))]! += 1;
  assert.deepEqual(state.ttlClasses, classes, 'leases by TTL');
  for (const { token } of leases) assert.ok(token <= state.lastToken, 'a lease has a token yet to come');
}

function pairName({ addressId, resource }: Lease): string {
  return `${addressId}/${resource}`;
}

function checkAddresses(state: LeaseState, leases: readonly Lease[]): void {
  const byAddress = grouped(leases, ({ addressId }) => addressId);
  for (const address of state.addresses.values()) {
    const own = byAddress.get(address.id) ?? [];
    checkMembers(tokensOf(leasesOf(state, address)), tokensOf(own), `leases of address ${address.id}`);
    for (const lease of own)
      assert.equal(address.leasedUntilMs(lease.resource), endsAtMs(lease), 'when its pair comes free');
    for (const id of address.resourceIds) {
      const isLeased = own.some(({ resource }) => resource === id);
      assert.equal(address.isLeased(id), isLeased, `whether address ${address.id} is leased for ${id}`);
    }
    const rests = [...(address.pairs?.values() ?? [])].some((pair) => pair.quarantine ?? pair.coolingUntilMs);
    const isKept = own.length > 0 || rests || address.quarantine !== undefined;
    assert.ok(!address.removed || isKept, `address ${address.id} was removed, and nothing keeps it`);
    assert.equal(state.addressIds.get(address.address), address.id, 'an address has its id');
  }
  assert.equal(state.addressIds.size, state.addresses.size, 'an id for every address');
  const bounded = [...state.addresses.values()].filter(
    ({ quarantine }) => (quarantine?.untilMs ?? Infinity) < Infinity,
  );
  checkHeap(state.quarantined, new Map(bounded.map((one) => [one, one.quarantine!.untilMs])), 'quarantined addresses');
}

function checkResource(
  state: LeaseState,
  { id, leases, resting, pool, addressCount, leaseCount }: Resource,
  all: readonly Lease[],
  pairs: readonly Pair[],
): void {
  const own = all.filter((lease) => lease.resource === id);
  checkLeaseHeap(leases, new Map(own.map((lease) => [lease.token, endsAtMs(lease)])), `leases of ${id}`);
  assert.equal(leaseCount, own.length, `count of leases of ${id}`);
  const rests = pairs.filter((pair) => pair.resource === id && restsUntilMs(pair) < Infinity);
  checkHeap(resting, new Map(rests.map((pair) => [pair, restsUntilMs(pair)])), `pairs of ${id} that rest`);
  const serving = [...state.addresses.values()].filter((address) => address.serves(id));
  assert.equal(pool.size, serving.length, `addresses of resource ${id}`);
  assert.equal(addressCount, serving.length, `count of addresses of resource ${id}`);
  for (const address of serving) assert.ok(pool.has(address), `address ${address.id} of resource ${id}`);
  pool.verify((address) => pairStatus(address, id));
}

function checkSessions(state: LeaseState, leases: readonly Lease[]): void {
  const held = leases.filter(({ holder }) => holder.kind === 'session');
  const bySession = grouped(held, ({ holder }) => (holder.kind === 'session' ? holder.session : ''));
  for (const session of state.sessions.values()) {
    const own = bySession.get(session.id) ?? [];
    assert.equal(session.leaseCount, own.length, `count of leases of session ${session.id}`);
    assert.deepEqual(tokensOf(session.leases), tokensOf(own), `leases of session ${session.id}, in order`);
  }
  for (const { holder } of held) assert.ok(holder.kind === 'session' && state.sessions.has(holder.session));
  const heldTokens = new Set(tokensOf(held));
  const noticed = tokensOf(state.notices.values());
  for (const token of noticed) assert.ok(heldTokens.has(token), `a notice of lease ${token}`);
  assert.equal(new Set(noticed).size, state.notices.size, 'one notice a lease');
  const withdrawn = leases.filter((lease) => {
    const isAnnounced = lease.revoking !== undefined && lease.revoking.reason !== 'operator';
    return !isAnnounced && withdrawalOf(state.addresses.get(lease.addressId)!, lease) !== undefined;
  });
  checkLeaseHeap(state.withdrawn, new Map(withdrawn.map(({ token }) => [token, token])), 'leases to be revoked');
  const suspended = [...state.sessions.values()].filter((session) => session.suspendedUntilMs !== undefined);
  checkHeap(state.suspended, new Map(suspended.map((session) => [session, session.suspendedUntilMs!])), 'suspended');
}

/** No waiter is leaked, and nothing is kept for one that isn't there. */
function checkWaiters(state: LeaseState, pairs: readonly Pair[]): void {
  const waiters = [...state.waiters.values()];
  checkHeap(state.waitDeadlines, new Map(waiters.map((waiter) => [waiter, waiter.untilMs])), 'ends of waiting');
  const keptFor = grouped(pairs, ({ reservedFor }) => reservedFor);
  const bySession = grouped(waiters, ({ session }) => session);
  for (const waiter of waiters) {
    assert.ok(state.sessions.get(waiter.session.id) === waiter.session, `session of waiter ${waiter.number}`);
    assert.ok(waiter.line?.waiters.has(waiter), `line of waiter ${waiter.number}`);
    const kept = (keptFor.get(waiter) ?? []).map(({ address }) => address);
    checkMembers(waiter.reserved, kept, `reservations of waiter ${waiter.number}`);
  }
  for (const session of state.sessions.values()) {
    const own = bySession.get(session) ?? [];
    const lines = own.map((waiter) => waiter.line);
    checkMembers(session.lines, lines, `lines of session ${session.id}`);
    assert.equal(session.waiterCount, own.length, `waiters of session ${session.id}`);
  }
  for (const { id, queue } of state.resources.values()) {
    const own = waiters.filter((waiter) => waiter.resource.id === id);
    const active = own.filter((waiter) => waiter.session.suspendedUntilMs === undefined);
    assert.deepEqual([queue.size, queue.activeCount], [own.length, active.length], `waiters for resource ${id}`);
    const reserved = own.reduce((sum, waiter) => sum + waiter.reserved.size, 0);
    assert.equal(queue.reservedCount, reserved, `what is kept of resource ${id}`);
  }
}

/** Who counts as one: what each holds, who is held back by it, and that nobody is known any more who has nothing. */
function checkParties(state: LeaseState, leases: readonly Lease[]): void {
  const sessions = [...state.sessions.values()];
  const tallies = new Map(sessions.map(({ tally }) => [tally, new Map<number, number>()]));
  for (const tally of state.tallies.values()) tallies.set(tally, new Map());
  const count = (tally: Tally | undefined, resource: number, held: number) => {
    if (!tally || held === 0) return;
    const counts = tallies.get(tally);
    assert.ok(counts, 'a tally that nobody knows');
    counts.set(resource, (counts.get(resource) ?? 0) + held);
  };
  for (const { holder, resource } of leases) count(tallyOf(state, holder), resource, 1);
  for (const { session, resource, reserved } of state.waiters.values())
    count(session.tally, resource.id, reserved.size);
  for (const [tally, counts] of tallies) {
    const own = sessions.filter((session) => session.tally === tally);
    assert.equal(tally.sessionCount, own.length, `sessions of ${tally.name}`);
    const held = [...tally.held].filter(([, figure]) => figure > 0);
    assert.deepEqual(Object.fromEntries(held), Object.fromEntries(counts), `held by ${tally.name}`);
    const sum = held.reduce((total, [, figure]) => total + figure, 0);
    assert.equal(tally.heldCount, sum, `all that is held by ${tally.name}`);
    const isKnown = tally.name === undefined || state.tallies.get(tally.name) === tally;
    assert.ok(isKnown && tally.sessionCount + tally.heldCount > 0, `${tally.name} has something`);
  }
  for (const { owner, collector, tally } of sessions) {
    assert.equal(tally.name, owner && ownerName(owner), 'the tally is the owner’s');
    const client = owner?.kind === 'client' ? owner.client : undefined;
    assert.equal(collector.client, client, 'the collector is the client');
    if (client !== undefined) assert.ok(state.collectors.get(client) === collector, `collector of ${client}`);
  }
  for (const collector of state.collectors.values()) {
    const own = sessions.filter((session) => session.collector === collector);
    assert.ok(own.length > 0 && own.length === collector.sessionCount, `sessions of ${collector.client}`);
  }
  for (const { line, session, resource } of state.waiters.values()) {
    const { strand, group, isCount } = line!;
    assert.equal(strand.isHeld, isAtBound(state, session.tally, resource), 'who is at the bound is held back');
    const present = [...strand.lines].filter(({ parkedAtGrants }) => parkedAtGrants === undefined);
    assert.ok(strand.lines.has(line!) && (isCount || group.strands.get(session.collector) === strand), 'its strand');
    const first = present.toSorted((one, other) => (isBefore(one, other) ? -1 : 1))[0];
    assert.ok(strand.first === first, 'the first of a strand');
    const key = first && !strand.isHeld && !isCount ? keyOf(first) : undefined;
    assert.equal(group.ready.keyOf(strand), key, 'place of a strand');
  }
}

/** No key outlives its session, or speaks of a waiter that isn't there. */
function checkKeys(state: LeaseState): void {
  const gone = new Set(state.keys.keys());
  for (const session of state.sessions.keys()) gone.delete(holderName({ kind: 'session', session }));
  for (const name of gone) assert.ok(!name.startsWith(SESSION_KEYS), `keys of ${name}, which has ended`);
  for (const [name, keys] of state.keys) {
    for (const { key, waiter } of keys.entries()) {
      if (waiter !== undefined) assert.equal(state.waiters.get(waiter)?.key, key, `key ${key} of ${name} waits`);
    }
  }
}

/** The very same ones, in whatever order and however often. */
function checkMembers<Item>(members: Iterable<Item>, expected: Iterable<Item>, what: string): void {
  const found = new Set(members);
  const missing = new Set(expected);
  assert.equal(found.size, missing.size, what);
  for (const member of found) assert.ok(missing.has(member), what);
}

function grouped<Item, Key>(items: Iterable<Item>, keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function tokensOf(leases: Iterable<Lease>): number[] {
  return Array.from(leases, ({ token }) => token);
}

/** `expected`: by token. */
function checkLeaseHeap(heap: LeaseHeap, expected: ReadonlyMap<number, number>, what: string): void {
  checkMembers(tokensOf(heap.values()), expected.keys(), `${what}: members of the heap`);
  checkKeysOf(heap, expected, what);
}

function checkHeap<Item>(heap: IndexedHeap<Item>, expected: ReadonlyMap<Item, number>, what: string): void {
  checkMembers(heap.values(), expected.keys(), `${what}: members of the heap`);
  checkKeysOf(heap, expected, what);
}

function checkKeysOf(
  heap: { readonly size: number; peekKey(): number | undefined },
  expected: ReadonlyMap<unknown, number>,
  what: string,
): void {
  assert.equal(heap.size, expected.size, `${what}: each once`);
  const smallest = expected.size === 0 ? undefined : Math.min(...expected.values());
  assert.equal(heap.peekKey(), smallest, `${what}: the earliest`);
}
