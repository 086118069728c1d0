import { type Family, family, gauge, type Sample } from './family.ts';
import { OTHER } from './tally.ts';

/** Resources that are told apart, those with the least ids; the rest is summed up as `other`. */
export const RESOURCE_LABELS_MAX = 100;
const STORAGE_LEVELS = ['ample', 'low', 'least'] as const;

export interface ResourceGauges {
  readonly id: number;
  readonly waiting: number;
  /** How many pairs are in each state. */
  readonly pairs: readonly (readonly [state: string, count: number])[];
}

/** What can be read at any moment. Each value is asked for at a scrape, once, and never in between. */
export interface Gauges {
  readonly build: { readonly version: string; readonly node: string; readonly transport: string };
  readonly epoch: number;
  /** Of the last event decided, and of the last one durable. */
  readonly position: number;
  readonly durablePosition: number;
  readonly backlogBytes: number;
  readonly isOverloaded: boolean;
  readonly storage: (typeof STORAGE_LEVELS)[number];
  readonly leases: number;
  readonly addresses: number;
  readonly connectedSessions: number;
  readonly suspendedSessions: number;
  readonly sockets: number;
  readonly bufferedBytes: number;
  readonly resources: Iterable<ResourceGauges>;
}

export function gaugeFamilies(gauges: Gauges): Family[] {
  return [
    family('gauge', 'build_info', 'Always 1: version, Node and transport of the coordinator.', () => [
      { labels: { ...gauges.build }, value: 1 },
    ]),
    gauge('epoch', 'Number of this run over the data.', () => gauges.epoch),
    gauge('position', 'Number of the last event decided.', () => gauges.position),
    gauge('durable_position', 'Number of the last event on disk.', () => gauges.durablePosition),
    gauge(
      'journal_backlog_bytes',
      'Bytes of events that are decided and not yet handed to the journal.',
      () => gauges.backlogBytes,
    ),
    gauge('overloaded', '1 while new requests are turned away because the disk is behind.', () =>
      gauges.isOverloaded ? 1 : 0,
    ),
    family('gauge', 'storage_level', '1 for the level of room on the disk: ample, low, least.', () =>
      STORAGE_LEVELS.map((level) => ({ labels: { level }, value: level === gauges.storage ? 1 : 0 })),
    ),
    gauge('leases', 'Live leases.', () => gauges.leases),
    gauge(
      'addresses',
      'Addresses, those included that are removed and not free of leases or quarantine yet.',
      () => gauges.addresses,
    ),
    family('gauge', 'pairs', 'Addresses of a resource, by the state of the pair.', () => pairSamples(gauges)),
    family('gauge', 'waiting_requests', 'Requests in line for a resource, those of suspended sessions included.', () =>
      waitingSamples(gauges),
    ),
    family('gauge', 'sessions', 'Sessions with a socket, and without one until they are resumed or given up.', () => [
      { labels: { state: 'connected' }, value: gauges.connectedSessions },
      { labels: { state: 'suspended' }, value: gauges.suspendedSessions },
    ]),
    gauge('sockets', 'Open WebSockets, those without a session included.', () => gauges.sockets),
    gauge(
      'sockets_buffered_bytes',
      'Sent and not yet taken by the kernel, over all sockets.',
      () => gauges.bufferedBytes,
    ),
  ];
}

function waitingSamples({ resources }: Gauges): Sample[] {
  const sums = new Map<string, number>();
  for (const [resource, { waiting }] of labelled(resources)) sums.set(resource, (sums.get(resource) ?? 0) + waiting);
  return Array.from(sums, ([resource, value]) => ({ labels: { resource }, value }));
}

function pairSamples({ resources }: Gauges): Sample[] {
  const sums = new Map<string, Map<string, number>>();
  for (const [resource, { pairs }] of labelled(resources)) {
    let states = sums.get(resource);
    if (!states) sums.set(resource, (states = new Map()));
    for (const [state, count] of pairs) states.set(state, (states.get(state) ?? 0) + count);
  }
  return Array.from(sums).flatMap(([resource, states]) =>
    Array.from(states, ([state, value]) => ({ labels: { resource, state }, value })),
  );
}

function labelled(resources: Iterable<ResourceGauges>): [resource: string, ResourceGauges][] {
  const inOrder = [...resources].sort((one, other) => one.id - other.id);
  return inOrder.map((resource, place) => [place < RESOURCE_LABELS_MAX ? `${resource.id}` : OTHER, resource]);
}
