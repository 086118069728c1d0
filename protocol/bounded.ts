/** Drops what was put in first, until no more than `sizeMax` is left. */
export function forgetOldest<Key>(
  collection: { readonly size: number; keys(): Iterable<Key>; delete(key: Key): boolean },
  sizeMax: number,
): void {
  for (const oldest of collection.keys()) {
    if (collection.size <= sizeMax) return;
    collection.delete(oldest);
  }
}
