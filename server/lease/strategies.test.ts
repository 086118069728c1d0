import { describe, expect, it } from 'vitest';
import type { Strategy } from '../../protocol/codes.ts';
import type { ModelAddress } from '../testing/pool-model.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { type PairStatus, ResourcePool } from './resource-pool.ts';

const SEED = 20_250_101;
const FREE: PairStatus = { state: 'free', untilMs: Infinity, isEligible: true };
const LEASED: PairStatus = { state: 'leased', untilMs: 9, isEligible: false };

/** A pool of so many addresses, and what a coordinator does with it: grant and release. */
class Bench {
  readonly pool = new ResourcePool<ModelAddress>();
  readonly addresses: ModelAddress[] = [];
  readonly random = seededRandom(SEED);
  readonly grants: number[] = [];
  readonly strategy: Strategy;
  #turn = 0;

  constructor(strategy: Strategy, weights: readonly number[]) {
    this.strategy = strategy;
    for (const [id, weight] of weights.entries()) {
      const plain = { address: `p${id}:1`, country: 'US', rpw: 0, resourceIds: [7], labels: undefined };
      const address = { ...plain, id, weight, leaseCount: 0, lastToken: 0 };
      this.addresses.push(address);
      this.grants.push(0);
      this.pool.set(address, FREE);
    }
  }

