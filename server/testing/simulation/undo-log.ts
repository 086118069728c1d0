interface Undo {
  readonly position: number;
  undo(): void;
}

/** What a crash takes back: each thing that was noted of an event, by the event's place in the journal. */
export class UndoLog {
  /** Latest last. */
  #undos: Undo[] = [];

  add(position: number, undo: () => void): void {
    this.#undos.push({ position, undo });
  }

  /** Notes `value` under `key`; undefined: nothing any more. */
  put<Key, Value>(position: number, map: Map<Key, Value>, key: Key, value: Value | undefined): void {
    const before = map.get(key);
    assign(map, key, value);
    this.add(position, () => assign(map, key, before));
  }

  /** A crash: nothing behind `position` has happened. */
  loseBehind(position: number): void {
    while ((this.#undos.at(-1)?.position ?? 0) > position) this.#undos.pop()!.undo();
  }

  /** All up to `position` can't be lost any more. */
  settle(position: number): void {
    this.#undos = this.#undos.filter((undo) => undo.position > position);
  }
}

function assign<Key, Value>(map: Map<Key, Value>, key: Key, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
