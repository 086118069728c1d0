/**
 * A file as a power cut sees it: each sector, and the size, is a list of what it has held since it was last surely on
 * disk. Whoever reads gets the newest; a power cut leaves any one of them, each sector for itself. That alone is
 * everything a disk may do with writes that were not synced: drop them, tear them at 512 bytes, reorder them, and put
 * the length there without the data.
 */
import { crc32 } from 'node:zlib';
import { SECTOR_BYTES } from '../../journal/batch.ts';

/** What a sector, or the size, may be found to hold. */
export interface Version<Value> {
  readonly value: Value;
  /** Number of the operation that made it; 0: as the file began. */
  readonly operation: number;
  /** The same for the same value in the same place. */
  readonly id: number;
  /** The disk has said that it failed: it can be read back, and no later sync makes it durable. */
  readonly isStale: boolean;
}

/** Never empty. Invariant: the first is durable. */
export type Versions<Value> = readonly [Version<Value>, ...Version<Value>[]];

const ZEROS = Buffer.alloc(SECTOR_BYTES);
const EMPTY_SECTOR: Versions<Buffer> = [{ value: ZEROS, operation: 0, id: 0, isStale: false }];

/** Never changed: each change gives a new one that shares what is the same. So a disk is copied at next to no cost. */
export class SectorFile {
  readonly sizes: Versions<number>;
  readonly #sectors: readonly Versions<Buffer>[];
  /** All of it in one piece, once somebody has read much of it: many images share one file. */
  #bytes: Buffer | undefined;
  #crc: number | undefined;

  private constructor(sizes: Versions<number>, sectors: readonly Versions<Buffer>[]) {
    this.sizes = sizes;
    this.#sectors = sectors;
  }

  /** All of it durable. `ids` name the sectors' contents. */
  static of(sizeBytes: number, sectors: readonly Buffer[], ids: readonly number[]): SectorFile {
    return new SectorFile(
      [{ value: sizeBytes, operation: 0, id: sizeBytes, isStale: false }],
      sectors.map((value, index) => [{ value, operation: 0, id: ids[index]!, isStale: false }]),
    );
  }

  /** Also behind the newest size: a power cut may leave a longer file. */
  get sectorCount(): number {
    return this.#sectors.length;
  }

  get sizeBytes(): number {
    return this.sizes.at(-1)!.value;
  }

  /** Of all of it as it is read. */
  get crc(): number {
    this.#bytes ??= this.#newest();
    this.#crc ??= crc32(this.#bytes);
    return this.#crc;
  }

  sector(index: number): Versions<Buffer> {
    return this.#sectors[index] ?? EMPTY_SECTOR;
  }

  read(into: Uint8Array, offset: number): number {
    this.#bytes ??= this.#newest();
    return this.#bytes.copy(into, 0, offset, Math.min(offset + into.length, this.#bytes.length));
  }

  write(bytes: Uint8Array, offset: number, operation: number): SectorFile {
    const sectors = this.#grownTo(offset + bytes.length);
    for (let at = offset; at < offset + bytes.length; ) {
      const start = at % SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - start, offset + bytes.length - at);
      const index = (at - start) / SECTOR_BYTES;
      const sector = Buffer.from(sectors[index]!.at(-1)!.value);
      sector.set(bytes.subarray(at - offset, at - offset + count), start);
      sectors[index] = withValue(sectors[index]!, sector, operation);
      at += count;
    }
    return new SectorFile(this.#sizedTo(Math.max(this.sizeBytes, offset + bytes.length), operation), sectors);
  }

  truncate(sizeBytes: number, operation: number): SectorFile {
    const sectors = this.#grownTo(sizeBytes);
    for (let index = Math.floor(sizeBytes / SECTOR_BYTES); index < sectors.length; index += 1) {
      const sector = Buffer.alloc(SECTOR_BYTES);
      sector.set(sectors[index]!.at(-1)!.value.subarray(0, Math.max(0, sizeBytes - index * SECTOR_BYTES)));
      sectors[index] = withValue(sectors[index]!, sector, operation);
    }
    return new SectorFile(this.#sizedTo(sizeBytes, operation), sectors);
  }

  /** What was written up to `operation` is on disk for good; with `only`, what that one operation wrote. */
  commit(operation: number, only: boolean): SectorFile {
    const isMeant = (version: Version<unknown>) =>
      !version.isStale && (only ? version.operation === operation : version.operation <= operation);
    return this.#map((versions) => {
      const last = versions.findLastIndex(isMeant);
      return last > 0 ? tail(versions, last) : versions;
    });
  }

  /** As commit, for a disk that answers with an error: what was written is there to be read, and never durable. */
  fail(operation: number, only: boolean): SectorFile {
    return this.#map((versions) => {
      const [durable, ...rest] = versions;
      if (!rest.some((version) => (only ? version.operation === operation : version.operation <= operation)))
        return versions;
      return [
        durable,
        ...rest.map((version) => {
          const isMeant = only ? version.operation === operation : version.operation <= operation;
          return isMeant ? { ...version, isStale: true } : version;
        }),
      ];
    });
  }

  /** Takes back what `operation` wrote, but for the first `keptBytes` of the file. */
  undo(operation: number, keptBytes: number): SectorFile {
    const sectors = this.#sectors.map((versions, index) =>
      index * SECTOR_BYTES < keptBytes ? versions : without(versions, operation),
    );
    const before = without(this.sizes, operation).at(-1)!.value;
    const kept = new SectorFile(without(this.sizes, operation), sectors);
    const sizeBytes = Math.min(this.sizeBytes, keptBytes);
    return sizeBytes > before ? new SectorFile(kept.#sizedTo(sizeBytes, operation), sectors) : kept;
  }

  #newest(): Buffer {
    const bytes = Buffer.alloc(this.sizeBytes);
    for (const [index, versions] of this.#sectors.entries()) versions.at(-1)!.value.copy(bytes, index * SECTOR_BYTES);
    return bytes;
  }

  #grownTo(sizeBytes: number): Versions<Buffer>[] {
    const sectors = [...this.#sectors];
    while (sectors.length * SECTOR_BYTES < sizeBytes) sectors.push(EMPTY_SECTOR);
    return sectors;
  }

  #sizedTo(value: number, operation: number): Versions<number> {
    return value === this.sizeBytes ? this.sizes : [...this.sizes, { value, operation, id: value, isStale: false }];
  }

  #map(change: <Value>(versions: Versions<Value>) => Versions<Value>): SectorFile {
    return new SectorFile(change(this.sizes), this.#sectors.map(change));
  }
}

function withValue(versions: Versions<Buffer>, value: Buffer, operation: number): Versions<Buffer> {
  const same = versions.find((version) => version.value.equals(value));
  // The sectors that one operation writes differ in their place.
  const id = value.equals(ZEROS) ? 0 : (same?.id ?? operation);
  return [...versions, { value, operation, id, isStale: false }];
}

function without<Value>(versions: Versions<Value>, operation: number): Versions<Value> {
  return versions.filter((version, index) => index === 0 || version.operation !== operation) as unknown as Versions<Value>;
}

function tail<Value>(versions: Versions<Value>, from: number): Versions<Value> {
  return versions.slice(from) as unknown as Versions<Value>;
}
