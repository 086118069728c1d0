/** What an operator does about the pool while collectors are at work. */
import type { LeaseCommand } from '../../lease/commands.ts';
import type { World } from './operations.ts';
import { drawPolicies } from './sim-policies.ts';
import { drawRecord } from './sim-settings.ts';

export function revoke(world: World): void {
  const { random, server, settings } = world;
  const leases = [...(server.run?.state.leases.keys() ?? [])].filter(() => random.chance(0.1));
  if (leases.length === 0) return;
  const deadline = random.chance(0.5) ? { deadlineMs: Math.ceil(random.magnitude(1, 300) * settings.unitMs) } : {};
  tell(world, { type: 'RevokeLeases', leases, reason: 'operator', ...deadline });
}

/** Of a pair or of a whole address; seldom for good. */
export function quarantine(world: World): void {
  const { random, settings } = world;
  const forMs = Math.ceil(random.magnitude(5, 500) * settings.unitMs);
  onAddress(world, (addressId) => ({
    type: 'Quarantine',
    addressId,
    ...(random.chance(0.5) ? { resource: random.pick(settings.resources) } : {}),
    ...(random.chance(0.8) ? { forMs } : {}),
  }));
}

export function liftQuarantine(world: World): void {
  const { random, settings } = world;
  onAddress(world, (addressId) => ({
    type: 'LiftQuarantine',
    addressId,
    ...(random.chance(0.5) ? { resource: random.pick(settings.resources) } : {}),
  }));
}

/** What probes find: the whole address answers, or doesn't. */
export function probe(world: World): void {
  const isHealthy = world.random.chance(0.6);
  onAddress(world, (addressId) => ({ type: 'SetAddressHealth', addressId, isHealthy }));
}

export function drain(world: World): void {
  const isDraining = world.random.chance(0.4);
  onAddress(world, (addressId) => ({ type: 'DrainAddress', addressId, isDraining }));
}

/** As the journal says: only what is there may go on, or only end. */
export function fillDisk(world: World): void {
  tell(world, { type: 'SetStorage', level: world.random.pick(['low', 'low', 'least']) });
}

export function makeRoom(world: World): void {
  tell(world, { type: 'SetStorage', level: 'ample' });
}

export function configure(world: World): void {
  const { random, settings } = world;
  world.policies = drawPolicies(random, settings);
  tell(world, { type: 'Configure', ...world.policies });
}

/** Addresses come and go, and serve other resources than before. */
export function changePool(world: World): void {
  const { random, settings } = world;
  const changed = world.pool.filter(() => !random.chance(0.1));
  const record = drawRecord(random, settings.resources, random.below(settings.pool.length * 2));
  world.pool = [...changed.filter(({ address }) => address !== record.address), record];
  tell(world, { type: 'ImportPool', records: world.pool, replace: true });
}

function onAddress(world: World, make: (addressId: number) => LeaseCommand): void {
  const ids = [...(world.server.run?.state.addresses.keys() ?? [])];
  if (ids.length > 0) tell(world, make(world.random.pick(ids)));
}

function tell({ server }: World, command: LeaseCommand): void {
  server.run?.leases.execute(command, () => {});
}
