/**
 * A disk under our hands. Its folder, like its files (sector-file.ts), remembers what is durable and what is only
 * pending: a name that was made, replaced or removed stays open to a power cut until the folder is synced.
 */
import { basename } from 'node:path';
import type { Disk, DiskFile, OpenMode } from '../../journal/disk.ts';
import { SNAPSHOT_ROOM_NAME } from '../../journal/file-names.ts';
import type { Random } from '../simulation/random.ts';
import { SectorFile } from './sector-file.ts';

/** A change of the folder that no sync has covered yet: what `name` stands for afterwards, and which name goes for it. */
export interface FolderChange {
  readonly operation: number;
  readonly name: string;
  /** undefined: nothing. */
  readonly file: number | undefined;
  readonly gone: string | undefined;
}

/** All that outlives a process: files, names, and what of both is on the way to the platter. */
export class DiskState {
  /** By number; a file has one however it is named. */
  readonly files: Map<number, SectorFile>;
  /** The durable names. */
  readonly names: Map<string, number>;
  /** In their order. */
  changes: readonly FolderChange[];
  operations: number;

  constructor(
    files: Iterable<readonly [number, SectorFile]> = [],
    names: Iterable<readonly [string, number]> = [],
    changes: readonly FolderChange[] = [],
    operations = 0,
  ) {
    this.files = new Map(files);
    this.names = new Map(names);
    this.changes = changes;
    this.operations = operations;
  }

  copy(): DiskState {
    return new DiskState(this.files, this.names, this.changes, this.operations);
  }

  /** As a process sees them; with `isThere`, as a power cut leaves them. */
  namesWith(isThere: (change: FolderChange, index: number) => boolean = () => true): ReadonlyMap<string, number> {
    if (this.changes.length === 0) return this.names;
    const names = new Map(this.names);
    for (const [index, change] of this.changes.entries()) if (isThere(change, index)) apply(names, change);
    return names;
  }

  commitNames(upTo: number, inFlight: ReadonlySet<number>): void {
    const isCovered = ({ operation }: FolderChange) => operation <= upTo && !inFlight.has(operation);
    for (const change of this.changes) if (isCovered(change)) apply(this.names, change);
    this.changes = this.changes.filter((change) => !isCovered(change));
    const named = new Set([...this.names.values(), ...this.changes.map(({ file }) => file)]);
    // A file that lost its name may be open still; then it is written to, and nobody will ever look.
    for (const file of this.files.keys()) if (!named.has(file)) this.files.delete(file);
  }
}

function apply(names: Map<string, number>, { name, file, gone }: FolderChange): void {
  if (gone !== undefined) names.delete(gone);
  if (file === undefined) names.delete(name);
  else names.set(name, file);
}

/** The sync of a file, or a write to one opened with O_DSYNC; of the syncs, those that make a snapshot complete as well. */
export type DurableKind = 'sync' | 'syncOfSnapshot' | 'durableWrite';

/** A change of the disk in its two moments, and what becomes of it where it fails or its process dies in between. */
interface Change {
  /** Those by which a file becomes durable. */
  readonly kinds?: readonly DurableKind[];
  begin(operation: number): void;
  end(operation: number): void;
  fail(operation: number, random: Random): void;
  abandon(operation: number, random: Random): void;
}

interface InFlight {
  readonly change: Change;
  readonly operation: number;
  resolve(): void;
  reject(error: Error): void;
}

export interface SimulatedDiskOptions {
  /** Called before each moment at which something changes: here the power may go. */
  readonly onBoundary?: () => void;
  /** Changes wait to be ended, one at a time, by endOne and failOne. Default: each ends at once. */
  readonly isSlow?: boolean;
}

const DONE = Promise.resolve();

/** A process's hold on the disk: dies with it. */
export class SimulatedDisk implements Disk {
  readonly state: DiskState;
  readonly #options: SimulatedDiskOptions;
  readonly #inFlight: InFlight[] = [];
  #isDead = false;

