/** The integers below `size`, drawn without putting back, at a cost that goes by how many are drawn. */
export class Urn {
  #left: number;
  /** What was put in place of integers that were drawn. */
  readonly #moved = new Map<number, number>();

  constructor(size: number) {
    this.#left = size;
  }

  /** How many haven't been taken. */
  get left(): number {
    return this.#left;
  }

  /** The integer at `place`, which is below `left`. */
  at(place: number): number {
    return this.#moved.get(place) ?? place;
  }

  /** Takes the integer at `place` out; the last one comes in its place. */
  take(place: number): number {
    const taken = this.at(place);
    this.#left -= 1;
    this.#moved.set(place, this.at(this.#left));
    return taken;
  }
}
