import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAIR_STATES, STRATEGIES } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';
import { type ModelAddress, PoolModel, type PoolStep, poolSteps } from '../testing/pool-model.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { meets } from '../testing/where-meets.ts';
import { whereArbitrary } from '../testing/where-model.ts';
import { type Choice, type PairStatus, ResourcePool } from './resource-pool.ts';

const FREE: PairStatus = { state: 'free', untilMs: Infinity, isEligible: true };
const LEASED: PairStatus = { state: 'leased', untilMs: 9, isEligible: false };

function addressOf(id: number, own: Partial<ModelAddress> = {}): ModelAddress {
  const plain = { address: `p${id}:1`, country: 'US', rpw: 0, resourceIds: [7], labels: undefined };
  return { id, ...plain, weight: 1, leaseCount: 0, lastToken: 0, ...own };
}

const choiceOf = (own: Partial<Choice>): Choice => ({
  strategy: 'round_robin',
  sticky: '',
  turn: 0,
  random: () => 0,
  count: 1,
  ...own,
});

describe('a pool beside a list that is searched anew for each question', () => {
  const requests = fc.array(
    fc.record({
      where: whereArbitrary,
      strategy: fc.constantFrom(...STRATEGIES.filter((strategy) => strategy !== 'sticky')),
      count: fc.oneof(fc.constant(1), fc.nat({ max: 12 })),
      turn: fc.nat({ max: 100 }),
      seed: fc.nat(),
      isPinned: fc.boolean(),
      /** How many steps come before it. */
      after: fc.nat({ max: 60 }),
    }),
    { maxLength: 12 },
  );

  it('says the same of every condition, by every strategy, whatever changes', () => {
    fc.assert(
      fc.property(poolSteps, requests, fc.boolean(), (steps, asked, asksSticky) => {
        const model = new PoolModel();
        const pool = new ResourcePool<ModelAddress>();
        const cursors = new Map<string, number>();
        if (asksSticky) pool.condition(undefined).choose(choiceOf({ strategy: 'sticky' }));
        for (let step = 0; step <= steps.length; step += 1) {
          for (const request of asked.filter(({ after }) => Math.min(after, steps.length) === step)) {
            const { where, strategy, count, turn, seed, isPinned } = request;
            const condition = isPinned ? pool.pin(where) : pool.condition(where);
            expect(condition.matchingCount).toBe(model.matching(where).length);
            expect(condition.eligibleCount).toBe(model.eligible(where).length);
            const choice = () => choiceOf({ strategy, count, turn, random: seededRandom(seed) });
            const chosen = condition.choose(choice());
            const cursor = cursors.get(condition.key);
            expect(chosen, `by ${strategy}`).toEqual(model.choose(where, choice(), cursor));
            expect(condition.choose(choice()), 'and again, for nothing has changed').toEqual(chosen);
            expect(condition.survey(Infinity)).toEqual(model.survey(where));
            if (strategy === 'round_robin' && chosen[0]) {
              condition.advance(chosen[0]);
              const place = model.places.findIndex((entry) => entry?.address === chosen[0]);
              cursors.set(condition.key, place + 1);
            }
          }
          const next = steps[step];
          if (next) take(next, pool, model);
          if (step % 10 === 0) pool.verify((address) => model.entryOf(address.id)!.status);
        }
        pool.verify((address) => model.entryOf(address.id)!.status);
        expect(pool.size).toBe(model.entries.length);
        for (const state of PAIR_STATES) {
          expect(pool.countOf(state)).toBe(model.entries.filter(({ status }) => status.state === state).length);
        }
        for (const { where } of asked) {
          const condition = pool.condition(where);
          for (const { address, status } of model.entries) {
            expect(condition.holds(address)).toBe(meets(where, address));
            expect(condition.isEligible(address)).toBe(meets(where, address) && status.isEligible);
          }
        }
      }),
      { numRuns: 600 },
    );
  });

  function take(step: PoolStep, pool: ResourcePool<ModelAddress>, model: PoolModel): void {
    switch (step.type) {
      case 'set': {
        // What fast-check shares between its tries must not change under it.
        const address = { ...step.address };
        model.put({ address, status: step.status });
        return pool.set(address, step.status);
      }
      case 'setStatus': {
        const entry = model.entryOf(step.id);
        if (entry) entry.status = step.status;
        return pool.setStatus(entry?.address ?? addressOf(step.id), step.status);
      }
      case 'usage': {
        const entry = model.entryOf(step.id);
        if (entry) Object.assign(entry.address, step.usage);
        return pool.usageChanged(entry?.address ?? addressOf(step.id));
      }
      case 'delete': {
        const address = model.entryOf(step.id)?.address ?? addressOf(step.id);
        expect(pool.has(address)).toBe(model.entryOf(step.id) !== undefined);
        model.delete(step.id);
        pool.delete(address);
        expect(pool.has(address)).toBe(false);
        return;
      }
      case 'forgetRpw':
        for (const { address } of model.entries) address.rpw = Math.min(address.rpw, step.rpw);
        return pool.forgetRpw();
    }
  }

  it('names the same part as the one whose dropping would have given an address', () => {
    const parts = fc.array(whereArbitrary, { maxLength: 4 });
    fc.assert(
      fc.property(poolSteps, whereArbitrary, parts, (steps, fixed, wheres) => {
        const model = new PoolModel();
        const pool = new ResourcePool<ModelAddress>();
        for (const step of steps) take(step, pool, model);
        const named = wheres.map((where, index) => ({ path: `and[${index}]`, where }));
        expect(pool.relaxation(fixed, named, Infinity)).toBe(model.relaxation(fixed, named));
        expect(pool.relaxation(undefined, named, Infinity)).toBe(model.relaxation({}, named));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('ResourcePool', () => {
  it('follows a pool that grows past words, blocks and every column’s room, and shrinks again', () => {
    const pool = new ResourcePool<ModelAddress>();
    const seed = 7;
    const random = seededRandom(seed);
    const addresses = Array.from({ length: 3_000 }, (_, id) =>
      addressOf(id, { rpw: Math.floor(random() * 50), weight: id % 4, labels: { rack: `r${id % 7}` } }),
    );
    const where: Where = { rpw: { lt: 40 }, labels: { rack: { ne: 'r3' } } };
    const statuses = new Map<ModelAddress, PairStatus>();
    const ask = () =>
      STRATEGIES.map((strategy) => pool.condition(where).choose(choiceOf({ strategy, random, count: 3 })));
    for (const address of addresses) {
      pool.set(address, FREE);
      statuses.set(address, FREE);
      if (address.id % 500 === 1) ask();
    }
    for (let step = 0; step < 3_000; step += 1) {
      const address = addresses[Math.floor(random() * addresses.length)]!;
      if (step % 3 === 0) {
        pool.delete(address);
        statuses.delete(address);
      } else if (statuses.has(address)) {
        const status = random() < 0.5 ? FREE : LEASED;
        statuses.set(address, status);
        address.rpw += 1;
        address.lastToken = step;
        pool.setStatus(address, status);
        pool.usageChanged(address);
      }
    }
    pool.verify((address) => statuses.get(address)!);
    for (const chosen of ask()) {
      expect(new Set(chosen).size).toBe(3);
      for (const address of chosen) expect(meets(where, address) && statuses.get(address) === FREE).toBe(true);
    }
    const left = [...statuses].filter(([address, status]) => status === FREE && meets(where, address));
    const used = left
      .map(([address]) => address)
      .sort((one, other) => one.rpw - other.rpw || one.lastToken - other.lastToken);
    const best = pool.condition(where).choose(choiceOf({ strategy: 'least_used', count: 100 }));
    expect(best.map(({ rpw, lastToken }) => [rpw, lastToken])).toEqual(
      used.slice(0, 100).map(({ rpw, lastToken }) => [rpw, lastToken]),
    );
  });

  it('holds what its verification holds it to: a figure that changed behind its back is found', () => {
    const pool = new ResourcePool<ModelAddress>();
    const address = addressOf(1);
    pool.set(address, FREE);
    pool.condition({ rpw: { lt: 1 } }).choose(choiceOf({ strategy: 'least_used' }));
    expect(() => pool.verify(() => FREE)).not.toThrow();
    expect(() => pool.verify(() => LEASED)).toThrow('state of address 1');
    address.rpw = 5;
    expect(() => pool.verify(() => FREE)).toThrow('rpw of address 1');
  });

  it('surveys the first candidates of a large pool, and scales what it saw', () => {
    const pool = new ResourcePool<ModelAddress>();
    for (let id = 0; id < 1_000; id += 1) {
      const status: PairStatus = {
        state: id % 4 === 0 ? 'cooling' : 'leased',
        untilMs: 10_000 - id,
        isEligible: false,
      };
      pool.set(addressOf(id), status);
    }
    const exact = { states: { leased: 750, cooling: 250 }, matching: 1_000, soonestMs: 9_001, isExact: true };
    expect(pool.condition(undefined).survey(1_000)).toEqual(exact);
    expect(pool.condition(undefined).survey(100)).toEqual({ ...exact, soonestMs: 9_901, isExact: false });
    expect(pool.condition({ country: { eq: 'FR' } }).survey(100)).toEqual({
      states: {},
      matching: 0,
      soonestMs: Infinity,
      isExact: true,
    });
  });

  it('looks for a part to drop among the first candidates only, where it is told to', () => {
    const pool = new ResourcePool<ModelAddress>();
    for (let id = 0; id < 100; id += 1) pool.set(addressOf(id, { country: id === 99 ? 'CA' : 'US' }), FREE);
    const parts = [
      { path: 'country', where: { country: { eq: 'CA' } } },
      { path: 'rpw', where: { rpw: { gt: 5 } } },
    ];
    expect(pool.relaxation(undefined, parts, 100)).toBe('rpw');
    expect(pool.relaxation(undefined, parts, 99)).toBeUndefined();
  });
});

describe('the turn of a day', () => {
  it('is seen by conditions and orders that read rpw, those asked for before and those not', () => {
    const pool = new ResourcePool<ModelAddress>();
    const addresses = [5, 4, 3].map((rpw, id) => addressOf(id, { rpw }));
    for (const address of addresses) pool.set(address, FREE);
    const below = (lt: number) => pool.condition({ rpw: { lt } });
    const leastUsed = () => pool.condition(undefined).choose(choiceOf({ strategy: 'least_used', count: 3 }));
    expect(below(4).matchingCount).toBe(1);
    expect(leastUsed().map(({ id }) => id)).toEqual([2, 1, 0]);
    const turnDay = (...rpw: number[]) => {
      for (const address of addresses) address.rpw = rpw[address.id]!;
      pool.forgetRpw();
      pool.usageChanged(addresses[0]!);
    };
    turnDay(0, 1, 9);
    expect(below(4).matchingCount).toBe(2);
    turnDay(2, 0, 1);
    expect(below(2).matchingCount).toBe(2);
    turnDay(0, 2, 1);
    expect(leastUsed().map(({ id }) => id)).toEqual([0, 2, 1]);
    turnDay(7, 8, 9);
    const country = { path: 'country', where: { country: { eq: 'CA' } } };
    expect(pool.relaxation({ rpw: { gt: 8 } }, [country], Infinity)).toBe('country');
    pool.verify(() => FREE);
  });
});

describe('conditions of a pool', () => {
  const where = (index: number): Where => ({ country: { ne: `C${index}` } });

  it('are kept for those who ask again, whatever the order of their keys; the one unused for longest makes room', () => {
    const pool = new ResourcePool<ModelAddress>();
    const both = pool.condition({ rpw: { lt: 5, gt: 1 }, country: { eq: 'US' } });
    expect(pool.condition({ country: { eq: 'US' }, rpw: { gt: 1, lt: 5 } })).toBe(both);
    for (let index = 0; index < 63; index += 1) pool.condition(where(index));
    expect(pool.condition(where(0))).toBe(pool.known(where(0)));
    expect(pool.known({ country: { eq: 'US' }, rpw: { gt: 1, lt: 5 } }), 'looking does not keep it').toBe(both);
    pool.condition(where(63));
    expect(pool.known({ rpw: { lt: 5, gt: 1 }, country: { eq: 'US' } })).toBeUndefined();
    expect(pool.known(where(1))).toBeDefined();
    pool.condition(where(64));
    expect(pool.known(where(1))).toBeUndefined();
    expect(pool.known(where(0))).toBeDefined();
  });

  it('stay as long as they are pinned, by each who pinned them', () => {
    const pool = new ResourcePool<ModelAddress>();
    const pinned = pool.pin(where(0));
    expect(pool.pin(where(0))).toBe(pinned);
    const askOthers = () => {
      for (let index = 1; index <= 64; index += 1) pool.condition(where(index));
    };
    pool.unpin(pinned);
    askOthers();
    expect(pool.known(where(0))).toBe(pinned);
    pool.unpin(pinned);
    expect(pool.known(where(0)), 'no longer pinned, used a moment ago').toBe(pinned);
    askOthers();
    expect(pool.known(where(0))).toBeUndefined();
    expect(() => pool.unpin(pinned)).toThrow("isn't pinned");
  });

  it('of nothing are the whole pool, pinned or not', () => {
    const pool = new ResourcePool<ModelAddress>();
    const whole = pool.condition(undefined);
    expect(pool.condition({})).toBe(whole);
    expect(pool.known(undefined)).toBe(whole);
    expect(pool.pin({})).toBe(whole);
    pool.unpin(whole);
    expect(() => pool.unpin(whole)).toThrow("isn't pinned");
    pool.set(addressOf(1), FREE);
    expect([whole.matchingCount, whole.eligibleCount]).toEqual([1, 1]);
  });

  it('answer rightly though more are pinned than have an index at a time', () => {
    const pool = new ResourcePool<ModelAddress>();
    const addresses = Array.from({ length: 10 }, (_, id) => addressOf(id, { country: `C${id}` }));
    for (const address of addresses) pool.set(address, FREE);
    const conditions = Array.from({ length: 300 }, (_, index) => pool.pin(where(index)));
    for (const condition of conditions) condition.choose(choiceOf({}));
    pool.setStatus(addresses[3]!, LEASED);
    pool.verify((address) => (address === addresses[3] ? LEASED : FREE));
    for (const [index, condition] of conditions.entries()) {
      expect(condition.matchingCount).toBe(index < 10 ? 9 : 10);
      expect(condition.eligibleCount).toBe(index < 10 && index !== 3 ? 8 : 9);
      expect(condition.isEligible(addresses[4]!)).toBe(index !== 4);
    }
  });

  it('answer rightly after they were dropped, to those who hold them still', () => {
    const pool = new ResourcePool<ModelAddress>();
    const held = pool.condition(where(0));
    pool.set(addressOf(1, { country: 'C0' }), FREE);
    expect(held.matchingCount).toBe(0);
    for (let index = 1; index <= 64; index += 1) pool.condition(where(index));
    pool.set(addressOf(2), FREE);
    expect(held.matchingCount).toBe(1);
    pool.delete(addressOf(2));
    expect(held.matchingCount).toBe(0);
  });
});
