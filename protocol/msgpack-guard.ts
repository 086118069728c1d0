/**
 * Looks over the structure of one MessagePack value before anything is built from it.
 *
 * The decoder behind us would make dates, maps, sets, errors and records from ext types, follow any depth and build a
 * hundred thousand empty arrays from a hundred kilobytes. A frame needs none of that: nil, booleans, numbers, strings,
 * binary, arrays, and maps with string keys, exactly one value, nothing behind it.
 */
import { MESSAGE_VALUES_MAX, NESTING_DEPTH_MAX } from './limits.ts';

const PROTO_KEY = Array.from('__proto__', (letter) => letter.charCodeAt(0));

/** What is wrong with `bytes` as one value of the wire, or undefined. */
export function msgpackFault(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.byteLength;
  /** Values still to come at each open level, and whether the level is a map; keys and values both count. */
  const remaining = new Float64Array(NESTING_DEPTH_MAX + 1);
  const inMap = new Uint8Array(NESTING_DEPTH_MAX + 1);
  remaining[0] = 1;
  let depth = 0;
  let offset = 0;
  let values = 0;
  while (true) {
    while (remaining[depth] === 0) {
      if (depth === 0) return offset === end ? undefined : `${end - offset} bytes after the value`;
      depth -= 1;
    }
    if (offset >= end) return 'the value is cut off';
    values += 1;
    if (values > MESSAGE_VALUES_MAX) return `more than ${MESSAGE_VALUES_MAX} values`;
    const expectsKey = inMap[depth] === 1 && remaining[depth]! % 2 === 0;
    remaining[depth]! -= 1;
    const byte = bytes[offset]!;
    offset += 1;
    let skip = 0;
    let children = -1;
    let isMap = false;
    let isString = false;
    if (byte <= 0x7f || byte >= 0xe0) skip = 0;
    else if (byte <= 0x8f) [children, isMap] = [byte & 0x0f, true];
    else if (byte <= 0x9f) children = byte & 0x0f;
    else if (byte <= 0xbf) [skip, isString] = [byte & 0x1f, true];
    else {
      const lengthBytes = LENGTH_BYTES[byte - 0xc0]!;
      if (lengthBytes < 0) return byte === 0xc1 ? 'byte 0xc1 is never used' : 'ext types are not taken';
      if (offset + lengthBytes > end) return 'the value is cut off';
      const length =
        lengthBytes === 1
          ? view.getUint8(offset)
          : lengthBytes === 2
            ? view.getUint16(offset)
            : lengthBytes === 4
              ? view.getUint32(offset)
              : 0;
      offset += lengthBytes;
      if (byte <= 0xc3) skip = 0;
      else if (byte <= 0xc6) skip = length;
      else if (byte <= 0xd3) skip = FIXED_BYTES[byte - 0xca]!;
      else if (byte <= 0xdb) [skip, isString] = [length, true];
      else [children, isMap] = [length, byte >= 0xde];
    }
    if (expectsKey) {
      if (!isString) return 'a key of a map is not a string';
      if (skip === PROTO_KEY.length && PROTO_KEY.every((letter, index) => bytes[offset + index] === letter)) {
        return 'the key __proto__ is not taken';
      }
    }
    if (skip > end - offset) return 'the value is cut off';
    offset += skip;
    if (children >= 0) {
      if (children > end - offset) return 'the value is cut off';
      if (depth === NESTING_DEPTH_MAX) return `nested deeper than ${NESTING_DEPTH_MAX}`;
      depth += 1;
      remaining[depth] = isMap ? children * 2 : children;
      inMap[depth] = isMap ? 1 : 0;
    }
  }
}

/** Bytes of the length that follows each first byte from 0xc0 to 0xdf; -1: refused. */
const LENGTH_BYTES = [
  0, -1, 0, 0, 1, 2, 4, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, 1, 2, 4, 2, 4, 2, 4,
] as const;
/** Bytes of the numbers from 0xca (float32) to 0xd3 (int64). */
const FIXED_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8] as const;
