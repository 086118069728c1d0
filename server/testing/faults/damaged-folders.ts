/** Sound folders of two generations, and every way of damaging them in one place. */
import { Replica } from '../../coordinator/replica.ts';
import { SECTOR_BYTES } from '../../journal/batch.ts';
import { buildSnapshot } from '../../journal/build-snapshot.ts';
import { deltaName, snapshotName } from '../../journal/file-names.ts';
import { openJournal } from '../../journal/journal.ts';
import { recover } from '../../journal/recover.ts';
import { Random } from '../simulation/random.ts';
import { stateText } from './journal-history.ts';
import { DIR, journalOptions } from './journal-lives.ts';
import { leaseLoad, STILL_UTC_MS } from './journal-load.ts';
import { DiskState, SimulatedDisk } from './simulated-disk.ts';

export type Files = ReadonlyMap<string, Buffer>;

/** The journal behind one batch. */
export interface Place {
  readonly position: number;
  readonly state: string;
}

export interface SoundFolder {
  readonly name: string;
  readonly files: Files;
  /** Nothing was being written when it ended. */
  readonly isStopped: boolean;
  /** Where the last segment begins, then each batch of it; the last is the end. */
  readonly places: readonly Place[];
  readonly lastDelta: string;
  /** Files that are cut and flipped bit by bit: those that a start from this folder reads, and from no other one here. */
  readonly swept: readonly string[];
}

export interface Damage {
  readonly what: string;
  readonly files: Files;
  /** Of the last segment the end is gone, or all of it: nothing that is left tells of it. */
  readonly isEndGone: boolean;
}

const DELTA = /^\d{20}\.delta$/;
const POSITIONED = /^(\d{20})\.(delta|snapshot)$/;
const BITS = 8;

/** Two snapshots and the segments from the older on; the same once more after a clean stop, and with one snapshot only. */
export async function soundFolders(seed: number): Promise<readonly SoundFolder[]> {
  const killed = await makeFolder(seed, false);
  const stopped = await makeFolder(seed, true);
  const newest = [...killed.files.keys()]
    .filter((name) => name.endsWith('.snapshot'))
    .sort()
    .at(-1)!;
  const files = new Map(killed.files);
  files.delete(newest);
  const { lastDelta } = killed;
  const others = [...stopped.files.keys()].filter((name) => !POSITIONED.test(name));
  return [
    { ...killed, swept: [newest, lastDelta] },
    { ...stopped, swept: [lastDelta, ...others] },
    { ...killed, name: 'killed, one snapshot', files, swept: [...files.keys()].filter((name) => name !== lastDelta) },
  ];
}

async function makeFolder(seed: number, isStopped: boolean): Promise<Omit<SoundFolder, 'swept'>> {
  const random = new Random(seed);
  const disk = new SimulatedDisk(new DiskState());
  const replica = new Replica([leaseLoad.domain]);
  const recovered = await recover(disk, DIR, replica);
  let nowMs = 1_000;
  let isSnapshotMade = true;
  const journal = await openJournal({
    ...journalOptions(disk, recovered, () => nowMs),
    takeSnapshot: async ({ upToPosition }) => {
      if (!isSnapshotMade) throw new Error('only to begin a new segment');
      return buildSnapshot(disk, DIR, new Replica([leaseLoad.domain]), upToPosition);
    },
  });
  let position = 0;
  let places: Place[] = [];
  const append = async (count: number) => {
    places = [{ position, state: stateText(replica) }];
    for (let left = count; left > 0; left -= 1) {
      nowMs += 100;
      const context = { epoch: 1, nowMs, random };
      const { eventCount, payload } = leaseLoad[position === 0 ? 'first' : 'next'](replica, context);
      const times = { clockMs: nowMs, utcMs: STILL_UTC_MS };
      await journal.append({ position: position + 1, eventCount, epoch: 1, ...times, payload }, position);
      position += eventCount;
      places.push({ position, state: stateText(replica) });
    }
  };
  await append(2);
  await journal.snapshotNow();
  await append(2);
  isSnapshotMade = false;
  await journal.snapshotNow().catch(() => undefined);
  isSnapshotMade = true;
  await append(2);
  await journal.snapshotNow();
  await append(3);
  const lastDelta = deltaName(places[0]!.position + 1);
  if (isStopped) {
    await journal.close();
    places.push({ position: position + 1, state: places.at(-1)!.state });
  }
  const files = contentsOf(disk.state);
  // Of the zeros that were prepared, a sector: they are all the same, and each bit of them would be flipped.
  const bytes = files.get(lastDelta)!;
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  if (!isStopped) files.set(lastDelta, bytes.subarray(0, (Math.ceil(end / SECTOR_BYTES) + 1) * SECTOR_BYTES));
  return { name: isStopped ? 'stopped' : 'killed', files, isStopped, places, lastDelta };
}

