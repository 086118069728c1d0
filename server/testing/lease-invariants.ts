import assert from 'node:assert/strict';
import type { IndexedHeap } from '../lease/indexed-heap.ts';
import type { LeaseState } from '../lease/state.ts';

/** Throws where an index of the state says something else than the state itself. */
export function checkIndexes(state: LeaseState): void {
  const leases = [...state.leases.values()];
  const pairs = new Set(leases.map(({ addressId, resource }) => `${addressId}/${resource}`));
  assert.equal(pairs.size, leases.length, 'a pair is leased twice');

  for (const address of state.addresses.values()) {
    const own = leases.filter((lease) => lease.addressId === address.id);
    assert.deepEqual(new Set(address.leases), new Set(own), `leases of address ${address.id}`);
    assert.ok(!address.removed || own.length > 0, `address ${address.id} was removed, and nothing keeps it`);
    assert.equal(state.addressIds.get(address.address), address.id, 'an address has its id');
  }
  assert.equal(state.addressIds.size, state.addresses.size, 'an id for every address');

  for (const resource of state.resources.values()) {
    const own = leases.filter((lease) => lease.resource === resource.id);
    checkHeap(resource.leases, new Map(own.map((lease) => [lease, lease.deadlineMs])), `leases of ${resource.id}`);
    const serving = [...state.addresses.values()].filter((address) => address.serves(resource.id));
    assert.equal(resource.pool.size, serving.length, `addresses of resource ${resource.id}`);
    resource.pool.verify((address) => serving.includes(address) && address.leaseFor(resource.id) === undefined);
  }
  const leased = [...state.resources.values()].filter((resource) => resource.leases.size > 0);
  checkHeap(state.expiry, new Map(leased.map((resource) => [resource, resource.leases.peekKey()!])), 'expiry');

  for (const session of state.sessions.values()) {
    const own = leases.filter(({ holder }) => holder.kind === 'session' && holder.session === session.id);
    assert.deepEqual(session.leases, new Set(own), `leases of session ${session.id}`);
  }
  const held = leases.filter(({ holder }) => holder.kind === 'session');
  for (const { holder } of held) assert.ok(holder.kind === 'session' && state.sessions.has(holder.session));
  for (const lease of state.notices.values()) assert.ok(held.includes(lease), `a notice of lease ${lease.token}`);
  const suspended = [...state.sessions.values()].filter((session) => session.suspendedUntilMs !== undefined);
  checkHeap(state.suspended, new Map(suspended.map((session) => [session, session.suspendedUntilMs!])), 'suspended');

  const withdrawn = leases.filter(({ addressId, resource }) => !state.addresses.get(addressId)!.serves(resource));
  assert.deepEqual(new Set(state.withdrawn.keys()), new Set(withdrawn), 'leases that are to be revoked');
  const classes = new Uint32Array(state.ttlClasses.length);
  for (const { ttlMs } of leases) classes[Math.floor(Math.log2(ttlMs))]! += 1;
  assert.deepEqual(state.ttlClasses, classes, 'leases by TTL');
  assert.ok(
    leases.every(({ token }) => token <= state.lastToken),
    'no lease has a token yet to come',
  );
}

function checkHeap<Item>(heap: IndexedHeap<Item>, expected: ReadonlyMap<Item, number>, what: string): void {
  assert.deepEqual(new Set(heap.values()), new Set(expected.keys()), `${what}: members of the heap`);
  assert.equal(heap.size, expected.size, `${what}: each once`);
  const smallest = expected.size === 0 ? undefined : Math.min(...expected.values());
  assert.equal(heap.peekKey(), smallest, `${what}: the earliest`);
}
