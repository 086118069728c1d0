import { mixed, textHash } from './text-hash.ts';

/** Points of each address. More would even out the shares, at 8 bytes and more each. */
export const POINTS_PER_SLOT = 8;
/** Share of places taken at which the table grows, and share that it then has. Fuller, and runs of taken places get long. */
const LOAD_MAX = 0.8;
const LOAD_AFTER_GROWTH = 0.6;
const HOMES_MIN = 64;
/** Places behind the last home at first, for points that are pushed there: doubled when they are full. */
const OVERHANG_MIN = 64;
const RING = 2 ** 32;
const FREE = -1;
/** Regions by which points are sorted roughly before a table is filled. */
const REGIONS_MAX = 2 ** 11;

const TEXT_SEED = 0x3c6ef372;

/** Where a caller's string stands on every ring. */
export function ringPosition(text: string): number {
  return textHash(text, TEXT_SEED);
}

/** The two hashes of an address from which its points follow, by slot. */
export interface RingHashes {
  readonly hashes: Uint32Array;
  readonly otherHashes: Uint32Array;
}

/**
 * A hash ring: each slot has eight points on it, which depend on nothing but its address, so that a slot that comes or goes
 * moves only the strings next to its own points.
 *
 * The points lie in one table, sorted by hash (then slot) with gaps between: each at its home, which is its share of the
 * table's length, or in the run of taken places that begins at or before it. So a point is found, put in or taken out by
 * looking at some neighbours.
 */
export class HashRing {
  #homes = HOMES_MIN;
  #points = new Uint32Array(HOMES_MIN + OVERHANG_MIN);
  #slots = new Int32Array(HOMES_MIN + OVERHANG_MIN).fill(FREE);
  #count = 0;

  /** A ring of `slots`. In a large pool far faster than to add one after the other: it keeps to the processor's cache. */
  static of(slots: readonly number[], hashes: RingHashes): HashRing {
    const ring = new HashRing();
    ring.#spread(homesFor(slots.length * POINTS_PER_SLOT), OVERHANG_MIN);
    const regionBits = 32 - Math.min(Math.log2(REGIONS_MAX), Math.ceil(Math.log2(slots.length + 1)));
    const starts = new Uint32Array(2 ** (32 - regionBits) + 1);
    for (const slot of slots) {
      for (let index = 0; index < POINTS_PER_SLOT; index += 1)
        starts[(pointOf(hashes, slot, index) >>> regionBits) + 1]! += 1;
    }
    for (let region = 1; region < starts.length; region += 1) starts[region]! += starts[region - 1]!;
    const points = new Uint32Array(slots.length * POINTS_PER_SLOT);
    const owners = new Int32Array(points.length);
    for (const slot of slots) {
      for (let index = 0; index < POINTS_PER_SLOT; index += 1) {
        const point = pointOf(hashes, slot, index);
        const place = starts[point >>> regionBits]!++;
        points[place] = point;
        owners[place] = slot;
      }
    }
    for (let index = 0; index < points.length; index += 1) ring.#insert(points[index]!, owners[index]!);
    return ring;
  }

  add(slot: number, hashes: RingHashes): void {
    for (let index = 0; index < POINTS_PER_SLOT; index += 1) this.#insert(pointOf(hashes, slot, index), slot);
  }

  /** With the hashes that it was added with. */
  delete(slot: number, hashes: RingHashes): void {
    for (let index = 0; index < POINTS_PER_SLOT; index += 1) this.#delete(pointOf(hashes, slot, index), slot);
  }

  /** Gives `visit` the slots whose points a walk from `position` on meets, until it says true or the walk is around. */
  walk(position: number, visit: (slot: number) => boolean): void {
    const slots = this.#slots;
    const start = this.#placeOf(position, 0);
    for (let place = start; place < slots.length; place += 1) if (slots[place] !== FREE && visit(slots[place]!)) return;
    for (let place = 0; place < start; place += 1) if (slots[place] !== FREE && visit(slots[place]!)) return;
  }

  /** How far a walk from `position` goes until it meets `slot` for the first time. */
  static distance(position: number, slot: number, hashes: RingHashes): number {
    let least = RING;
    for (let index = 0; index < POINTS_PER_SLOT; index += 1) {
      least = Math.min(least, (pointOf(hashes, slot, index) - position) >>> 0);
    }
    return least;
  }

