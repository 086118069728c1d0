/**
 * What a power cut may leave of a disk: for each change of the folder that wasn't synced whether it is there, for each
 * sector and each size one of the versions that it has had since the last sync.
 */
import { SECTOR_BYTES } from '../../journal/batch.ts';
import type { Random } from '../simulation/random.ts';
import { SectorFile, type Version } from './sector-file.ts';
import { DiskState } from './simulated-disk.ts';

/** One thing that is open, and its possible outcomes, the oldest first. */
interface Open {
  /** Names the thing, so that a choice can be told from another one. */
  readonly place: string;
  readonly file?: number;
  /** For each outcome the operation that brings it; 0: as it was. */
  readonly operations: readonly number[];
}

/** For each open thing the index of its outcome. */
type Choice = readonly number[];

/** Up to so many combinations all of them are looked at; of more, the telling ones and some by chance. */
const ALL_MAX = 96;
const DRAWN = 24;

export class CrashImages {
  readonly #state: DiskState;
  readonly #open: readonly Open[];
  readonly #places = new Map<string, number>();
  readonly #openFiles = new Set<number>();

  constructor(state: DiskState) {
    this.#state = state;
    this.#open = [...openIn(state)];
    for (const [index, { place, file }] of this.#open.entries()) {
      this.#places.set(place, index);
      if (file !== undefined) this.#openFiles.add(file);
    }
  }

  /** Each combination once, all of them or a choice that `random` makes. */
  *choices(random: Random): Generator<Choice> {
    const combinations = this.#open.reduce((product, { operations }) => product * operations.length, 1);
    if (combinations > ALL_MAX) yield* this.#someChoices(random);
    else {
      for (let number = 0; number < combinations; number += 1) {
        let rest = number;
        yield this.#open.map(({ operations: { length } }) => {
          const outcome = rest % length;
          rest = (rest - outcome) / length;
          return outcome;
        });
      }
    }
  }

  /** Equal where two disks hold the same as far as a process sees, whatever has become of it on the way there. */
  static contentOf(state: DiskState): string {
    return [...state.namesWith()]
      .map(([name, number]) => `${name} ${state.files.get(number)!.digest}`)
      .sort()
      .join(';');
  }

  /** One image, for each open thing the outcome that `choose` takes of so many. */
  draw(choose: (count: number) => number): DiskState {
    return this.image(this.#open.map(({ operations }) => choose(operations.length)));
  }

  /** As the next process finds it: what is there is durable, what isn't never was. */
  image(choice: Choice): DiskState {
    const names = this.#state.namesWith((_, index) => choice[this.#places.get(`change ${index}`)!] === 1);
    const files = new Map<number, SectorFile>();
    for (const number of names.values()) {
      const file = this.#state.files.get(number);
      if (file) files.set(number, this.#fileOf(file, number, choice));
    }
    return new DiskState(files, names, [], this.#state.operations);
  }

  /** Equal where two images hold the same. */
  static keyOf(image: DiskState): string {
    return [...image.names]
      .map(([name, number]) => `${name} ${contentKey(image.files.get(number)!)}`)
      .sort()
      .join(';');
  }

  *#someChoices(random: Random): Generator<Choice> {
    const operations = [...new Set(this.#open.flatMap((open) => open.operations))].sort((one, other) => one - other);
    const newest = this.#open.map((open) => open.operations.length - 1);
    // In order: everything up to one operation is there, and nothing behind it.
    for (const last of operations) yield this.#open.map((open) => open.operations.findLastIndex((it) => it <= last));
    // Out of order: all but one operation, or nothing but it.
    for (const operation of operations) {
      if (operation === 0) continue;
      yield this.#open.map((open, index) => {
        const outcome = open.operations.indexOf(operation);
        return outcome < 0 ? newest[index]! : outcome - 1;
      });
      yield this.#open.map((open) => Math.max(0, open.operations.indexOf(operation)));
    }
    for (let drawn = 0; drawn < DRAWN; drawn += 1) {
      // From a disk that has hardly begun to one that is nearly done.
      const share = random.next();
      yield this.#open.map((open) => {
        if (random.next() > share) return 0;
        return 1 + random.below(open.operations.length - 1);
      });
    }
  }

  #fileOf(file: SectorFile, number: number, choice: Choice): SectorFile {
    const settled = SETTLED.get(file);
    if (settled) return settled;
    const outcomeOf = <Value>(place: string, versions: readonly Version<Value>[]): Version<Value> => {
      const index = this.#places.get(place);
      return index === undefined ? versions.at(-1)! : distinct(versions)[choice[index]!]!;
    };
    const size = outcomeOf(`size ${number}`, file.sizes);
    const sectors: [number, Version<Buffer>][] = [];
    for (const [sector, versions] of file.sectors) {
      if (sector * SECTOR_BYTES >= size.value) continue;
      sectors.push([sector, outcomeOf(`sector ${number} ${sector}`, versions)]);
    }
    const image = SectorFile.of(size.value, sectors);
    if (!this.#openFiles.has(number)) SETTLED.set(file, image);
    return image;
  }
}

/** What a power cut makes of files in which nothing is open: images by the thousand share them. */
const SETTLED = new WeakMap<SectorFile, SectorFile>();
const CONTENT_KEYS = new WeakMap<SectorFile, string>();

function contentKey(file: SectorFile): string {
  let key = CONTENT_KEYS.get(file);
  if (key === undefined) {
    const sectors = Array.from(file.sectors, ([index, [{ id }]]) => `${index}:${id}`);
    key = `${file.sizeBytes} ${sectors.sort().join()}`;
    CONTENT_KEYS.set(file, key);
  }
  return key;
}

function* openIn(state: DiskState): Generator<Open> {
  for (const [index, { operation }] of state.changes.entries()) {
    yield { place: `change ${index}`, operations: [0, operation] };
  }
  const named = new Set([...state.names.values(), ...state.changes.map(({ file }) => file)]);
  for (const [number, file] of state.files) {
    if (!named.has(number) || SETTLED.has(file)) continue;
    const sizes = distinct(file.sizes);
    if (sizes.length > 1) yield { place: `size ${number}`, file: number, operations: operationsOf(sizes) };
    for (const [sector, held] of file.sectors) {
      const versions = distinct(held);
      if (versions.length === 1) continue;
      yield { place: `sector ${number} ${sector}`, file: number, operations: operationsOf(versions) };
    }
  }
}

function operationsOf(versions: readonly Version<unknown>[]): number[] {
  return versions.map(({ operation }, index) => (index === 0 ? 0 : operation));
}

/** Versions that hold the same are one outcome, as old as the first of them. */
function distinct<Value>(versions: readonly Version<Value>[]): readonly Version<Value>[] {
  if (versions.length === 1) return versions;
  return versions.filter(({ id }, index) => versions.findIndex((version) => version.id === id) === index);
}
