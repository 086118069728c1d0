/** What an event speaks of. Throws where it isn't there: the event doesn't fit the state. */
export function existing<Key extends string | number, Value>(
  map: { get(key: Key): Value | undefined },
  key: Key,
): Value {
  const value = map.get(key);
  if (value === undefined) throw new Error(`an event speaks of ${String(key)}, which isn't there`);
  return value;
}
