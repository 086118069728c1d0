import { Packr } from 'msgpackr';

/** Event and snapshot records as bytes and back: maps as plain maps, integers above 2³² as float64 (exact to 2⁵³). */
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'number',
  // A byte string that the state keeps must not keep, as a view of it, the whole segment in memory.
  copyBuffers: true,
});

export function packValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Values packed one behind the other. Throws where `bytes` isn't that. */
export function unpackValues(bytes: Uint8Array): unknown[] {
  return bytes.length === 0 ? [] : packr.unpackMultiple(bytes);
}

/** The same, each with how many of the bytes it takes. */
export function unpackSized(bytes: Uint8Array): { readonly value: unknown; readonly bytes: number }[] {
  const values: { value: unknown; bytes: number }[] = [];
  if (bytes.length === 0) return values;
  packr.unpackMultiple(bytes, (value: unknown, start = 0, end = bytes.length) => {
    values.push({ value, bytes: end - start });
  });
  return values;
}
