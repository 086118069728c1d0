import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNumbers, encodeNumbers } from './number-column.ts';

describe('a column of numbers', () => {
  it('gives back what was put in, exactly', () => {
    const value = fc.oneof(
      fc.integer({ min: -(2 ** 33), max: 2 ** 33 }),
      fc.nat({ max: 70_000 }),
      fc.double({ noNaN: true }).filter((it) => !Object.is(it, -0)),
      fc.maxSafeInteger(),
    );
    fc.assert(
      fc.property(fc.array(value), (values) => {
        expect([...decodeNumbers(encodeNumbers(values))]).toEqual(values);
      }),
    );
  });

  it.each([
    [[0, 255], 1],
    [[256], 2],
    [[65_535], 2],
    [[65_536], 4],
    [[-1], 4],
    [[2 ** 31 - 1], 4],
    [[2 ** 31], 8],
    [[0.5], 8],
    [[], 1],
  ])('takes for each of %j no more than %d bytes', (values, width) => {
    expect(encodeNumbers(values)[0]).toBe(width);
  });

  it('is read wherever its bytes lie', () => {
    const [width, bytes] = encodeNumbers([1.5, 2 ** 52]);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect([...decodeNumbers([width, shifted.subarray(3)])]).toEqual([1.5, 2 ** 52]);
  });

  it('is refused where it is none', () => {
    expect(() => decodeNumbers([4, new Uint8Array(7)])).toThrow('7 bytes of numbers of 4 bytes');
    expect(() => decodeNumbers([3 as 4, new Uint8Array(6)])).toThrow('of 3 bytes');
  });
});