  /** Invariant check for tests: throws unless the ring has exactly the points of `slots`, in order. */
  verify(slots: readonly number[], hashes: RingHashes): void {
    // As one number each, exact up to 2⁵³, they sort as numbers do.
    const inOne = (point: number, slot: number) => point * 2 ** 21 + slot;
    const expected = new Float64Array(slots.length * POINTS_PER_SLOT);
    for (const [nth, slot] of slots.entries()) {
      for (let index = 0; index < POINTS_PER_SLOT; index += 1) {
        expected[nth * POINTS_PER_SLOT + index] = inOne(pointOf(hashes, slot, index), slot);
      }
    }
    expected.sort();
    const taken = Array.from(this.#slots.keys()).filter((place) => this.#slots[place] !== FREE);
    const isAsExpected = (place: number, nth: number) =>
      inOne(this.#points[place]!, this.#slots[place]!) === expected[nth];
    if (taken.length !== expected.length || !taken.every(isAsExpected)) {
      throw new Error('the ring has other points than its slots');
    }
    for (const place of taken) {
      const free = this.#slots.indexOf(FREE, this.#homeOf(this.#points[place]!));
      if (free >= 0 && free < place) throw new Error(`place ${place} can't be found from its home`);
    }
    if (this.#count !== taken.length) throw new Error(`the ring counts ${this.#count} points and has ${taken.length}`);
  }

  #homeOf(point: number): number {
    return Math.floor((point / RING) * this.#homes);
  }

  /** The first place at or behind which `point` of `slot` may stand: what is before it is less. */
  #placeOf(point: number, slot: number): number {
    let place = this.#homeOf(point);
    while (place < this.#slots.length && this.#slots[place] !== FREE) {
      const present = this.#points[place]!;
      if (present > point || (present === point && this.#slots[place]! >= slot)) break;
      place += 1;
    }
    return place;
  }

  #insert(point: number, slot: number): void {
    if (this.#count >= this.#homes * LOAD_MAX) this.#spread(homesFor(this.#count), OVERHANG_MIN);
    const place = this.#placeOf(point, slot);
    const slots = this.#slots;
    const points = this.#points;
    let free = place;
    while (free < slots.length && slots[free] !== FREE) free += 1;
    if (free === slots.length) {
      this.#spread(this.#homes, 2 * (this.#slots.length - this.#homes));
      return this.#insert(point, slot);
    }
    for (let to = free; to > place; to -= 1) {
      points[to] = points[to - 1]!;
      slots[to] = slots[to - 1]!;
    }
    points[place] = point;
    slots[place] = slot;
    this.#count += 1;
  }

  #delete(point: number, slot: number): void {
    let place = this.#placeOf(point, slot);
    if (this.#points[place] !== point || this.#slots[place] !== slot) throw new Error(`slot ${slot} isn't on the ring`);
    // Whatever the point has pushed away from its home comes one nearer.
    for (let next = place + 1; next < this.#slots.length && this.#slots[next] !== FREE; next += 1) {
      if (this.#homeOf(this.#points[next]!) === next) break;
      this.#points[place] = this.#points[next]!;
      this.#slots[place] = this.#slots[next]!;
      place = next;
    }
    this.#slots[place] = FREE;
    this.#count -= 1;
  }

  /** Moves all points to a table of other measures. Their order stays, so it is one pass. */
  #spread(homes: number, overhang: number): void {
    const points = new Uint32Array(homes + overhang);
    const slots = new Int32Array(homes + overhang).fill(FREE);
    let end = 0;
    for (let place = 0; place < this.#slots.length; place += 1) {
      if (this.#slots[place] === FREE) continue;
      end = Math.max(end, Math.floor((this.#points[place]! / RING) * homes));
      if (end === slots.length) return this.#spread(homes, 2 * overhang);
      points[end] = this.#points[place]!;
      slots[end] = this.#slots[place]!;
      end += 1;
    }
    this.#homes = homes;
    this.#points = points;
    this.#slots = slots;
  }
}

function homesFor(points: number): number {
  return Math.max(HOMES_MIN, Math.ceil(points / LOAD_AFTER_GROWTH));
}

function pointOf({ hashes, otherHashes }: RingHashes, slot: number, index: number): number {
  return mixed(hashes[slot]! + Math.imul(otherHashes[slot]! | 1, index));
}
