/** Numbers of a snapshot that stand side by side, as the bytes of the narrowest typed array that holds each exactly. */
import { endianness } from 'node:os';

/** Bytes of each number (1 and 2: unsigned, 4: signed, 8: float64), and all of them, little-endian. */
export type NumberColumn = readonly [width: Width, bytes: Uint8Array];

/** Integers as wide as V8 keeps without an object: what is read into a field stays as small as what a grant puts there. */
export type Numbers = Uint8Array | Uint16Array | Int32Array | Float64Array;

type Width = 1 | 2 | 4 | 8;

const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Int32Array, 8: Float64Array } as const;
const INT32_MAX = 2 ** 31 - 1;

export function encodeNumbers(values: readonly number[]): NumberColumn {
  const width = widthOf(values);
  const numbers = ARRAYS[width].from(values);
  const bytes = new Uint8Array(numbers.buffer);
  return [width, inHostOrder(bytes, width)];
}

/** Throws where `column` isn't one. The numbers may share memory with it. */
export function decodeNumbers([width, bytes]: NumberColumn): Numbers {
  const NumberArray = ARRAYS[width];
  if (!NumberArray || bytes.length % width !== 0) throw new Error(`${bytes.length} bytes of numbers of ${width} bytes`);
  const isPlaced = bytes.byteOffset % width === 0 && endianness() === 'LE';
  const placed = isPlaced ? bytes : inHostOrder(new Uint8Array(bytes), width);
  return new NumberArray(placed.buffer as ArrayBuffer, placed.byteOffset, placed.length / width);
}

function widthOf(values: readonly number[]): Width {
  let [least, largest] = [0, 0];
  for (const value of values) {
    if (!Number.isInteger(value)) return 8;
    if (value < least) least = value;
    if (value > largest) largest = value;
  }
  if (least < -INT32_MAX || largest > INT32_MAX) return 8;
  return least < 0 || largest > 0xffff ? 4 : largest > 0xff ? 2 : 1;
}

/** Little-endian to the host's order, or back. Changes `bytes`. */
function inHostOrder(bytes: Uint8Array, width: Width): Uint8Array {
  if (endianness() === 'LE' || width === 1) return bytes;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (width === 2) buffer.swap16();
  else if (width === 4) buffer.swap32();
  else buffer.swap64();
  return bytes;
}
