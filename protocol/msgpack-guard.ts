/**
 * Looks over the structure of one MessagePack value before anything is built from it.
 *
 * The decoder behind us would make dates, maps, sets, errors and records from ext types, follow any depth and build a
 * hundred thousand empty arrays from a hundred kilobytes. A frame needs none of that: nil, booleans, numbers, strings
 * (UTF-8), binary, arrays, and maps with string keys, exactly one value, nothing behind it.
 *
 * | first byte             | then                                                     |
 * |------------------------|----------------------------------------------------------|
 * | 00–7f, e0–ff, c0 c2 c3 | nothing: small integers, nil, false, true                |
 * | 80–8f, de df           | a map: its length in the byte, or behind it              |
 * | 90–9f, dc dd           | an array: likewise                                       |
 * | a0–bf, d9 da db        | a string: likewise                                       |
 * | c4 c5 c6               | binary: its length behind the byte                       |
 * | ca–d3                  | a number of fixed width                                  |
 * | c1, c7–c9, d4–d8       | refused: a byte that is never used, and the ext types    |
 */
import { MESSAGE_VALUES_MAX, NESTING_DEPTH_MAX } from './limits.ts';

const CUT_OFF = 'the value is cut off';

/**
 * Values still to come at each open level, keys and values of a map both counted, and whether the level is a map.
 * Shared by all calls: a call neither waits nor calls back, and sets each level before it reads it.
 */
const remaining = new Float64Array(NESTING_DEPTH_MAX + 1);
const inMap = new Uint8Array(NESTING_DEPTH_MAX + 1);

/** What is wrong with `bytes` as one value of the wire, or undefined. Work and memory are bounded by their length. */
export function msgpackFault(bytes: Uint8Array, valuesMax = MESSAGE_VALUES_MAX): string | undefined {
  const end = bytes.byteLength;
  remaining[0] = 1;
  inMap[0] = 0;
  let depth = 0;
  let offset = 0;
  let values = 0;
  while (true) {
    while (remaining[depth] === 0) {
      if (depth === 0) return offset === end ? undefined : `${end - offset} bytes after the value`;
      depth -= 1;
    }
    if (offset >= end) return CUT_OFF;
    values += 1;
    if (values > valuesMax) return `more than ${valuesMax} values`;
    const byte = bytes[offset]!;
    const kind = KIND[byte]!;
    if (kind === EXT) return byte === 0xc1 ? 'byte 0xc1 is never used' : 'ext types are not taken';
    offset += 1;
    const lengthBytes = LENGTH_BYTES[byte]!;
    if (lengthBytes > end - offset) return CUT_OFF;
    // Bytes of the value itself, or how many values a map or an array holds.
    let length = LENGTH[byte]!;
    for (const behind = offset + lengthBytes; offset < behind; offset += 1) length = length * 256 + bytes[offset]!;
    if (inMap[depth] === 1 && remaining[depth]! % 2 === 0) {
      if (kind !== STRING) return 'a key of a map is not a string';
      if (isProtoKey(bytes, offset, length)) return 'the key __proto__ is not taken';
    }
    remaining[depth]! -= 1;
    // Each value inside takes a byte at least, so this also refuses a length made up to be huge.
    if (length > end - offset) return CUT_OFF;
    if (kind === MAP || kind === ARRAY) {
      if (depth === NESTING_DEPTH_MAX) return `nested deeper than ${NESTING_DEPTH_MAX}`;
      depth += 1;
      remaining[depth] = kind === MAP ? length * 2 : length;
      inMap[depth] = kind === MAP ? 1 : 0;
    } else {
      if (kind === STRING && !isUtf8(bytes, offset, length)) return 'a string is not UTF-8';
      offset += length;
    }
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** The decoder behind us makes something of any bytes: two of them could be taken for one key. */
function isUtf8(bytes: Uint8Array, offset: number, length: number): boolean {
  const end = offset + length;
  for (let index = offset; index < end; index += 1) {
    if (bytes[index]! < 0x80) continue;
    try {
      strictUtf8.decode(bytes.subarray(index, end));
      return true;
    } catch {
      return false;
    }
  }
  return true;
}

const PROTO_KEY = new TextEncoder().encode('__proto__');

function isProtoKey(bytes: Uint8Array, offset: number, length: number): boolean {
  return length === PROTO_KEY.length && PROTO_KEY.every((letter, index) => bytes[offset + index] === letter);
}

// 0 are numbers, nil, booleans and binary: nothing to look into.
const STRING = 1;
const ARRAY = 2;
const MAP = 3;
const EXT = 4;

/** By first byte: the kind of value, the length that the byte itself tells, and the bytes of length behind it. */
const KIND = new Uint8Array(256);
const LENGTH = new Uint8Array(256);
const LENGTH_BYTES = new Uint8Array(256);

for (let byte = 0x80; byte <= 0xbf; byte += 1) {
  KIND[byte] = byte <= 0x8f ? MAP : byte <= 0x9f ? ARRAY : STRING;
  LENGTH[byte] = byte <= 0x9f ? byte & 0x0f : byte & 0x1f;
}
for (const byte of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) KIND[byte] = EXT;
/** float32, float64, uint8 to uint64, int8 to int64. */
LENGTH.set([4, 8, 1, 2, 4, 8, 1, 2, 4, 8], 0xca);
/** Binary, then strings. */
LENGTH_BYTES.set([1, 2, 4], 0xc4);
LENGTH_BYTES.set([1, 2, 4], 0xd9);
KIND.fill(STRING, 0xd9, 0xdc);
/** Arrays, then maps. */
LENGTH_BYTES.set([2, 4, 2, 4], 0xdc);
KIND.fill(ARRAY, 0xdc, 0xde);
KIND.fill(MAP, 0xde, 0xe0);
