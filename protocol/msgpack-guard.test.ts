import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { msgpackCodec } from './codec.ts';
import { MESSAGE_VALUES_MAX, NESTING_DEPTH_MAX } from './limits.ts';
import { msgpackFault } from './msgpack-guard.ts';

const CUT_OFF = 'the value is cut off';
const EXT = 'ext types are not taken';
const PROTO = 'the key __proto__ is not taken';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const fault = (text: string) => msgpackFault(hex(text));

describe('every first byte', () => {
  test.each([
    ['positive fixint', '00', '7f'],
    ['negative fixint', 'e0', 'ff'],
    ['nil', 'c0', 'c0'],
    ['false and true', 'c2', 'c3'],
  ])('a %s is a value by itself', (_, first, last) => {
    for (let byte = Number.parseInt(first, 16); byte <= Number.parseInt(last, 16); byte += 1) {
      expect(msgpackFault(Uint8Array.of(byte))).toBeUndefined();
    }
  });

  test.each([
    ['float32', 'ca', 4],
    ['float64', 'cb', 8],
    ['uint8', 'cc', 1],
    ['uint16', 'cd', 2],
    ['uint32', 'ce', 4],
    ['uint64', 'cf', 8],
    ['int8', 'd0', 1],
    ['int16', 'd1', 2],
    ['int32', 'd2', 4],
    ['int64', 'd3', 8],
  ])('a %s takes its bytes, no more and no less', (_, first, bytes) => {
    expect(fault(first + '00'.repeat(bytes))).toBeUndefined();
    expect(fault(first + '00'.repeat(bytes - 1))).toBe(CUT_OFF);
    expect(fault(first + '00'.repeat(bytes + 1))).toBe('1 bytes after the value');
  });

  test.each([
    ['a fixstr', 'a3 616161'],
    ['a str8', 'd9 03 616161'],
    ['a str16', 'da 0003 616161'],
    ['a str32', 'db 00000003 616161'],
    ['a bin8', 'c4 03 616161'],
    ['a bin16', 'c5 0003 616161'],
    ['a bin32', 'c6 00000003 616161'],
    ['a fixarray', '93 010203'],
    ['an array16', 'dc 0003 010203'],
    ['an array32', 'dd 00000003 010203'],
    ['a fixmap', '82 a161 01 a162 02'],
    ['a map16', 'de 0002 a161 01 a162 02'],
    ['a map32', 'df 00000002 a161 01 a162 02'],
    ['the longest fixstr', `bf ${'61'.repeat(31)}`],
    ['the longest fixarray', `9f ${'00'.repeat(15)}`],
    ['the longest fixmap', `8f ${Array.from({ length: 15 }, (_, key) => `a1${(0x61 + key).toString(16)}00`).join('')}`],
  ])('%s is taken whole and nothing less of it', (_, text) => {
    const bytes = hex(text);
    expect(msgpackFault(bytes)).toBeUndefined();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(msgpackFault(bytes.subarray(0, length))).toBe(CUT_OFF);
    }
    expect(msgpackFault(Buffer.concat([bytes, hex('c0c0')]))).toBe('2 bytes after the value');
  });

  test.each(['a0', 'd900', 'da0000', 'db00000000', 'c400', 'c50000', 'c600000000', '90', 'dc0000', '80', 'df00000000'])(
    'empty as %s is a value',
    (text) => {
      expect(fault(text)).toBeUndefined();
    },
  );

  test.each([
    ['fixext 1', 'd4 01 00'],
    ['fixext 1 as a record would come', 'd4 72 40'],
    ['fixext 2', 'd5 01 0000'],
    ['fixext 4, a timestamp', 'd6 ff 00000000'],
    ['fixext 8', 'd7 ff 0000000000000000'],
    ['fixext 16', `d8 01 ${'00'.repeat(16)}`],
    ['ext 8', 'c7 01 01 00'],
    ['ext 16', 'c8 0001 01 00'],
    ['ext 32', 'c9 00000001 01 00'],
  ])('%s is refused, wherever it stands', (_, text) => {
    expect(fault(text)).toBe(EXT);
    expect(fault(`91 ${text}`)).toBe(EXT);
    expect(fault(`81 a161 ${text}`)).toBe(EXT);
    expect(fault(`81 ${text} 01`)).toBe(EXT);
  });

  test('c1 is refused, wherever it stands', () => {
    for (const text of ['c1', '91 c1', '81 a161 c1', '81 c1 01']) expect(fault(text)).toBe('byte 0xc1 is never used');
  });

  test.each([
    ['a byte that starts nothing', 'ff'],
    ['a continuation without a start', '6180'],
    ['a letter that is cut off', '61e282'],
    ['an overlong slash', 'c0af'],
    ['half a surrogate pair', 'eda080'],
    ['more than Unicode has', 'f4908080'],
  ])('a string of %s is refused, as a value and as a key', (_, text) => {
    const string = `a${text.length / 2}${text}`;
    for (const where of [
      string,
      `92 01 ${string}`,
      `81 a161 ${string}`,
      `81 ${string} 01`,
      `d90${text.length / 2}${text}`,
    ]) {
      expect(fault(where)).toBe('a string is not UTF-8');
    }
    expect(fault(`c40${text.length / 2}${text}`)).toBeUndefined();
  });

  test('a string may hold all of Unicode', () => {
    expect(msgpackFault(packr.pack('a\u0000é€😀\ufeff\ufffd\uffff'))).toBeUndefined();
  });

  test('no byte is left out', () => {
    const refused = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) =>
      [EXT, 'byte 0xc1 is never used'].includes(msgpackFault(Uint8Array.of(byte)) ?? ''),
    );
    expect(refused).toEqual([0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]);
  });
});