  choose(own: { sticky?: string; count?: number } = {}): ModelAddress[] {
    const { strategy, random } = this;
    return this.pool.condition(undefined).choose({ strategy, sticky: '', turn: this.#turn, random, count: 1, ...own });
  }

  grant(): ModelAddress {
    const address = this.choose()[0]!;
    this.#turn += 1;
    this.grants[address.id]! += 1;
    address.rpw += 1;
    address.leaseCount += 1;
    address.lastToken = this.#turn;
    this.pool.setStatus(address, LEASED);
    this.pool.usageChanged(address);
    if (this.strategy === 'round_robin') this.pool.condition(undefined).advance(address);
    return address;
  }

  release(address: ModelAddress): void {
    address.leaseCount -= 1;
    this.pool.setStatus(address, FREE);
    this.pool.usageChanged(address);
  }

  /** So many grants, with `held` of them at a time. */
  run(grants: number, held: number): void {
    const holding: ModelAddress[] = [];
    for (let index = 0; index < grants; index += 1) {
      if (holding.length === held) this.release(holding.shift()!);
      holding.push(this.grant());
    }
    for (const address of holding) this.release(address);
  }
}

const same = (count: number) => Array<number>(count).fill(1);

/** Sum of (seen − expected)² / expected; about the number of its terms where chance alone tells them apart. */
function chiSquare(seen: readonly number[], expected: readonly number[]): number {
  return seen.reduce((sum, count, index) => sum + (count - expected[index]!) ** 2 / expected[index]!, 0);
}

describe('round_robin', () => {
  it.each([0, 1, 2, 5, 9])('gives ten addresses a thousand each of 10,000, with %i held at a time', (held) => {
    const bench = new Bench('round_robin', same(10));
    bench.run(10_000, held + 1);
    expect(bench.grants).toEqual(Array(10).fill(1_000));
  });

  it('passes over none of those that stay, while others come and go', () => {
    const bench = new Bench('round_robin', same(20));
    const comesAndGoes = bench.addresses.filter(({ id }) => id % 2 === 1);
    for (let index = 0; index < 10_000; index += 1) {
      const address = comesAndGoes[Math.floor(bench.random() * comesAndGoes.length)]!;
      if (bench.pool.has(address)) bench.pool.delete(address);
      else bench.pool.set(address, FREE);
      bench.run(1, 1);
    }
    const staying = bench.grants.filter((_, id) => id % 2 === 0);
    expect(Math.max(...staying) - Math.min(...staying), `seed ${SEED}`).toBeLessThanOrEqual(1);
  });

  it('is the turn over the eligible, where a condition is new', () => {
    const bench = new Bench('round_robin', same(10));
    const condition = bench.pool.condition({ country: { eq: 'us' } });
    const choice = { strategy: 'round_robin', sticky: '', random: bench.random, count: 1 } as const;
    expect([0, 7, 10, 123].map((turn) => condition.choose({ ...choice, turn })[0]!.id)).toEqual([0, 7, 0, 3]);
    bench.pool.setStatus(bench.addresses[0]!, LEASED);
    expect(condition.choose({ ...choice, turn: 10 })[0]!.id).toBe(2);
    condition.advance(bench.addresses[9]!);
    expect(condition.choose({ ...choice, turn: 10, count: 3 }).map(({ id }) => id)).toEqual([1, 2, 3]);
  });
});

describe('chance, with a seed', () => {
  it('random gives all the same share', () => {
    const bench = new Bench('random', same(50));
    bench.run(50_000, 1);
    // 49 degrees of freedom: above 94 in one of 10,000.
    expect(chiSquare(bench.grants, Array(50).fill(1_000)), `seed ${SEED}`).toBeLessThan(94);
  });

  it('random draws every pair of two alike', () => {
    const bench = new Bench('random', same(5));
    const pairs = Array<number>(25).fill(0);
    for (let index = 0; index < 20_000; index += 1) {
      const [one, other] = bench.choose({ count: 2 });
      pairs[one!.id * 5 + other!.id]! += 1;
    }
    const seen = pairs.filter((_, index) => index % 6 !== 0);
    expect(pairs.filter((_, index) => index % 6 === 0)).toEqual([0, 0, 0, 0, 0]);
    // 19 degrees of freedom: above 51 in one of 10,000.
    expect(chiSquare(seen, Array(20).fill(1_000)), `seed ${SEED}`).toBeLessThan(51);
  });

  it('weighted gives by weight, zero none, whatever else is held', () => {
    const weights = [1, 2, 3, 4, 0];
    const bench = new Bench('weighted', weights);
    bench.run(50_000, 1);
    expect(bench.grants[4]).toBe(0);
    const expected = [5_000, 10_000, 15_000, 20_000];
    // 3 degrees of freedom: above 21 in one of 10,000.
    expect(chiSquare(bench.grants.slice(0, 4), expected), `seed ${SEED}`).toBeLessThan(21);
  });

  it('weighted gives what weighs nothing where nothing else is eligible', () => {
    const bench = new Bench('weighted', [0, 5, 0]);
    expect(bench.choose({ count: 3 }).map(({ id }) => id)[0]).toBe(1);
    expect(new Set(bench.choose({ count: 3 })).size).toBe(3);
    bench.pool.setStatus(bench.addresses[1]!, LEASED);
    const seen = new Set(Array.from({ length: 50 }, () => bench.choose()[0]!.id));
    expect(seen).toEqual(new Set([0, 2]));
  });

  it('two_choices keeps the fullest address far nearer to the mean than random does', () => {
    const fullest = (strategy: Strategy) => {
      const bench = new Bench(strategy, same(500));
      // Leases of other resources: they count on the address and leave the pair eligible.
      for (let index = 0; index < 5_000; index += 1) {
        const address = bench.choose()[0]!;
        address.leaseCount += 1;
        bench.pool.usageChanged(address);
      }
      return Math.max(...bench.addresses.map(({ leaseCount }) => leaseCount));
    };
    expect(fullest('two_choices'), `seed ${SEED}`).toBeLessThanOrEqual(13);
    expect(fullest('random'), `seed ${SEED}`).toBeGreaterThanOrEqual(18);
    expect(fullest('least_leased')).toBe(10);
  });

  it('two_choices never takes the fullest while another is eligible', () => {
    const bench = new Bench('two_choices', same(3));
    bench.addresses[1]!.leaseCount = 5;
    bench.pool.usageChanged(bench.addresses[1]!);
    const seen = new Set(Array.from({ length: 200 }, () => bench.choose()[0]!.id));
    expect(seen).toEqual(new Set([0, 2]));
    expect(bench.choose({ count: 3 }).at(-1)!.id).toBe(1);
  });
});

describe('the least first', () => {
  it.each(['least_used', 'least_leased', 'least_connections', 'least_recently_used'] as const)(
    '%s goes round all that are alike',
    (strategy) => {
      const bench = new Bench(strategy, same(10));
      bench.run(1_000, 3);
      expect(bench.grants).toEqual(Array(10).fill(100));
    },
  );
});

describe('sticky', () => {
  it('gives a string its address while that is free, the next one meanwhile, and it again then', () => {
    const bench = new Bench('sticky', same(50));
    const own = (sticky: string) => bench.choose({ sticky })[0]!;
    for (const sticky of ['', 'a', 'collector 7', 'ü']) {
      const [first, second] = bench.choose({ sticky, count: 2 });
      expect(own(sticky)).toBe(first);
      bench.pool.setStatus(first!, LEASED);
      expect(own(sticky)).toBe(second);
      bench.pool.setStatus(first!, FREE);
      expect(own(sticky)).toBe(first);
    }
  });

  it('moves only the strings of an address that leaves the pool, and gives them back when it returns', () => {
    const bench = new Bench('sticky', same(50));
    const strings = Array.from({ length: 2_000 }, (_, index) => `s${index}`);
    const owners = () => strings.map((sticky) => bench.choose({ sticky })[0]!.id);
    const before = owners();
    bench.pool.delete(bench.addresses[20]!);
    const without = owners();
    const moved = strings.filter((_, index) => before[index] !== without[index]).length;
    expect(moved).toBe(before.filter((id) => id === 20).length);
    expect(moved).toBeGreaterThan(0);
    bench.pool.set(bench.addresses[20]!, FREE);
    expect(owners()).toEqual(before);
  });

  it('is the same for few eligible ones as for many', () => {
    const bench = new Bench('sticky', same(2_000));
    const strings = Array.from({ length: 200 }, (_, index) => `s${index}`);
    for (const address of bench.addresses) if (address.id % 100 !== 0) bench.pool.setStatus(address, LEASED);
    const few = strings.map((sticky) => bench.choose({ sticky })[0]!.id);
    const small = new ResourcePool<ModelAddress>();
    for (const address of bench.addresses) if (address.id % 100 === 0) small.set(address, FREE);
    const choice = { strategy: 'sticky', turn: 0, random: bench.random, count: 1 } as const;
    expect(strings.map((sticky) => small.condition(undefined).choose({ ...choice, sticky })[0]!.id)).toEqual(few);
  });
});
