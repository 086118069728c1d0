import { describe, expect, it } from 'vitest';
import { STRATEGIES } from '../../protocol/codes.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { type Choosable, makeChoice } from './target-choice.ts';
import { textHash } from './target-hash.ts';

class Item implements Choosable {
  readonly name: string;
  readonly weight: number;
  readonly hash: number;
  inFlight = 0;
  used = 0;
  lastChosen = 0;
  credit = 0;

  constructor(name: string, weight = 1) {
    this.name = name;
    this.weight = weight;
    this.hash = textHash(name);
  }
}

const items = (...weights: number[]) => weights.map((weight, index) => new Item(`10.0.0.${index}:80`, weight));

/** How often each was chosen. */
function chosenOf(
  strategy: (typeof STRATEGIES)[number],
  among: Item[],
  times: number,
  key = (nth: number) => `${nth}`,
) {
  const choice = makeChoice<Item>(strategy, seededRandom(1));
  const counts = new Map(among.map((item) => [item, 0]));
  for (let nth = 1; nth <= times; nth += 1) {
    const chosen = choice(among, key(nth));
    counts.set(chosen, counts.get(chosen)! + 1);
    chosen.used += 1;
    chosen.lastChosen = nth;
  }
  return [...counts.values()];
}

describe('a choice', () => {
  it.each([
    'round_robin',
    'least_used',
    'least_recently_used',
    'least_connections',
    'least_leased',
    'weighted',
  ] as const)('by %s is even among equals', (strategy) =>
    expect(chosenOf(strategy, items(1, 1, 1), 300)).toEqual([100, 100, 100]),
  );

  it.each(['random', 'two_choices', 'sticky'] as const)('by %s is about even among equals', (strategy) => {
    for (const count of chosenOf(strategy, items(1, 1, 1), 3_000)) expect(Math.abs(count - 1_000)).toBeLessThan(120);
  });

  it.each(STRATEGIES)('by %s falls on the only one there is', (strategy) => {
    expect(chosenOf(strategy, items(1), 3)).toEqual([3]);
  });

  it('by weight keeps to the shares exactly, and takes turns in between', () => {
    const [one, two] = items(3, 1) as [Item, Item];
    const choice = makeChoice<Item>('weighted', Math.random);
    const names = Array.from({ length: 8 }, () => (choice([one, two], '') === one ? 'a' : 'b')).join('');
    expect(names).toBe('aabaaaba');
  });

  it('by connections falls on whoever has least under way for its weight', () => {
    const [one, two, three] = items(1, 4, 1) as [Item, Item, Item];
    Object.assign(one, { inFlight: 1 });
    Object.assign(two, { inFlight: 3 });
    Object.assign(three, { inFlight: 2 });
    const choice = makeChoice<Item>('least_connections', Math.random);
    expect(Array.from({ length: 3 }, () => choice([one, two, three], ''))).toEqual([two, two, two]);
  });

  it('of two never falls on the busiest', () => {
    const all = items(1, 1, 1);
    all[1]!.inFlight = 5;
    expect(chosenOf('two_choices', all, 300)[1]).toBe(0);
  });

  it('sticks to one target per key, moves only the keys of one that goes, and gives one that comes only its own', () => {
    const all = items(1, 1, 2, 1, 1);
    const choice = makeChoice<Item>('sticky', Math.random);
    const keys = Array.from({ length: 1_000 }, (_, index) => `client-${index}`);
    const before = keys.map((key) => choice(all, key));
    const gone = all[3]!;
    const left = all.filter((item) => item !== gone);
    const moved = keys.filter((key, index) => choice(left, key) !== before[index]);
    expect(moved).toEqual(keys.filter((_, index) => before[index] === gone));
    expect(keys.map((key) => choice(all, key))).toEqual(before);
    const ofDouble = before.filter((item) => item === all[2]).length;
    expect(ofDouble).toBeGreaterThan(250);
    expect(ofDouble).toBeLessThan(420);
  });
});
