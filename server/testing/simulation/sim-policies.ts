import { STRATEGIES, type Strategy } from '../../../protocol/codes.ts';
import type { Where } from '../../../protocol/where.ts';
import type { ResourcePolicy } from '../../lease/policy.ts';
import type { Random } from './random.ts';

export const COUNTRIES = ['US', 'CA', 'DE', 'JP'] as const;
export const TIERS = ['a', 'b'] as const;

/** Chance of each thing that an operator may set. */
const SET_CHANCE = 0.3;

export interface TtlBounds {
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
}

export interface Policies {
  readonly defaultPolicy: ResourcePolicy;
  readonly policies: ReadonlyMap<number, ResourcePolicy>;
}

/**
 * What an operator may have set. The bounds of TTLs are the same everywhere and stay, so that a client can tell what it
 * is to be granted whatever else changes.
 */
export function drawPolicies(
  random: Random,
  world: { readonly unitMs: number; readonly resources: readonly number[]; readonly ttlBounds: TtlBounds },
): Policies {
  const policies = new Map<number, ResourcePolicy>();
  for (const resource of world.resources) {
    if (random.chance(0.5)) policies.set(resource, drawPolicy(random, world.unitMs, world.ttlBounds));
  }
  const defaultPolicy = random.chance(0.5) ? world.ttlBounds : drawPolicy(random, world.unitMs, world.ttlBounds);
  return { defaultPolicy, policies };
}

function drawPolicy(random: Random, unitMs: number, ttlBounds: TtlBounds): ResourcePolicy {
  const someMs = (low: number, high: number) => Math.ceil(random.magnitude(low, high) * unitMs);
  const maybe = <Fields extends object>(fields: () => Fields): Fields | undefined =>
    random.chance(SET_CHANCE) ? fields() : undefined;
  return {
    ...ttlBounds,
    ...maybe(() => ({ maxLeases: 1 + random.below(8) })),
    ...maybe(() => ({ where: drawWhere(random) })),
    ...maybe(() => ({ strategy: random.pick(STRATEGIES) })),
    ...maybe(() => ({
      cooldownMs: {
        ...maybe(() => ({ released: someMs(1, 50) })),
        ...maybe(() => ({ expired: someMs(5, 200) })),
        ...maybe(() => ({ revoked: someMs(5, 200) })),
        ...maybe(() => ({ session_lost: someMs(5, 200) })),
      },
    })),
    ...maybe(() => ({ handover: random.pick(['fast', 'safe', 'safe'] as const) })),
    ...maybe(() => {
      const banMs = someMs(10, 300);
      return {
        banMs,
        banMaxMs: banMs * (1 + random.below(8)),
        banDecayMs: someMs(100, 2_000),
        ...(random.chance(0.6) ? { banAddressAfter: 1 + random.below(3) } : {}),
      };
    }),
    ...maybe(() => ({ slowShare: random.pick([0, 0.2, 0.5]), slowIntervalMs: someMs(1, 50) })),
    ...maybe(() => ({ revokeDeadlineMs: someMs(5, 200) })),
  };
}

/** A few of each kind, so that requests come to stand in the same line now and then. */
export function drawWhere(random: Random): Where {
  const country = random.pick(COUNTRIES);
  switch (random.below(8)) {
    case 0:
    case 1:
      return { country: { eq: random.chance(0.5) ? country : country.toLowerCase() } };
    case 2:
      return { country: { nin: [country] } };
    case 3:
      return { labels: { tier: { eq: random.pick(TIERS) } } };
    case 4:
      return { rpw: { lt: random.pick([200, 500, 1_000]) } };
    case 5:
      return { or: [{ country: { eq: country } }, { labels: { tier: { exists: false } } }] };
    case 6:
      return { not: { address: { eq: `10.0.0.${random.below(8)}:8080` } } };
    default:
      return { resource_ids: { has_any: [1, 2] }, country: { in: [country, random.pick(COUNTRIES)] } };
  }
}

/** What a request may name beside a text to stick to. */
export function drawStrategy(random: Random): Exclude<Strategy, 'sticky'> {
  return random.pick(STRATEGIES) as Exclude<Strategy, 'sticky'>;
}
