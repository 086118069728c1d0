/**
 * `value` with the keys of all its maps in one order, whichever they came in; itself where they are in it already, as they
 * mostly are. Keys that read as integers come first and in the order of their numbers, as in every object.
 */
export function inKeyOrder<Value>(value: Value): Value {
  return isInKeyOrder(value) ? value : (ordered(value) as Value);
}

function isInKeyOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isInKeyOrder);
  let last = '';
  for (const [key, inner] of Object.entries(value)) {
    if (key < last || !isInKeyOrder(inner)) return false;
    last = key;
  }
  return true;
}

function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(ordered);
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner)]));
}
