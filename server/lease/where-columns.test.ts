import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Where } from '../../protocol/where.ts';
import { meets } from '../testing/where-meets.ts';
import { attributesArbitrary, whereArbitrary } from '../testing/where-model.ts';
import { type PoolAddress, SlotColumns } from './slot-columns.ts';
import { compileWhere } from './where.ts';
import { narrow } from './where-columns.ts';

const figures = { weight: 1, leaseCount: 0, lastToken: 0 };

function columnsOf(addresses: readonly PoolAddress[]): SlotColumns<PoolAddress> {
  const columns = new SlotColumns<PoolAddress>();
  for (const address of addresses) columns.add(address);
  return columns;
}

const SIZE = 5_000;
const addresses = Array.from({ length: SIZE }, (_, id) => {
  return { ...figures, id, address: `p${id}`, country: 'US', rpw: id * 40, resourceIds: [7], labels: undefined };
});
const all = addresses.map(({ id }) => id);

/** Slots that are left of `slots`. */
function narrowed(where: Where, columns: SlotColumns<PoolAddress>, slots: readonly number[]): number[] {
  const words = new Uint32Array(Math.ceil(columns.slotsEnd / 32));
  for (const slot of slots) words[slot >>> 5]! |= 1 << (slot & 31);
  narrow(compileWhere(where).plan, columns, words);
  return Array.from({ length: columns.slotsEnd }, (_, slot) => slot).filter(
    (slot) => (words[slot >>> 5]! & (1 << (slot & 31))) !== 0,
  );
}

describe('a condition read column by column', () => {
  it('says of every slot what the compiled one and a naive reading say of its address, and of others nothing', () => {
    const addressed = fc.tuple(attributesArbitrary, fc.boolean());
    fc.assert(
      fc.property(whereArbitrary, fc.array(addressed, { minLength: 1, maxLength: 70, size: 'max' }), (where, all) => {
        const addresses = all.map(([attributes], id) => ({ ...attributes, ...figures, id }));
        const candidates = all.flatMap(([, isCandidate], slot) => (isCandidate ? [slot] : []));
        const { holds } = compileWhere(where);
        const left = narrowed(where, columnsOf(addresses), candidates);
        expect(left).toEqual(candidates.filter((slot) => holds(addresses[slot]!)));
        expect(left).toEqual(candidates.filter((slot) => meets(where, addresses[slot]!)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is not misled by addresses whose hash is like that of one it names', () => {
    const columns = columnsOf(addresses);
    const named = Array.from({ length: 1_000 }, (_, index) => `p${index * 5}`);
    const strangers = Array.from({ length: 1_000 }, (_, index) => `stranger ${index}`);
    const isNamed = (slot: number) => slot % 5 === 0;
    expect(narrowed({ address: { in: named } }, columns, all)).toEqual(all.filter(isNamed));
    expect(narrowed({ address: { nin: named } }, columns, all)).toEqual(all.filter((slot) => !isNamed(slot)));
    expect(narrowed({ address: { in: strangers } }, columns, all)).toEqual([]);
    expect(narrowed({ address: { nin: strangers } }, columns, all)).toEqual(all);
    expect(narrowed({ address: { in: named, ne: 'p0', nin: ['p5'] } }, columns, all)).toEqual(
      all.filter((slot) => isNamed(slot) && slot > 5),
    );
  });

  it('looks up figures below and above those that it remembers', () => {
    const columns = columnsOf(addresses);
    const list = [0, 40, 65_520, 65_560, 100_000, 199_960, 7];
    const isListed = (slot: number) => list.includes(slot * 40);
    expect(narrowed({ rpw: { in: list } }, columns, all)).toEqual(all.filter(isListed));
    expect(narrowed({ rpw: { nin: list, ne: 80 } }, columns, all)).toEqual(
      all.filter((slot) => !isListed(slot) && slot !== 2),
    );
  });
});

describe('SlotColumns', () => {
  it('uses slots and codes again, and keeps none for what nobody has any more', () => {
    const columns = columnsOf(addresses);
    for (const { id } of addresses) columns.delete(id);
    expect(columns.size).toBe(0);
    for (let round = 0; round < 10; round += 1) {
      for (let id = 0; id < 100; id += 1) {
        columns.add({
          ...addresses[id]!,
          country: `C${round}-${id}`,
          labels: { rack: `r${round}` },
          resourceIds: [round],
        });
      }
      for (let slot = 0; slot < SIZE; slot += 1) if (columns.addresses[slot]) columns.delete(slot);
    }
    expect(columns.slotsEnd).toBe(SIZE);
    expect(columns.countries.codesEnd).toBeLessThanOrEqual(100);
    expect(columns.labels.codesEnd).toBeLessThanOrEqual(2);
    expect(columns.resourceIds.codesEnd).toBeLessThanOrEqual(2);
  });
});
