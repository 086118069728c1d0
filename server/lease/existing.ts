/** What an event speaks of. Throws where it isn't there: the event doesn't fit the state. */
export function existing<Key extends string | number, Value>(
  map: { get(key: Key): Value | undefined },
  key: Key,
): Value {
  return map.get(key) ?? missing(key);
}

/** As `existing`, for what every grant and every end looks up: one function for all maps would cost more than the look. */
export function missing(key: string | number): never {
  throw new Error(`an event speaks of ${String(key)}, which isn't there`);
}
