import type { AddressRecord } from '../../../protocol/frames.ts';
import type { Where } from '../../../protocol/where.ts';
import type { Random } from './random.ts';
import { COUNTRIES, drawPolicies, drawWhere, type Policies, TIERS, type TtlBounds } from './sim-policies.ts';

/** The clocks of coordinator and collectors run by so much too fast or too slow at most, as PROTOCOL.md allows for. */
const CLOCK_RATE_ERROR = 0.0005;
/** Different conditions that requests of one world have. */
const WHERES = 5;

/** The world of one run: drawn from the seed, so that quiet and rough, crowded and empty ones all come up. */
export interface Settings {
  /** Between two operations, on average. All other durations are drawn in proportion to it. */
  readonly unitMs: number;
  /** One way through the network, on average. */
  readonly latencyMs: number;
  /** One append, on average. */
  readonly diskMs: number;
  /** The turn of an event loop that reads several sockets before it goes on. */
  readonly turnMs: number;
  readonly heartbeatMs: number;
  readonly resumeWindowMaxMs: number;
  readonly outboxBytesMax: number;
  readonly serverClockRate: number;
  readonly clientCount: number;
  readonly resources: readonly number[];
  readonly ttlBounds: TtlBounds;
  /** At first; operations change them. */
  readonly policies: Policies;
  readonly pool: readonly AddressRecord[];
  /** The longest TTL that is asked for. */
  readonly ttlMs: number;
  readonly asking: Asking;
  /** How rough this world is; multiplies the weights of everything that goes wrong. */
  readonly roughness: Readonly<Record<'network' | 'clients' | 'server' | 'operator', number>>;
}

/** How the collectors of this world ask. */
export interface Asking {
  readonly wheres: readonly Where[];
  readonly whereShare: number;
  readonly waitShare: number;
  readonly countShare: number;
  readonly keyShare: number;
  readonly strategyShare: number;
  /** Of the outcomes that are told. */
  readonly bannedShare: number;
}

export function drawSettings(random: Random): Settings {
  const unitMs = random.magnitude(3, 60);
  const resources = Array.from({ length: 1 + random.below(4) }, (_, index) => index + 1);
  const ttlBounds = { ttlMinMs: 200, ttlMaxMs: Math.ceil(random.magnitude(400, 4_000) * unitMs) };
  const addressCount = 2 + random.below(28);
  return {
    unitMs,
    latencyMs: random.magnitude(0.05, 2) * unitMs,
    diskMs: random.magnitude(0.05, 2) * unitMs,
    turnMs: random.magnitude(0.01, 0.5) * unitMs,
    heartbeatMs: Math.ceil(random.magnitude(60, 600) * unitMs),
    resumeWindowMaxMs: Math.ceil(random.magnitude(100, 2_000) * unitMs),
    outboxBytesMax: Math.ceil(random.magnitude(200, 50_000)),
    serverClockRate: clockRate(random),
    clientCount: 2 + random.below(14),
    resources,
    ttlBounds,
    policies: drawPolicies(random, { unitMs, resources, ttlBounds }),
    pool: Array.from({ length: addressCount }, (_, index) => drawRecord(random, resources, index)),
    ttlMs: Math.ceil(random.magnitude(300, 3_000) * unitMs),
    asking: drawAsking(random),
    roughness: {
      network: roughness(random),
      clients: roughness(random),
      server: roughness(random),
      operator: roughness(random),
    },
  };
}

function drawAsking(random: Random): Asking {
  const share = () => random.pick([0, 0.2, 0.2, 0.6]);
  return {
    wheres: Array.from({ length: WHERES }, () => drawWhere(random)),
    whereShare: share(),
    waitShare: random.pick([0, 0.3, 0.6, 0.9]),
    countShare: random.pick([0, 0.1, 0.1, 0.4]),
    keyShare: share(),
    strategyShare: share(),
    bannedShare: random.pick([0.1, 0.3, 0.6]),
  };
}

export function clockRate(random: Random): number {
  return 1 + random.between(-CLOCK_RATE_ERROR, CLOCK_RATE_ERROR);
}

/** The `index`th address as a pool file may say it now. */
export function drawRecord(random: Random, resources: readonly number[], index: number): AddressRecord {
  const served = resources.filter(() => random.chance(0.7));
  return {
    address: `10.0.0.${index}:8080`,
    country: random.pick(COUNTRIES),
    rpw: random.below(1_000),
    resource_ids: served.length > 0 ? served : [random.pick(resources)],
    ...(random.chance(0.6) ? { labels: { tier: random.pick(TIERS) } } : {}),
    ...(random.chance(0.3) ? { weight: random.below(4) } : {}),
  };
}

function roughness(random: Random): number {
  return random.pick([0, 0.3, 1, 3]);
}