function contentsOf(state: DiskState): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [name, number] of state.namesWith()) {
    const file = state.files.get(number)!;
    const bytes = Buffer.alloc(file.sizeBytes);
    file.read(bytes, 0);
    if (!name.endsWith('.tmp')) files.set(name, bytes);
  }
  return files;
}

/** Whole files and whole sectors: few, and they show the most. */
export function* misplacements(folder: SoundFolder): Generator<Damage> {
  yield* misplacedFiles(folder);
  yield* misplacedSectors(folder);
}

/** Each length and each bit. */
export function* cutsAndFlips(folder: SoundFolder): Generator<Damage> {
  for (const name of folder.swept) {
    const bytes = folder.files.get(name)!;
    for (let length = 0; length < bytes.length; length += 1) {
      const isEndGone = name === folder.lastDelta;
      yield {
        what: `${name} ends at byte ${length}`,
        files: withFile(folder, name, bytes.subarray(0, length)),
        isEndGone,
      };
    }
  }
  for (const name of folder.swept) {
    const bytes = folder.files.get(name)!;
    for (let bit = 0; bit < bytes.length * BITS; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[Math.floor(bit / BITS)]! ^= 1 << (bit % BITS);
      const what = `bit ${bit % BITS} of byte ${Math.floor(bit / BITS)} of ${name} is flipped`;
      yield { what, files: withFile(folder, name, flipped), isEndGone: false };
    }
  }
}

function* misplacedFiles(folder: SoundFolder): Generator<Damage> {
  const names = [...folder.files.keys()];
  for (const name of names) {
    const files = new Map(folder.files);
    files.delete(name);
    yield { what: `${name} is missing`, files, isEndGone: name === folder.lastDelta };
  }
  for (const [index, name] of names.entries()) {
    for (const other of names.slice(index + 1)) {
      const files = new Map(folder.files).set(name, folder.files.get(other)!).set(other, folder.files.get(name)!);
      yield { what: `${name} and ${other} are swapped`, files, isEndGone: false };
    }
  }
  const positions = names.flatMap((name) => POSITIONED.exec(name)?.[1] ?? []).map(Number);
  const end = folder.places.at(-1)!.position;
  for (const [name, bytes] of folder.files) {
    for (const position of new Set([...positions, 0, 1, end, end + 1, ...positions.map((it) => it + 1)])) {
      for (const copy of [deltaName(position), snapshotName(position)]) {
        if (folder.files.has(copy)) continue;
        yield { what: `${name} stands also as ${copy}`, files: withFile(folder, copy, bytes), isEndGone: false };
      }
    }
  }
}

/** A write that was lost, and one that went to another's place. */
function* misplacedSectors(folder: SoundFolder): Generator<Damage> {
  const sectors = [...folder.files].flatMap(([name, bytes]) =>
    Array.from({ length: Math.floor(bytes.length / SECTOR_BYTES) }, (_, index) => {
      const value = bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
      return { what: `sector ${index} of ${name}`, value };
    }),
  );
  sectors.push({ what: 'zeros', value: Buffer.alloc(SECTOR_BYTES) });
  for (const [name, bytes] of folder.files) {
    if (!DELTA.test(name)) continue;
    for (let at = 0; at + SECTOR_BYTES <= bytes.length; at += SECTOR_BYTES) {
      for (const { what, value } of sectors) {
        const damaged = Buffer.from(bytes);
        value.copy(damaged, at);
        const where = `sector ${at / SECTOR_BYTES} of ${name}`;
        if (where !== what)
          yield { what: `${where} holds ${what}`, files: withFile(folder, name, damaged), isEndGone: false };
      }
    }
  }
}

function withFile({ files }: SoundFolder, name: string, bytes: Buffer): Files {
  return new Map(files).set(name, bytes);
}
