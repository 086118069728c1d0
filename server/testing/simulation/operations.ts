import type { AddressRecord, CollectorFrame } from '../../../protocol/frames.ts';
import * as operator from './operator.ts';
import type { Random } from './random.ts';
import type { MakeFrame } from './requests.ts';
import * as requests from './requests.ts';
import type { SimClient } from './sim-client.ts';
import type { Asked } from './sim-link.ts';
import type { SimDisk } from './sim-log.ts';
import type { Policies } from './sim-policies.ts';
import type { SimServer } from './sim-server.ts';
import type { Settings } from './sim-settings.ts';
import type { Timeline } from './timeline.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Frames of one burst at most. */
const BURST_MAX = 10;

export interface World {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly settings: Settings;
  readonly server: SimServer;
  readonly disk: SimDisk;
  readonly clients: readonly SimClient[];
  /** Tokens that somebody was given of late, to be spoken of by others. */
  readonly tokens: readonly number[];
  /** What the operator's pool file says; changed by operations. */
  pool: AddressRecord[];
  /** What the operator has configured; changed by operations. */
  policies: Policies;
  crash(isSilent: boolean): void;
  /** In order; it comes up again. */
  stop(): void;
}

type Share = 'usual' | keyof Settings['roughness'];

export interface Operation {
  readonly name: string;
  readonly weight: number;
  /** Whose roughness multiplies the weight. */
  readonly share: Share;
  run(world: World, client: SimClient): void;
}

const REQUESTS: MakeFrame[] = [];

/** What happens in a world: the requests of PROTOCOL.md, and everything that goes wrong around them. */
export const OPERATIONS: readonly Operation[] = [
  request('acquire', 30, requests.acquire),
  request('acquire again', 4, requests.acquireAgain),
  request('explain', 2, requests.explain),
  request('cancel', 4, requests.cancel),
  request('renew', 10, (world, client) => requests.renewOne(world, client.beliefs.leases)),
  request('renew many', 3, requests.renewMany),
  request('release', 18, (world, client) => requests.settle(world, 'release', client.beliefs.leases)),
  request('report', 5, (world, client) => requests.settle(world, 'report', client.beliefs.leases)),
  request('settle an ended lease', 2, requests.settleEnded),
  request("another's lease", 3, requests.foreign),
  request('ping', 1, () => ({ type: 'ping' })),
  { name: 'burst', weight: 2, share: 'usual', run: burst },
  { name: 'nonsense', weight: 0.5, share: 'usual', run: nonsense },
  { name: 'on an older socket', weight: 3, share: 'usual', run: onOlderSocket },
  onOpen('take over', 0.7, 'usual', (client) => client.connect()),
  onOpen('bye', 0.4, 'usual', (client) => client.leave('bye')),
  onOpen('close', 0.2, 'usual', (client) => client.leave('close')),
  onOpen('drop', 0.3, 'network', (client) => client.drop()),
  onOpen('cut', 0.4, 'network', (client) => client.link!.connection.cut()),
  onOpen('half-open', 0.3, 'network', (client, { random }) =>
    client.link!.connection.loseSilently(random.pick(['both', 'toServer', 'toClient'])),
  ),
  onOpen('client crashes', 0.2, 'clients', (client, { random }) => client.crash(random.chance(0.5))),
  onOpen('client pauses', 0.4, 'clients', (client, { random, settings }) =>
    client.process.pause(random.magnitude(1, settings.ttlMs)),
  ),
  onServer('coordinator pauses', 0.03, ({ random, settings, server }) =>
    server.run?.process.pause(random.magnitude(1, 2 * settings.ttlMs)),
  ),
  onServer('coordinator crashes', 0.012, (world) => world.crash(world.random.chance(0.3))),
  onServer('coordinator restarts', 0.006, (world) => world.stop()),
  onServer('wall clock jumps', 0.1, ({ random, server }) => {
    const byMs = random.pick([1_000, 60_000, HOUR_MS, 3 * DAY_MS]) * random.next();
    server.jumpWall(random.chance(0.5) ? byMs : -byMs);
  }),
  onServer('disk hangs', 0.02, ({ random, disk }) => disk.hangNext(random.magnitude(1, 6_000))),
  onServer('disk fails', 0.003, ({ random, disk }) => disk.failNext(random.pick(['failed', 'unknown']))),
  onServer('disk gets full', 0.01, operator.fillDisk),
  onServer('disk has room', 0.2, operator.makeRoom),
  onServer('operator revokes', 0.3, operator.revoke, 'operator'),
  onServer('quarantine', 0.3, operator.quarantine, 'operator'),
  onServer('quarantine lifted', 0.4, operator.liftQuarantine, 'operator'),
  onServer('probe', 0.4, operator.probe, 'operator'),
  onServer('drain', 0.3, operator.drain, 'operator'),
  onServer('other policies', 0.03, operator.configure, 'operator'),
  onServer('pool changes', 0.2, operator.changePool, 'operator'),
];

