import fc from 'fast-check';
import { expect, it } from 'vitest';
import { COUNT_KEYS_MS } from '../../protocol/limits.ts';
import { CounterDriver } from '../testing/counter-driver.ts';
import type { AddToCounter, CounterAnswer, CounterCommand } from './commands.ts';
import { countersAfter } from './state.ts';

/** Counters as a list of what was added to them; obviously right, and slow. */
class NaiveCounters {
  readonly #sums = new Map<string, bigint>();
  readonly #keyed: { readonly command: AddToCounter; readonly value: number; readonly atMs: number }[] = [];
  #isShort = false;

  answer(command: CounterCommand, nowMs: number): CounterAnswer | { readonly code: string } {
    switch (command.type) {
      case 'AddToCounter':
        return this.#add(command, nowMs);
      case 'DeleteCounter':
        return { type: this.#sums.delete(command.counter) ? 'deleted' : 'unknown' };
      case 'SetStorage':
        this.#isShort = command.level !== 'ample';
        return { type: 'done' };
      case 'Due':
        return { type: 'done' };
    }
  }

  restart(): void {
    this.#isShort = false;
  }

  get values(): { readonly counter: string; readonly value: number }[] {
    const sums = [...this.#sums].map(([counter, sum]) => ({ counter, value: Number(sum) }));
    return sums.toSorted((one, other) => (one.counter < other.counter ? -1 : 1));
  }

  #add(command: AddToCounter, nowMs: number): CounterAnswer | { readonly code: string } {
    const { holder, counter, by, key } = command;
    const isFormer = ({ command: made, atMs }: { command: AddToCounter; atMs: number }) =>
      made.holder === holder && made.key === key && nowMs < Math.ceil(atMs) + COUNT_KEYS_MS;
    const former = key === undefined ? undefined : this.#keyed.findLast(isFormer);
    if (former) {
      const isSame = former.command.counter === counter && former.command.by === by;
      return isSame ? { type: 'counted', counter, value: former.value } : { code: 'key_reused' };
    }
    const isRead = by === 0 && key === undefined;
    if (this.#isShort && !isRead) return { code: 'storage_full' };
    const sum = (this.#sums.get(counter) ?? 0n) + BigInt(by);
    if (sum > Number.MAX_SAFE_INTEGER || sum < Number.MIN_SAFE_INTEGER) return { code: 'bad_field' };
    const value = Number(sum);
    if (!isRead) this.#sums.set(counter, sum);
    if (key !== undefined) this.#keyed.push({ command, value, atMs: nowMs });
    return { type: 'counted', counter, value };
  }
}

const names = fc.constantFrom('pages', 'bytes', 'ä');
const exact = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
const add = fc.record({
  type: fc.constant('AddToCounter' as const),
  holder: fc.constantFrom('session a', 'client a'),
  counter: names,
  by: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -2, max: 2 }) }, { weight: 1, arbitrary: fc.integer(exact) }),
  key: fc.option(fc.constantFrom('k', 'l', 'm'), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 20, arbitrary: add },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('DeleteCounter' as const), counter: names }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('SetStorage' as const),
      level: fc.constantFrom('ample' as const, 'ample' as const, 'low' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('Wait' as const),
      ms: fc.double({ min: 0, max: COUNT_KEYS_MS, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('Restart' as const), from: fc.constantFrom('snapshot', 'journal') }),
  },
);

it('says what a list of all additions says, whatever restarts amid them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const driver = new CounterDriver();
      const model = new NaiveCounters();
      for (const each of steps) {
        if (each.type === 'Wait') driver.nowMs += each.ms;
        else if (each.type === 'Restart') {
          const before = driver.snapshot();
          driver.restart(each.from as 'snapshot' | 'journal');
          model.restart();
          expect(driver.snapshot()).toEqual(before);
        } else expect(driver.execute(each)).toMatchObject(model.answer(each, driver.nowMs));
        expect(countersAfter(driver.state, '', 10)).toEqual(model.values);
      }
    }),
  );
});
