/**
 * An array with room for `length` items, all of which are still to be put in: one that grows with them is copied over and
 * over, a million of them for five times as long as it takes to fill it.
 */
export function arrayWithRoom<Item>(length: number): Item[] {
  // oxlint-disable-next-line unicorn/no-new-array -- nothing else makes the room at once.
  return new Array<Item>(length);
}
