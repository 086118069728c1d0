/** Which of the targets that may be asked gets a request: the strategies of leases, where a lease is a request under way. */
import { assertNever } from '../../protocol/assert.ts';
import type { Strategy } from '../../protocol/codes.ts';
import { mixed, textHash } from './target-hash.ts';

/** What of a target a choice looks at. */
export interface Choosable {
  readonly weight: number;
  readonly hash: number;
  readonly inFlight: number;
  readonly used: number;
  readonly lastChosen: number;
  credit: number;
}

/** `candidates` isn't empty; `key` is what `sticky` goes by. */
export type Choice<Item extends Choosable> = (candidates: readonly Item[], key: string) => Item;

/** `random`: uniform in [0, 1). */
export function makeChoice<Item extends Choosable>(strategy: Strategy, random: () => number): Choice<Item> {
  switch (strategy) {
    case 'round_robin':
      return roundRobin();
    case 'least_used':
      return leastBy((one) => one.used);
    case 'least_leased':
    case 'least_connections':
      return leastBy<Item>(load);
    case 'least_recently_used':
      return leastBy((one) => one.lastChosen);
    case 'random':
      return (candidates) => candidates[Math.floor(random() * candidates.length)]!;
    case 'two_choices':
      return twoChoices(random);
    case 'weighted':
      return weightedRound;
    case 'sticky':
      return stickyTo;
    default:
      return assertNever(strategy);
  }
}

function load({ inFlight, weight }: Choosable): number {
  return inFlight / weight;
}

/** The number of the request over the candidates. */
function roundRobin<Item extends Choosable>(): Choice<Item> {
  let next = 0;
  return (candidates) => {
    const chosen = candidates[next % candidates.length]!;
    next = (next + 1) % Number.MAX_SAFE_INTEGER;
    return chosen;
  };
}

/** Among those that have as little, turns are taken. */
function leastBy<Item extends Choosable>(measure: (one: Item) => number): Choice<Item> {
  let start = 0;
  return (candidates) => {
    start = (start + 1) % Number.MAX_SAFE_INTEGER;
    let best = candidates[start % candidates.length]!;
    let least = measure(best);
    for (let step = 1; step < candidates.length; step += 1) {
      const other = candidates[(start + step) % candidates.length]!;
      const measured = measure(other);
      if (measured < least) [best, least] = [other, measured];
    }
    return best;
  };
}

function twoChoices<Item extends Choosable>(random: () => number): Choice<Item> {
  return (candidates) => {
    const first = Math.floor(random() * candidates.length);
    if (candidates.length === 1) return candidates[first]!;
    const step = 1 + Math.floor(random() * (candidates.length - 1));
    const one = candidates[first]!;
    const other = candidates[(first + step) % candidates.length]!;
    return load(other) < load(one) ? other : one;
  };
}

/** Each is owed its weight in every round, and whoever is owed most pays for the round: shares are exact, and spread out. */
function weightedRound<Item extends Choosable>(candidates: readonly Item[]): Item {
  let total = 0;
  let best = candidates[0]!;
  for (const candidate of candidates) {
    candidate.credit += candidate.weight;
    total += candidate.weight;
    if (candidate.credit > best.credit) best = candidate;
  }
  best.credit -= total;
  return best;
}

const HASHES = 2 ** 32;

/**
 * Rendezvous hashing: every target draws a number from the key and itself, and the best draw wins. A target that goes moves
 * only its own keys, one that comes takes only what becomes its own, and shares follow the weights.
 */
function stickyTo<Item extends Choosable>(candidates: readonly Item[], key: string): Item {
  const keyHash = textHash(key);
  let best = candidates[0]!;
  let bestDraw = -Infinity;
  for (const candidate of candidates) {
    const uniform = (mixed(keyHash ^ candidate.hash) + 0.5) / HASHES;
    const draw = Math.log(uniform) / candidate.weight;
    if (draw > bestDraw) [best, bestDraw] = [candidate, draw];
  }
  return best;
}
