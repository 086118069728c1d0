/**
 * A file as a power cut sees it: each sector, and the size, is a list of what it has held since it was last surely on
 * disk. Whoever reads gets the newest; a power cut leaves any one of them, each sector for itself. That alone is
 * everything a disk may do with writes that were not synced: drop them, tear them at 512 bytes, reorder them, and put
 * the length there without the data.
 */
import { hash } from 'node:crypto';
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
const ZEROS_ID = 0;
const EMPTY_SECTOR: Versions<Buffer> = [{ value: ZEROS, operation: 0, id: ZEROS_ID, isStale: false }];

/** Never changed: each change gives a new one that shares what is the same. So a disk is copied at next to no cost. */
export class SectorFile {
  readonly sizes: Versions<number>;
  /** Those that aren't zeros and never were anything else. */
  readonly #sectors: ReadonlyMap<number, Versions<Buffer>>;
  /** All of it in one piece, once somebody has read much of it: many images share one file. */
  #bytes: Buffer | undefined;
  #digest: string | undefined;

  private constructor(sizes: Versions<number>, sectors: ReadonlyMap<number, Versions<Buffer>>) {
    this.sizes = sizes;
    this.#sectors = sectors;
  }

  /** All of it durable. */
  static of(sizeBytes: number, sectors: Iterable<readonly [number, Version<Buffer>]> = []): SectorFile {
    const held = new Map<number, Versions<Buffer>>();
    for (const [index, version] of sectors) {
      if (version.id !== ZEROS_ID) held.set(index, [{ ...version, operation: 0, isStale: false }]);
    }
    return new SectorFile([{ value: sizeBytes, operation: 0, id: sizeBytes, isStale: false }], held);
  }

  get sizeBytes(): number {
    return this.sizes.at(-1)!.value;
  }

  /** Of all of it as it is read. No CRC: where batches end in their own, that of the whole says next to nothing. */
  get digest(): string {
    this.#bytes ??= this.#newest();
    this.#digest ??= hash('sha1', this.#bytes, 'base64');
    return this.#digest;
  }

  /** By their place; those that are missing are zeros. */
  get sectors(): ReadonlyMap<number, Versions<Buffer>> {
    return this.#sectors;
  }

  read(into: Uint8Array, offset: number): number {
    this.#bytes ??= this.#newest();
    return this.#bytes.copy(into, 0, offset, Math.min(offset + into.length, this.#bytes.length));
  }

  write(bytes: Uint8Array, offset: number, operation: number): SectorFile {
    const sectors = new Map(this.#sectors);
    for (let at = offset; at < offset + bytes.length; ) {
      const start = at % SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - start, offset + bytes.length - at);
      const index = (at - start) / SECTOR_BYTES;
      const sector = Buffer.from(sectors.get(index)?.at(-1)!.value ?? ZEROS);
      sector.set(bytes.subarray(at - offset, at - offset + count), start);
      setSector(sectors, index, sector, operation);
      at += count;
    }
    return new SectorFile(this.#sizedTo(Math.max(this.sizeBytes, offset + bytes.length), operation), sectors);
  }

  truncate(sizeBytes: number, operation: number): SectorFile {
    const sectors = new Map(this.#sectors);
    for (const [index, versions] of this.#sectors) {
      const keptBytes = Math.max(0, sizeBytes - index * SECTOR_BYTES);
      if (keptBytes >= SECTOR_BYTES) continue;
      const sector = Buffer.alloc(SECTOR_BYTES);
      sector.set(versions.at(-1)!.value.subarray(0, keptBytes));
      setSector(sectors, index, sector, operation);
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
    const sectors = new Map(this.#sectors);
    for (const [index, versions] of this.#sectors) {
      if (index * SECTOR_BYTES >= keptBytes) sectors.set(index, without(versions, operation));
    }
    const before = without(this.sizes, operation).at(-1)!.value;
    const kept = new SectorFile(without(this.sizes, operation), sectors);
    const sizeBytes = Math.min(this.sizeBytes, keptBytes);
    return sizeBytes > before ? new SectorFile(kept.#sizedTo(sizeBytes, operation), sectors) : kept;
  }

  #newest(): Buffer {
    const bytes = Buffer.alloc(this.sizeBytes);
    for (const [index, versions] of this.#sectors) versions.at(-1)!.value.copy(bytes, index * SECTOR_BYTES);
    return bytes;
  }

  #sizedTo(value: number, operation: number): Versions<number> {
    return value === this.sizeBytes ? this.sizes : [...this.sizes, { value, operation, id: value, isStale: false }];
  }

  #map(change: <Value>(versions: Versions<Value>) => Versions<Value>): SectorFile {
    const sectors = new Map<number, Versions<Buffer>>();
    for (const [index, versions] of this.#sectors) sectors.set(index, change(versions));
    return new SectorFile(change(this.sizes), sectors);
  }
}

function setSector(sectors: Map<number, Versions<Buffer>>, index: number, value: Buffer, operation: number): void {
  const versions = sectors.get(index) ?? EMPTY_SECTOR;
  const isZeros = value.equals(ZEROS);
  if (isZeros && versions === EMPTY_SECTOR) return;
  const same = versions.find((version) => version.value.equals(value));
  // The sectors that one operation writes differ in their place.
  sectors.set(index, [
    ...versions,
    { value, operation, id: isZeros ? ZEROS_ID : (same?.id ?? operation), isStale: false },
  ]);
}

function without<Value>(versions: Versions<Value>, operation: number): Versions<Value> {
  return versions.filter(
    (version, index) => index === 0 || version.operation !== operation,
  ) as unknown as Versions<Value>;
}

function tail<Value>(versions: Versions<Value>, from: number): Versions<Value> {
  return versions.slice(from) as unknown as Versions<Value>;
}