/** Chooses operations by weight, in the proportions of one world. */
export class Mix {
  readonly #bounds: number[] = [];

  constructor(roughness: Settings['roughness']) {
    let sum = 0;
    for (const { weight, share } of OPERATIONS) {
      sum += weight * (share === 'usual' ? 1 : roughness[share]);
      this.#bounds.push(sum);
    }
  }

  pick(random: Random): Operation {
    const bounds = this.#bounds;
    const drawn = random.next() * bounds[bounds.length - 1]!;
    let index = 0;
    while (drawn >= bounds[index]!) index += 1;
    return OPERATIONS[index]!;
  }
}

/** What a client does that has no session: it comes (back). */
export function connectOr(client: SimClient, otherwise: () => void): void {
  if (client.process.isPaused) return;
  if (client.isDeaf) client.drop();
  if (client.link) otherwise();
  else client.connect();
}

// ---- how an operation comes to a frame

function request(name: string, weight: number, make: MakeFrame): Operation {
  REQUESTS.push(make);
  return {
    name,
    weight,
    share: 'usual',
    run(world, client) {
      // Requests may follow hello at once.
      if (client.link?.phase !== 'open' && client.link?.phase !== 'greeted') return;
      const frame = make(world, client);
      if (frame) client.ask(frame);
    },
  };
}

/** Whether a client does it: one that has to be there. */
export function isClients({ share }: Operation): boolean {
  return share !== 'server' && share !== 'operator';
}

function onOpen(name: string, weight: number, share: Share, act: (client: SimClient, world: World) => void): Operation {
  return {
    name,
    weight,
    share,
    run: (world, client) => {
      if (client.isOpen) act(client, world);
    },
  };
}

function onServer(
  name: string,
  weight: number,
  run: (world: World) => void,
  share: 'server' | 'operator' = 'server',
): Operation {
  return { name, weight, share, run };
}

// ---- what needs more than a frame

/** Several at once: in one message where a batch was agreed on, else close behind one another. */
function burst(world: World, client: SimClient): void {
  if (!client.isOpen) return;
  const frames: Asked[] = [];
  for (let left = 1 + world.random.below(BURST_MAX); left > 0; left -= 1) {
    const frame = world.random.pick(REQUESTS)(world, client);
    if (frame) frames.push(frame);
  }
  if (frames.length === 0) return;
  if (client.link!.isBatch) client.askAll(frames);
  else for (const frame of frames) client.ask(frame);
}

const NONSENSE: readonly object[] = [
  { type: 'acquire', resource: 1 },
  { type: 'aquire', resource: 1, ttl_ms: 1_000 },
  { type: 'renew' },
  { type: 'acquire', resource: 1, ttl_ms: 1_000, where: { contry: { eq: 'US' } } },
  { type: 'hello', protocol: 1 } satisfies Partial<CollectorFrame>,
];

function nonsense({ random }: World, client: SimClient): void {
  if (client.isOpen) client.link!.askNonsense(random.pick(NONSENSE));
}

/** What is still sent where the session has gone on to a newer socket must have no effect once that one has it. */
function onOlderSocket(world: World, client: SimClient): void {
  const older = client.olderLinks.at(-1);
  if (older?.phase !== 'open') return;
  const frame = world.random.pick(REQUESTS)(world, client);
  if (frame) client.askOn(older, frame);
}
