import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { RecordWriter } from './record-writer.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

const plain = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -33, 0.5),
  fc.double(),
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    plain,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 3 }),
  ),
}));

describe('RecordWriter', () => {
  it('writes what the library would write', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const writer = new RecordWriter();
        for (const each of values) writer.write(each);
        const expected = Buffer.concat(values.map((each) => Buffer.from(packr.pack(each))));
        expect(Buffer.from(writer.take(writer.length)).equals(expected)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('writes arrays that are longer than fit into their first byte', () => {
    for (const length of [15, 16, 17, 65_535, 65_536]) {
      const writer = new RecordWriter();
      const values = Array.from({ length }, (_, index) => index);
      writer.write(values);
      expect(Buffer.from(writer.take(writer.length)).equals(packr.pack(values))).toBe(true);
    }
  });

  it('gives the first bytes away and keeps the others', () => {
    const writer = new RecordWriter();
    writer.write('first');
    const { length } = writer;
    writer.write('second');
    const first = writer.take(length);
    writer.write('third');
    writer.cut(writer.length - 1);
    expect(packr.unpack(first)).toBe('first');
    expect(writer.length).toBe(12);
    expect(packr.unpack(writer.take(7))).toBe('second');
  });
});