describe('one value', () => {
  test('nothing is none', () => {
    expect(msgpackFault(new Uint8Array())).toBe(CUT_OFF);
  });

  test('two are one too many', () => {
    expect(fault('01 02')).toBe('1 bytes after the value');
    expect(fault('80 80 80')).toBe('2 bytes after the value');
  });

  test('a real frame cut off anywhere is refused', () => {
    const bytes = msgpackCodec.encode({
      type: 'acquire',
      id: 2,
      resource: 7,
      ttl_ms: 60_000,
      where: { country: { in: ['US', 'CA'] }, labels: { kind: { ne: 'x'.repeat(40) } }, rpw: { lt: 500, gt: -70_000 } },
    }) as Uint8Array;
    expect(msgpackFault(bytes)).toBeUndefined();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(msgpackFault(bytes.subarray(0, length))).toBe(CUT_OFF);
      expect(msgpackCodec.decode(bytes.subarray(0, length))).toEqual({ ok: false, message: CUT_OFF });
    }
  });

  test('bytes in the middle of a larger buffer are looked at alone', () => {
    const buffer = hex('c1 93 010203 c1');
    expect(msgpackFault(buffer.subarray(1, 5))).toBeUndefined();
  });

  test('what one call has seen is forgotten by the next', () => {
    expect(fault('82 a161 93 01')).toBe(CUT_OFF);
    expect(fault('92 01 02')).toBeUndefined();
    expect(fault('93 01 02')).toBe(CUT_OFF);
    expect(fault('01')).toBeUndefined();
  });
});

describe('lengths made up to be huge', () => {
  test.each([
    ['an array of 2³² − 1', 'dd ffffffff'],
    ['an array one longer than the bytes', 'dd 00000003 0101'],
    ['an array of 65,535', 'dc ffff 01'],
    ['a map of 2³² − 1', 'df ffffffff'],
    ['a map of 65,535', 'de ffff a161 01'],
    ['a string of 2³² − 1', 'db ffffffff 61'],
    ['binary of 2³² − 1', 'c6 ffffffff 61'],
    ['a key of 2³² − 1', '81 db ffffffff 61 01'],
  ])('%s is cut off', (_, text) => {
    expect(fault(text)).toBe(CUT_OFF);
  });

  test('arrays within arrays, each as long as what is left, end at once', () => {
    const bytes = Buffer.alloc(1_000_000);
    for (let offset = 0; offset + 5 <= bytes.length; offset += 5) {
      bytes[offset] = 0xdd;
      bytes.writeUInt32BE(bytes.length - offset - 5, offset + 1);
    }
    expect(msgpackFault(bytes)).toBe('nested deeper than 32');
  });

  test('values are counted on all levels, and bounded', () => {
    const arrayOf = (count: number) => {
      const bytes = Buffer.alloc(5 + count, 0x90);
      bytes[0] = 0xdd;
      bytes.writeUInt32BE(count, 1);
      return bytes;
    };
    expect(msgpackFault(arrayOf(MESSAGE_VALUES_MAX - 1))).toBeUndefined();
    expect(msgpackFault(arrayOf(MESSAGE_VALUES_MAX))).toBe('more than 131072 values');
    const map = packr.pack(
      Object.fromEntries(Array.from({ length: MESSAGE_VALUES_MAX / 2 }, (_, key) => [`k${key}`, 1])),
    );
    expect(msgpackFault(map)).toBe('more than 131072 values');
  });
});

