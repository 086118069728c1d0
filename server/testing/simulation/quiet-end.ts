import type { LeaseCommand } from '../../lease/commands.ts';
import type { Findings } from './findings.ts';
import type { World } from './operations.ts';
import type { SimClient } from './sim-client.ts';
import type { SimLink } from './sim-link.ts';
import type { SimNetwork } from './sim-network.ts';
import type { Policies } from './sim-policies.ts';

/** No hang of the disk and no closing handshake takes longer. */
const LONGEST_FAULT_MS = 60_000;

export interface QuietWorld extends World {
  readonly network: SimNetwork;
  readonly findings: Findings;
  readonly isServing: boolean;
  /** Lets things happen until `isDone`, or the time is over. */
  until(isDone: () => boolean, limitMs: number): Promise<void>;
  /** Holds replay to the live state; only where all is durable. */
  mustReplay(): void;
}

/** Nobody disturbs any more: what is asked is answered, what is held comes to its end, and all is free again. */
export async function quieten(world: QuietWorld, newClient: () => SimClient): Promise<void> {
  const { settings, network, disk, clients, server, findings, policies } = world;
  network.isCalm = true;
  disk.calm();
  const longestMs = 4 * settings.ttlMs + 4 * settings.heartbeatMs + LONGEST_FAULT_MS;
  const tend = () => {
    for (const client of clients) if (client.isDeaf) client.drop();
    world.timeline.plan(settings.heartbeatMs, tend);
  };
  tend();
  const isAnswered = () => clients.every(({ link }) => !link || isIdle(link));
  await world.until(() => world.isServing && isAnswered(), longestMs);
  if (!world.isServing) findings.report('quiet', 'the coordinator takes nobody');
  if (!isAnswered()) findings.report('quiet', 'somebody waits for an answer that never comes');
  letRun(world);

  for (const client of clients) {
    client.leave('close');
    // The sockets that it had given up for newer ones go without a word.
    client.crash(true);
  }
  const isEmpty = () => server.run?.state.sessions.size === 0 && server.run.state.leases.size === 0;
  await world.until(isEmpty, longestMs + settings.resumeWindowMaxMs);
  if (!isEmpty()) findings.report('quiet', 'leases or sessions remain, though everybody has gone');
  const waiters = server.run?.state.waiters.size ?? 0;
  if (waiters > 0) findings.report('quiet', `${waiters} waiters remain, though everybody has gone`);
  const isRested = () => marked(world).length === 0;
  await world.until(isRested, longestMs + longestRestMs(policies));
  if (!isRested()) findings.report('quiet', `${marked(world).join()} remain, though their time is over`);
  endProbation(world);
  await fillUp(world, newClient());
  const isDurable = () => server.run?.coordinator.position === disk.position;
  await world.until(isDurable, LONGEST_FAULT_MS);
  world.mustReplay();
}

/** The operator takes back whatever time alone would not, and asks for nothing but that addresses are leased. */
function letRun(world: QuietWorld): void {
  const { server, settings } = world;
  const { run } = server;
  if (!run) return;
  const tell = (command: LeaseCommand) => run.leases.execute(command, () => {});
  tell({ type: 'SetStorage', level: 'ample' });
  // What was refused while the disk was full.
  tell({ type: 'ImportPool', records: world.pool, replace: true });
  world.policies = { defaultPolicy: settings.ttlBounds, policies: new Map() };
  tell({ type: 'Configure', ...world.policies });
  for (const { id: addressId, quarantine, pairs } of run.state.addresses.values()) {
    tell({ type: 'SetAddressHealth', addressId, isHealthy: true });
    tell({ type: 'DrainAddress', addressId, isDraining: false });
    if (quarantine?.untilMs === Infinity) tell({ type: 'LiftQuarantine', addressId });
    for (const { resource, quarantine: own } of pairs?.values() ?? []) {
      if (own?.untilMs === Infinity) tell({ type: 'LiftQuarantine', addressId, resource });
    }
  }
}

/** Everything that keeps a pair from being had, and that time is to end. */
function marked({ server }: QuietWorld): string[] {
  const marks: string[] = [];
  for (const address of server.run?.state.addresses.values() ?? []) {
    if (address.quarantine) marks.push(`a quarantine of address ${address.id}`);
    for (const { resource, quarantine, coolingUntilMs, reservedFor } of address.pairs?.values() ?? []) {
      if (quarantine) marks.push(`a quarantine of address ${address.id} for ${resource}`);
      if (coolingUntilMs !== undefined) marks.push(`a rest of address ${address.id} for ${resource}`);
      if (reservedFor) marks.push(`a reservation of address ${address.id} for ${resource}`);
    }
  }
  return marks;
}

/** What nobody reports on is tried out for ever. */
function endProbation({ server }: QuietWorld): void {
  const { run } = server;
  for (const { id: addressId, resourceIds } of run?.state.addresses.values() ?? []) {
    run!.leases.execute({ type: 'LiftQuarantine', addressId }, () => {});
    for (const resource of resourceIds) run!.leases.execute({ type: 'LiftQuarantine', addressId, resource }, () => {});
  }
}

/** Of a pair that was banned last, or leased last, under these policies, and of what operators ask for. */
function longestRestMs({ defaultPolicy, policies }: Policies): number {
  const rests = [defaultPolicy, ...policies.values()].map(({ banMaxMs = 0, cooldownMs = {}, ttlMaxMs }) =>
    Math.max(banMaxMs, ttlMaxMs, ...Object.values(cooldownMs)),
  );
  return 2 * Math.max(...rests);
}

/** Every pair is to be had again. */
async function fillUp(world: QuietWorld, client: SimClient): Promise<void> {
  const { settings, server } = world;
  client.connect();
  await world.until(() => client.isOpen, LONGEST_FAULT_MS);
  let expected = 0;
  for (const { id: resource, pool } of server.run?.state.resources.values() ?? []) {
    expected += pool.size;
    // One after the other, since a few answers at once are more than some of these worlds let wait.
    for (let asked = pool.size; asked > 0 && client.isOpen; asked -= 1) {
      client.ask({ type: 'acquire', resource, ttl_ms: settings.ttlBounds.ttlMaxMs });
      await world.until(() => client.link?.pending.size === 0, settings.heartbeatMs);
    }
  }
  const got = client.beliefs.held.size;
  if (got !== expected)
    world.findings.report('quiet', `${got} of ${expected} pairs are to be had when nobody holds any`);
}

/** Neither on its way nor in want of an answer. */
function isIdle({ phase, pending }: SimLink): boolean {
  return phase === 'open' && pending.size === 0;
}
