import { assertNever } from '../../protocol/assert.ts';
import type { Strategy } from '../../protocol/codes.ts';
import type { ConditionIndex } from './condition-index.ts';
import type { CountedBitset } from './counted-bitset.ts';
import { HashRing, POINTS_PER_SLOT, ringPosition } from './hash-ring.ts';
import type { PoolAddress, SlotColumns } from './slot-columns.ts';
import { Urn } from './urn.ts';

/** What a request says of which eligible address it wants. */
export interface Choice {
  readonly strategy: Strategy;
  /** The caller's string, for `sticky`. */
  readonly sticky: string;
  /** The request's number, where a ring of `round_robin` begins. */
  readonly turn: number;
  /** At least 0 and below 1. */
  readonly random: () => number;
  /** Different addresses wanted. */
  readonly count: number;
}

export interface Candidates<A extends PoolAddress> {
  readonly columns: SlotColumns<A>;
  readonly index: ConditionIndex<A>;
  /** The slot at which `round_robin` goes on; undefined: it hasn't begun. */
  readonly cursor: number | undefined;
  /** Has the ring of the whole pool. */
  readonly host: { ring(): HashRing };
}

/** `choice.count` eligible slots, or all there are where these are fewer, in the order of preference. Changes nothing. */
export function chooseSlots<A extends PoolAddress>(candidates: Candidates<A>, choice: Choice): number[] {
  const { index, cursor } = candidates;
  const count = Math.min(choice.count, index.eligible.count);
  if (count === 0) return [];
  switch (choice.strategy) {
    case 'round_robin':
      return nextAround(index.eligible, cursor ?? index.eligible.select(choice.turn % index.eligible.count), count);
    case 'least_used':
      return index.order('rpw').best(count);
    case 'least_leased':
    case 'least_connections':
      return index.order('leaseCount').best(count);
    case 'least_recently_used':
      return index.order('lastToken').best(count);
    case 'random':
      return drawn(index.eligible, count, choice);
    case 'two_choices':
      return betterOfTwo(candidates, count, choice);
    case 'weighted':
      return byWeight(index, count, choice);
    case 'sticky':
      return nearest(candidates, count, ringPosition(choice.sticky));
    default:
      return assertNever(choice.strategy);
  }
}

function nextAround(eligible: CountedBitset, cursor: number, count: number): number[] {
  // A list of just so many: one that is pushed into takes room for seventeen.
  const found = [firstFrom(eligible, cursor)];
  while (found.length < count) found.push(firstFrom(eligible, found.at(-1)! + 1));
  return found;
}

function firstFrom(eligible: CountedBitset, from: number): number {
  const slot = eligible.next(from);
  return slot < 0 ? eligible.next(0) : slot;
}

function below(end: number, choice: Choice): number {
  return Math.floor(choice.random() * end);
}

function drawn(eligible: CountedBitset, count: number, choice: Choice): number[] {
  const urn = new Urn(eligible.count);
  return Array.from({ length: count }, () => eligible.select(urn.take(below(urn.left, choice))));
}

function betterOfTwo<A extends PoolAddress>(candidates: Candidates<A>, count: number, choice: Choice): number[] {
  const { eligible } = candidates.index;
  candidates.columns.followUsage();
  const { leaseCounts } = candidates.columns;
  const urn = new Urn(eligible.count);
  const found: number[] = [];
  while (found.length < count) {
    const place = below(urn.left, choice);
    const slot = eligible.select(urn.at(place));
    // The last one has no other to be compared with.
    const otherPlace = urn.left > 1 ? (place + 1 + below(urn.left - 1, choice)) % urn.left : place;
    const otherSlot = eligible.select(urn.at(otherPlace));
    const isOtherBetter = leaseCounts[otherSlot]! < leaseCounts[slot]!;
    found.push(isOtherBetter ? otherSlot : slot);
    urn.take(isOtherBetter ? otherPlace : place);
  }
  return found;
}

/** By weight; where no eligible one that is left weighs anything, by chance alone. */
function byWeight<A extends PoolAddress>(index: ConditionIndex<A>, count: number, choice: Choice): number[] {
  const found = index.weights().draw(count, () => choice.random());
  if (found.length === count) return found;
  const weighty = new Set(found);
  const urn = new Urn(index.eligible.count);
  while (found.length < count) {
    const slot = index.eligible.select(urn.take(below(urn.left, choice)));
    if (!weighty.has(slot)) found.push(slot);
  }
  return found;
}

/** The first ones clockwise from `position`: by a walk along the ring, or from the distances of all where these are few. */
function nearest<A extends PoolAddress>(candidates: Candidates<A>, count: number, position: number): number[] {
  const { columns, index } = candidates;
  return areFew(index.eligible.count, columns.size, count)
    ? nearestByDistance(columns, index.eligible, count, position)
    : nearestByWalk(candidates.host.ring(), index.eligible, count, position);
}

/** A walk looks at about `poolSize / eligibleCount` points for each slot that it finds, a comparison at all points of all. */
function areFew(eligibleCount: number, poolSize: number, count: number): boolean {
  const compared = eligibleCount * POINTS_PER_SLOT;
  return compared * eligibleCount <= poolSize * count || eligibleCount <= count * POINTS_PER_SLOT;
}

/** Exported beside the other for the test that both say the same. */
export function nearestByWalk(ring: HashRing, eligible: CountedBitset, count: number, position: number): number[] {
  const found = new Set<number>();
  ring.walk(position, (slot) => {
    if (eligible.has(slot)) found.add(slot);
    return found.size === count;
  });
  return [...found];
}

export function nearestByDistance<A extends PoolAddress>(
  columns: SlotColumns<A>,
  eligible: CountedBitset,
  count: number,
  position: number,
): number[] {
  const found: { slot: number; distance: number }[] = [];
  for (let slot = eligible.next(0); slot >= 0; slot = eligible.next(slot + 1)) {
    found.push({ slot, distance: HashRing.distance(position, slot, columns) });
  }
  found.sort((one, other) => one.distance - other.distance || one.slot - other.slot);
  return found.slice(0, count).map(({ slot }) => slot);
}
