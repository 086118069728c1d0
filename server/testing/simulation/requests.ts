/** What collectors ask, as PROTOCOL.md has it: right for the most part, and now and then of what isn't theirs. */

import type { Outcome } from '../../../protocol/codes.ts';
import type { Random } from './random.ts';
import type { AcquireAsked } from './sim-acquires.ts';
import type { SimClient } from './sim-client.ts';
import type { Asked } from './sim-link.ts';
import { drawStrategy } from './sim-policies.ts';
import type { Settings } from './sim-settings.ts';

/** Requests for a resource that isn't there. */
const UNKNOWN_RESOURCE_CHANCE = 0.01;
const UNKNOWN_RESOURCE = 99;
const COUNT_MAX = 5;
/** Texts to stick to. */
const STICKY_TEXTS = 6;

export interface Asking {
  readonly random: Random;
  readonly settings: Settings;
  /** Tokens that somebody was given of late, to be spoken of by others. */
  readonly tokens: readonly number[];
}

export type MakeFrame = (world: Asking, client: SimClient) => Asked | undefined;

export function acquire({ random, settings }: Asking, client: SimClient): AcquireAsked {
  const { asking, resources, ttlMs, unitMs } = settings;
  const strategy = random.chance(asking.strategyShare);
  const frame: AcquireAsked = {
    type: 'acquire',
    resource: random.chance(UNKNOWN_RESOURCE_CHANCE) ? UNKNOWN_RESOURCE : random.pick(resources),
    ttl_ms: Math.ceil(random.magnitude(100, ttlMs)),
  };
  if (random.chance(asking.whereShare)) frame.where = random.pick(asking.wheres);
  if (strategy && random.chance(0.8)) frame.strategy = drawStrategy(random);
  if (!strategy && random.chance(0.1)) frame.sticky = `page ${random.below(STICKY_TEXTS)}`;
  if (random.chance(asking.waitShare)) frame.wait_ms = Math.ceil(random.magnitude(10 * unitMs, ttlMs));
  if (random.chance(asking.countShare)) frame.count = 1 + random.below(COUNT_MAX);
  if (random.chance(asking.keyShare)) frame.key = client.acquires.newKey();
  return frame;
}

/** The same once more, by its key; now and then it isn't the same. */
export function acquireAgain({ random }: Asking, client: SimClient): Asked | undefined {
  const { keyed } = client.acquires;
  if (keyed.length === 0) return undefined;
  const { frame } = random.pick(keyed);
  return random.chance(0.1) ? { ...frame, ttl_ms: frame.ttl_ms + 1 } : frame;
}

export function explain(world: Asking, client: SimClient): Asked {
  return { ...acquire(world, client), type: 'explain' };
}

/** Mostly of what stands in line or is under way; or of what was granted long ago, or never was. */
export function cancel({ random }: Asking, { link, beliefs }: SimClient): Asked | undefined {
  const asked = [...(link?.pending.values() ?? [])].filter(({ frame }) => frame.type === 'acquire');
  if (asked.length > 0 && random.chance(0.8)) return { type: 'cancel', request: random.pick(asked).id };
  if (random.chance(0.1)) return { type: 'cancel', request: random.below(1_000) };
  const held = [...beliefs.held.values()].flatMap(({ requests }) => [...requests]);
  return held.length > 0 && random.chance(0.3) ? { type: 'cancel', request: random.pick(held) } : undefined;
}

export function renewOne({ random, settings }: Asking, held: readonly number[]): Asked | undefined {
  const lease = pickToken(random, held);
  return lease === undefined ? undefined : { type: 'renew', lease, ...ttl(random, settings) };
}

export function renewMany({ random, settings, tokens }: Asking, client: SimClient): Asked | undefined {
  const { leases: held, ended } = client.beliefs;
  const leases = [...held, ...ended.slice(-1), ...(random.chance(0.2) ? tokens.slice(-1) : [])];
  return leases.length === 0 ? undefined : { type: 'renew', leases, ...ttl(random, settings) };
}

function ttl(random: Random, settings: Settings): { ttl_ms?: number } {
  return random.chance(0.5) ? { ttl_ms: Math.ceil(random.magnitude(100, settings.ttlMs)) } : {};
}

export function settle(
  { random, settings }: Asking,
  type: 'release' | 'report',
  among: readonly number[],
): Asked | undefined {
  const lease = pickToken(random, among);
  if (lease === undefined) return undefined;
  const frame: Extract<Asked, { type: 'release' | 'report' }> = { type, lease };
  if (random.chance(0.3)) frame.requests = random.below(100);
  if (random.chance(0.4)) frame.outcome = drawOutcome(random, settings.asking.bannedShare);
  return frame;
}

function drawOutcome(random: Random, bannedShare: number): Outcome {
  return random.chance(bannedShare) ? 'banned' : random.pick(['ok', 'failed'] as const);
}

/** Of a lease that has ended, in either way. */
export function settleEnded(world: Asking, { beliefs }: SimClient): Asked | undefined {
  return settle(world, world.random.chance(0.5) ? 'release' : 'report', beliefs.ended);
}

export function foreign({ random, tokens }: Asking): Asked | undefined {
  const lease = pickToken(random, tokens);
  return lease === undefined ? undefined : { type: random.pick(['renew', 'release', 'report'] as const), lease };
}

function pickToken(random: Random, tokens: readonly number[]): number | undefined {
  return tokens.length === 0 ? undefined : random.pick(tokens);
}