  constructor(state: DiskState, options: SimulatedDiskOptions = {}) {
    this.state = state;
    this.#options = options;
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  endOne(random: Random): void {
    const [ended] = this.#inFlight.splice(random.below(this.#inFlight.length), 1);
    this.#options.onBoundary?.();
    ended!.change.end(ended!.operation);
    ended!.resolve();
  }

  /** One of a kind, or any one. False where none is in flight. */
  failOne(random: Random, kind: DurableKind | undefined): boolean {
    const failing = this.#inFlight.filter(({ change }) => kind === undefined || change.kinds?.includes(kind));
    if (failing.length === 0) return false;
    const failed = failing[random.below(failing.length)];
    this.#inFlight.splice(this.#inFlight.indexOf(failed!), 1);
    this.#options.onBoundary?.();
    failed!.change.fail(failed!.operation, random);
    failed!.reject(Object.assign(new Error('EIO: simulated'), { code: 'EIO', errno: -5 }));
    return true;
  }

  /** The process is gone: what it had begun has happened in part or not at all, and nothing it waits for ever comes. */
  kill(random: Random): void {
    this.#isDead = true;
    this.#options.onBoundary?.();
    // The youngest first: each is taken back from what the ones before it have left.
    for (const { change, operation } of this.#inFlight.splice(0).reverse()) change.abandon(operation, random);
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (this.#isDead) return never();
    const name = basename(path);
    const file = this.state.namesWith().get(name);
    if (mode === 'read') {
      if (file === undefined) return Promise.reject(missing(path));
      return Promise.resolve(this.#fileOf(file, false));
    }
    const isDurable = mode === 'createDurable';
    if (file !== undefined) {
      const isEmptied = isDurable || mode === 'create';
      return (isEmptied ? this.#truncate(file, 0) : DONE).then(() => this.#fileOf(file, isDurable));
    }
    const made = this.state.operations + 1;
    this.state.files.set(made, SectorFile.of(0));
    return this.#rename({ name, file: made, gone: undefined }).then(() => this.#fileOf(made, isDurable));
  }

  list(): Promise<string[]> {
    return this.#isDead ? never() : Promise.resolve([...this.state.namesWith().keys()]);
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.state.namesWith().get(basename(from));
    if (file === undefined) return Promise.reject(missing(from));
    return this.#rename({ name: basename(to), file, gone: basename(from) });
  }

  remove(path: string): Promise<void> {
    if (!this.state.namesWith().has(basename(path))) return Promise.reject(missing(path));
    return this.#rename({ name: basename(path), file: undefined, gone: undefined });
  }

  makeFolder(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** There is always room. */
  freeBytes(): Promise<number> {
    return Promise.resolve(Number.MAX_SAFE_INTEGER);
  }

  syncFolder(): Promise<void> {
    let inFlight: ReadonlySet<number> = new Set();
    return this.#perform({
      begin: () => {
        inFlight = new Set(this.#inFlight.map(({ operation }) => operation));
      },
      end: (operation) => this.state.commitNames(operation, inFlight),
      fail: () => undefined,
      abandon: () => undefined,
    });
  }

  #perform(change: Change): Promise<void> {
    if (this.#isDead) return never();
    this.#options.onBoundary?.();
    this.state.operations += 1;
    const { operations: operation } = this.state;
    change.begin(operation);
    if (this.#options.isSlow) {
      return new Promise((resolve, reject) => this.#inFlight.push({ change, operation, resolve, reject }));
    }
    this.#options.onBoundary?.();
    change.end(operation);
    return DONE;
  }

  /** A name is there or not: no power cut and no error leaves half of it. */
  #rename(change: Omit<FolderChange, 'operation'>): Promise<void> {
    const takeBack = (operation: number) => {
      this.state.changes = this.state.changes.filter((made) => made.operation !== operation);
    };
    return this.#perform({
      begin: (operation) => {
        this.state.changes = [...this.state.changes, { operation, ...change }];
      },
      end: () => undefined,
      fail: takeBack,
      abandon: (operation, random) => {
        if (random.below(2) === 0) takeBack(operation);
      },
    });
  }

  #truncate(file: number, sizeBytes: number): Promise<void> {
    const update = (change: (file: SectorFile) => SectorFile) => this.#update(file, change);
    return this.#perform({
      begin: (operation) => update((bytes) => bytes.truncate(sizeBytes, operation)),
      end: () => undefined,
      fail: (operation) => update((bytes) => bytes.undo(operation, 0)),
      abandon: () => undefined,
    });
  }

  #write(file: number, bytes: Uint8Array, offset: number, isDurable: boolean): Promise<void> {
    const update = (change: (file: SectorFile) => SectorFile) => this.#update(file, change);
    // Any part of it, from its beginning on: so the kernel takes it from a process.
    const keepSome = (operation: number, random: Random) => {
      update((held) => held.undo(operation, offset + random.below(bytes.length + 1)));
    };
    return this.#perform({
      ...(isDurable ? { kinds: ['durableWrite' as const] } : {}),
      begin: (operation) => update((held) => held.write(bytes, offset, operation)),
      end: (operation) => {
        if (isDurable) update((held) => held.commit(operation, true));
      },
      fail: (operation, random) => {
        // The whole of it stays readable as often as not: it is the disk behind the cache that failed.
        if (random.below(2) === 0) keepSome(operation, random);
        update((held) => held.fail(operation, true));
      },
      abandon: (operation, random) => {
        if (random.below(2) === 0) keepSome(operation, random);
      },
    });
  }

  #sync(file: number): Promise<void> {
    return this.#perform({
      kinds: this.#isSnapshot(file) ? ['sync', 'syncOfSnapshot'] : ['sync'],
      begin: () => undefined,
      end: (operation) => this.#update(file, (held) => held.commit(operation, false)),
      fail: (operation) => this.#update(file, (held) => held.fail(operation, false)),
      abandon: () => undefined,
    });
  }

  /** Not the zeros of the room that is held for the next one. */
  #isSnapshot(file: number): boolean {
    const isFilled = (this.state.files.get(file)?.sectors.size ?? 0) > 0;
    return isFilled && this.state.namesWith().get(SNAPSHOT_ROOM_NAME) === file;
  }

  #update(file: number, change: (file: SectorFile) => SectorFile): void {
    const held = this.state.files.get(file);
    if (held) this.state.files.set(file, change(held));
  }

  #fileOf(file: number, isDurable: boolean): DiskFile {
    // Kept here too: a file that has lost its name can be read through what holds it open.
    const opened = this.state.files.get(file)!;
    const held = () => this.state.files.get(file) ?? opened;
    return {
      sizeBytes: () => (this.#isDead ? never() : Promise.resolve(held().sizeBytes)),
      read: (into, offset) => (this.#isDead ? never() : Promise.resolve(held().read(into, offset))),
      write: (bytes, offset) => this.#write(file, bytes, offset, isDurable),
      truncate: (sizeBytes) => this.#truncate(file, sizeBytes),
      sync: () => this.#sync(file),
      close: () => (this.#isDead ? never() : DONE),
    };
  }
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', errno: -2 });
}

/** A new one each time: what waits for it goes with it. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
