import fc from 'fast-check';
import { PAIR_STATES } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';
import type { Choice, PairStatus, PoolAddress, Survey } from '../lease/resource-pool.ts';
import { meets } from './where-meets.ts';
import { attributesArbitrary, RPW_FIGURES } from './where-model.ts';

/** An address whose figures a test may change. */
export interface ModelAddress extends PoolAddress {
  rpw: number;
  leaseCount: number;
  lastToken: number;
}

export type PoolStep =
  | { readonly type: 'set'; readonly address: ModelAddress; readonly status: PairStatus }
  | { readonly type: 'setStatus'; readonly id: number; readonly status: PairStatus }
  | {
      readonly type: 'usage';
      readonly id: number;
      readonly usage: Pick<ModelAddress, 'rpw' | 'leaseCount' | 'lastToken'>;
    }
  | { readonly type: 'delete'; readonly id: number }
  | { readonly type: 'forgetRpw'; readonly rpw: number };

const ids = 40;
const id = fc.nat({ max: ids - 1 });
const figures = {
  rpw: fc.constantFrom(...RPW_FIGURES),
  leaseCount: fc.nat({ max: 2 }),
  lastToken: fc.nat({ max: 5 }),
};
const status: fc.Arbitrary<PairStatus> = fc.record({
  state: fc.constantFrom(...PAIR_STATES),
  untilMs: fc.constantFrom(5, 10, 20, Infinity),
  isEligible: fc.boolean(),
});
const address: fc.Arbitrary<ModelAddress> = fc
  .tuple(attributesArbitrary, fc.record({ id, weight: fc.nat({ max: 3 }), ...figures }))
  .map(([attributes, own]) => ({ ...attributes, ...own }));

export const poolSteps: fc.Arbitrary<PoolStep[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('set' as const), address, status }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('setStatus' as const), id, status }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('usage' as const), id, usage: fc.record(figures) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), id }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('forgetRpw' as const), rpw: figures.rpw }) },
  ),
  { maxLength: 60, size: 'max' },
);

interface Entry {
  readonly address: ModelAddress;
  status: PairStatus;
}

/** The pool as a list that is searched anew for each question. Its places are given out like the index's slots. */
export class PoolModel {
  readonly places: (Entry | undefined)[] = [];
  readonly #free: number[] = [];

  entryOf(addressId: number): Entry | undefined {
    return this.places.find((entry) => entry?.address.id === addressId);
  }

  get entries(): Entry[] {
    return this.places.filter((entry) => entry !== undefined);
  }

  put(entry: Entry): void {
    const known = this.places.findIndex((present) => present?.address.id === entry.address.id);
    if (known >= 0) this.places[known] = entry;
    else this.places[this.#free.pop() ?? this.places.length] = entry;
  }

  delete(addressId: number): void {
    const place = this.places.findIndex((entry) => entry?.address.id === addressId);
    if (place < 0) return;
    this.places[place] = undefined;
    this.#free.push(place);
  }

  matching(where: Where): Entry[] {
    return this.entries.filter((entry) => meets(where, entry.address));
  }

  eligible(where: Where): ModelAddress[] {
    return this.matching(where)
      .filter((entry) => entry.status.isEligible)
      .map((entry) => entry.address);
  }

  /** Filter, then sort or draw. `cursor`: the place of the round robin. Sticky is not told here. */
  choose(where: Where, choice: Choice, cursor: number | undefined): ModelAddress[] {
    const eligible = this.eligible(where);
    const count = Math.min(choice.count, eligible.length);
    const by = (...keys: ((it: ModelAddress) => number)[]) =>
      eligible
        .toSorted((one, other) => keys.map((key) => key(one) - key(other)).find((difference) => difference !== 0) ?? 0)
        .slice(0, count);
    switch (choice.strategy) {
      case 'round_robin': {
        const placeOf = (it: ModelAddress) => this.places.findIndex((entry) => entry?.address === it);
        const start = eligible.findIndex((it) => placeOf(it) >= (cursor ?? Infinity));
        const rank = cursor === undefined ? choice.turn % eligible.length : Math.max(start, 0);
        return [...eligible.slice(rank), ...eligible.slice(0, rank)].slice(0, count);
      }
      case 'least_used':
        return by(
          (it) => it.rpw,
          (it) => it.lastToken,
        );
      case 'least_leased':
      case 'least_connections':
        return by(
          (it) => it.leaseCount,
          (it) => it.lastToken,
        );
      case 'least_recently_used':
        return by((it) => it.lastToken);
      case 'random':
        return draw(eligible, count, (left) => Math.floor(choice.random() * left.length));
      case 'two_choices':
        return draw(eligible, count, (left) => {
          const first = Math.floor(choice.random() * left.length);
          if (left.length === 1) return first;
          const second = (first + 1 + Math.floor(choice.random() * (left.length - 1))) % left.length;
          return left[second]!.leaseCount < left[first]!.leaseCount ? second : first;
        });
      case 'weighted':
        return byWeight(eligible, count, choice);
      case 'sticky':
        throw new Error('sticky is tested against its ring');
    }
  }

  survey(where: Where): Survey {
    const matching = this.matching(where);
    const states: Survey['states'] = {};
    for (const entry of matching) states[entry.status.state] = (states[entry.status.state] ?? 0) + 1;
    const busy = matching.filter((entry) => !entry.status.isEligible);
    const soonestMs = Math.min(Infinity, ...busy.map((entry) => entry.status.untilMs));
    return { states, matching: matching.length, soonestMs, isExact: true };
  }

  relaxation(fixed: Where, parts: readonly { path: string; where: Where }[]): string | undefined {
    return parts.find((part) => {
      const others = parts.filter((other) => other !== part).map((other) => other.where);
      return this.eligible({ and: [fixed, ...others] }).length > 0;
    })?.path;
  }
}

/** Takes what `pick` says, again and again; the last one left comes in its place. */
function draw(all: readonly ModelAddress[], count: number, pick: (left: ModelAddress[]) => number): ModelAddress[] {
  const left = [...all];
  return Array.from({ length: count }, () => {
    const place = pick(left);
    const taken = left[place]!;
    left[place] = left.at(-1)!;
    left.pop();
    return taken;
  });
}

function byWeight(all: readonly ModelAddress[], count: number, choice: Choice): ModelAddress[] {
  const weighty: ModelAddress[] = [];
  while (weighty.length < count) {
    const left = all.filter((it) => !weighty.includes(it));
    const total = left.reduce((sum, it) => sum + it.weight, 0);
    if (total === 0) break;
    let rest = choice.random() * total;
    weighty.push(
      left.find((it) => {
        rest -= it.weight;
        return rest < 0;
      })!,
    );
  }
  const others: ModelAddress[] = [];
  const drawn = draw(all, count === weighty.length ? 0 : all.length, (left) => {
    if (weighty.length + others.length === count) return 0;
    const place = Math.floor(choice.random() * left.length);
    if (!weighty.includes(left[place]!)) others.push(left[place]!);
    return place;
  });
  return drawn.length === 0 ? weighty : [...weighty, ...others];
}
