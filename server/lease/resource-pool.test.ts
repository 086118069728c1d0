import { describe, expect, it } from 'vitest';
import type { Where } from '../../protocol/where.ts';
import { ResourcePool } from './resource-pool.ts';
import type { Attributes } from './where.ts';

describe('ResourcePool', () => {
  interface Pooled extends Attributes {
    readonly id: number;
  }
  const pooled = (id: number, country = 'US'): Pooled => {
    return { id, address: `p${id}`, country, rpw: 0, resourceIds: [7], labels: undefined };
  };

  it('keeps its conditions right while addresses come, change and go', () => {
    const pool = new ResourcePool<Pooled>();
    const where: Where = { country: { eq: 'US' } };
    const taken = new Set<number>();
    const isFree = ({ id }: Pooled) => !taken.has(id);
    for (let id = 0; id < 100; id += 1) pool.set(pooled(id, id % 3 === 0 ? 'US' : 'CA'), true);
    expect(pool.candidates(where)).toMatchObject({ matchingCount: 34, eligibleCount: 34 });
    for (let id = 0; id < 50; id += 1) {
      taken.add(id);
      pool.setFree(pooled(id), false);
    }
    pool.verify(isFree);
    for (let id = 0; id < 100; id += 4) pool.delete(pooled(id));
    pool.delete(pooled(1_000));
    pool.verify(isFree);
    expect(pool.size).toBe(75);
    const candidates = pool.candidates(where);
    const ids = Array.from({ length: candidates.eligibleCount }, (_, rank) => candidates.addressIdAt(rank));
    expect(ids).toHaveLength(13);
    expect(new Set(ids)).toEqual(new Set([51, 54, 57, 63, 66, 69, 75, 78, 81, 87, 90, 93, 99]));
  });

  it('forgets the condition that was unused for longest, and builds it again when it is asked for', () => {
    const pool = new ResourcePool<Pooled>();
    pool.set(pooled(1), true);
    let looks = 0;
    const watched: Pooled = {
      ...pooled(2),
      get country() {
        looks += 1;
        return 'US';
      },
    };
    pool.set(watched, true);
    const where = (country: string): Where => ({ country: { ne: country } });
    for (let index = 0; index < 64; index += 1) pool.condition(where(`C${index}`));
    pool.condition(where('C0'));
    pool.condition(where('one more'));
    looks = 0;
    pool.condition(where('C0'));
    expect(looks).toBe(0);
    pool.condition(where('C1'));
    expect(looks).toBe(1);
  });
});