describe('depth', () => {
  test.each([
    ['arrays', '91', '90'],
    ['maps', '81a161', '80'],
  ])('of %s is bounded', (_, outer, inner) => {
    expect(fault(outer.repeat(NESTING_DEPTH_MAX - 1) + inner)).toBeUndefined();
    expect(fault(outer.repeat(NESTING_DEPTH_MAX) + inner)).toBe('nested deeper than 32');
    expect(fault(outer.repeat(100_000))).toBe('nested deeper than 32');
  });

  test('is that of the deepest place, and the rest is still looked at', () => {
    const deep = `${'91'.repeat(NESTING_DEPTH_MAX - 2)}90`;
    expect(fault(`93 ${deep} ${deep} 05`)).toBeUndefined();
    expect(fault(`93 ${deep} ${deep} c1`)).toBe('byte 0xc1 is never used');
  });
});

describe('keys', () => {
  test.each([
    ['an integer', '05'],
    ['a float', 'cb 4014000000000000'],
    ['nil', 'c0'],
    ['true', 'c3'],
    ['binary', 'c4 01 61'],
    ['an array', '90'],
    ['a map', '80'],
  ])('%s is none', (_, key) => {
    expect(fault(`81 ${key} 01`)).toBe('a key of a map is not a string');
    expect(fault(`82 a161 01 ${key} 01`)).toBe('a key of a map is not a string');
    expect(fault(`82 a161 81 a162 01 ${key} 01`)).toBe('a key of a map is not a string');
  });

  test.each([
    ['fixstr', 'a9'],
    ['str8', 'd9 09'],
    ['str16', 'da 0009'],
    ['str32', 'db 00000009'],
  ])('__proto__ is refused as %s', (_, head) => {
    const key = `${head} ${Buffer.from('__proto__').toString('hex')}`;
    expect(fault(`81 ${key} 01`)).toBe(PROTO);
    expect(fault(`91 81 a161 82 a162 01 ${key} 80`)).toBe(PROTO);
    expect(fault(`81 a161 ${key}`)).toBeUndefined();
  });

  test('what only resembles __proto__ is taken', () => {
    for (const key of ['__proto_', '__proto___', '__Proto__', 'constructor', 'prototype', '']) {
      expect(msgpackFault(packr.pack({ [key]: 1 }))).toBeUndefined();
    }
  });
});

describe('beside the decoder behind it', () => {
  /** As JSON has it: without -0, prototypes and the key that is refused. */
  const jsonLike = fc
    .jsonValue({ maxDepth: NESTING_DEPTH_MAX - 1, stringUnit: 'grapheme' })
    .map((value): unknown => JSON.parse(JSON.stringify(value)))
    .filter((value) => !JSON.stringify(value).includes('__proto__'));

  test('every value as JSON has it passes and is decoded as it was', () => {
    fc.assert(
      fc.property(jsonLike, (value) => {
        const bytes = packr.pack(value);
        expect(msgpackFault(bytes)).toBeUndefined();
        expect(msgpackCodec.decode(bytes)).toEqual({ ok: true, value });
      }),
      { numRuns: 2_000 },
    );
  });

  test('none of its proper beginnings passes', () => {
    fc.assert(
      fc.property(jsonLike, fc.nat(), (value, cut) => {
        const bytes = packr.pack(value);
        expect(msgpackFault(bytes.subarray(0, cut % bytes.length))).toBe(CUT_OFF);
      }),
      { numRuns: 1_000 },
    );
  });

  test('whatever passes is decoded without a throw', () => {
    let passed = 0;
    // Mostly first bytes that open something or are a value, or else almost nothing would pass.
    const byte = fc.oneof(
      fc.constantFrom(
        0x81,
        0x82,
        0x91,
        0x92,
        0xa1,
        0xa2,
        0xc0,
        0xc3,
        0xc4,
        0xcc,
        0xd9,
        0xdc,
        0xde,
        0x00,
        0x01,
        0x40,
        0x61,
      ),
      fc.nat(255),
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 24 }), (array) => {
        const bytes = Uint8Array.from(array);
        if (msgpackFault(bytes) !== undefined) return;
        passed += 1;
        packr.unpack(bytes);
      }),
      { numRuns: 20_000 },
    );
    expect(passed).toBeGreaterThan(100);
  });

  test.each([
    ['a date', new Date(0)],
    ['a set', new Set([1])],
    ['a regular expression', /a/],
    ['an error', new Error('a')],
    ['undefined', undefined],
  ])('%s as that decoder would make it from bytes is refused', (_, value) => {
    const generous = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });
    expect(msgpackFault(generous.pack({ value }))).toBe(EXT);
  });

  test('a record as that decoder would make it from bytes is refused', () => {
    expect(msgpackFault(new Packr({ useRecords: true }).pack([{ a: 1 }, { a: 2 }]))).toBe(EXT);
  });
});
