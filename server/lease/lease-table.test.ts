import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseFields } from '../testing/lease-fields.ts';
import { LeaseTable } from './lease-table.ts';

const leaseOf = (token: number) => leaseFields({ token });
/** As tokens are: beyond 32 bits, and with runs between them. */
const FIRST = 2 ** 51 + 12_345;
const tokenOf = (nth: number) => FIRST + nth + Math.floor(nth / 50) * 2 ** 20;

describe('LeaseTable', () => {
  it('agrees with a Map after any row of grants and ends', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constant('grant' as const) },
      { weight: 2, arbitrary: fc.nat({ max: 1_000 }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 800, size: 'max' }), fc.nat({ max: 500 }), (steps, after) => {
        const table = new LeaseTable();
        const expected = new Set<number>();
        let granted = 0;
        for (const taken of steps) {
          if (taken === 'grant') {
            expected.add(table.add(leaseOf(tokenOf(granted))).token);
            granted += 1;
          } else if (expected.size > 0) {
            const token = [...expected][taken % expected.size]!;
            table.delete(token);
            expected.delete(token);
          }
        }
        expect(table.size).toBe(expected.size);
        expect([...table.keys()]).toEqual([...expected]);
        expect(Array.from(table.values(tokenOf(after) + 1), ({ token }) => token)).toEqual(
          [...expected].filter((token) => token > tokenOf(after)),
        );
        for (let nth = 0; nth < granted; nth += 1) {
          const token = tokenOf(nth);
          expect(table.get(token)?.token).toBe(expected.has(token) ? token : undefined);
          expect(table.has(token)).toBe(expected.has(token));
        }
      }),
    );
  });

  it('is filled at once, and goes on from there', () => {
    const table = new LeaseTable();
    const leases = Array.from({ length: 300 }, (_, nth) => table.rows.add(leaseOf(tokenOf(nth))));
    table.fill(
      Float64Array.from(leases, ({ token }) => token),
      Int32Array.from(leases, ({ row }) => row),
    );
    table.delete(tokenOf(7));
    table.add(leaseOf(tokenOf(300)));
    expect(table.size).toBe(300);
    expect(table.get(tokenOf(299))?.row).toBe(leases[299]!.row);
    expect([...table.keys()].slice(6, 8)).toEqual([tokenOf(6), tokenOf(8)]);
    expect(() => table.fill(new Float64Array(1), new Int32Array(1))).toThrow('in use');
    expect(() => new LeaseTable().fill(Float64Array.of(2, 1), Int32Array.of(0, 1))).toThrow('comes after');
  });

  it('gives those from a token on, wherever the next one is', () => {
    const table = new LeaseTable();
    // In the same page, the next one, one soon found, one beyond what is looked for, and one of a much later run.
    const steps = [1, 3, 16, 16 * 1_000, 16 * 1_500, 2 ** 40, 1];
    const tokens = steps.map((_, nth) => FIRST + steps.slice(0, nth + 1).reduce((sum, step) => sum + step, 0));
    for (const token of tokens) table.add(leaseOf(token));
    const expectAll = (live: readonly number[]) => {
      for (const from of [0, ...tokens.flatMap((token) => [token - 1, token, token + 1, token + 16]), 2 ** 53 - 1]) {
        const found = Array.from(table.values(from), ({ token }) => token);
        expect(found, `from ${from}`).toEqual(live.filter((token) => token >= from));
      }
    };
    expectAll(tokens);
    for (const [nth, token] of tokens.entries()) {
      table.delete(token);
      expectAll(tokens.slice(nth + 1));
    }
  });

  it('takes no token twice or out of order, and ends no lease twice', () => {
    const table = new LeaseTable();
    table.add(leaseOf(5));
    expect(() => table.add(leaseOf(5))).toThrow('comes after');
    table.delete(5);
    expect(() => table.add(leaseOf(5))).toThrow('comes after');
    expect(() => table.delete(5)).toThrow('none of the live ones');
  });
});
