/** Data folders with one thing wrong in each: what the offline tools must find, and where. */
import { appendFile, copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 as crcOf } from 'node:zlib';
import { Replica } from '../coordinator/replica.ts';
import { decodeBatch, encodeBatch, frameBytesOf } from '../journal/batch.ts';
import { nodeDisk } from '../journal/disk.ts';
import type { FaultKind } from '../journal/fault.ts';
import { decodeDeltaHeader, decodeSnapshotHeader, encodeDeltaHeader } from '../journal/file-header.ts';
import { packValue } from '../journal/msgpack.ts';
import { recover } from '../journal/recover.ts';
import { writeSnapshot } from '../journal/snapshot.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { makeHistory, makeTraffic } from './lease-folders.ts';

const SECTOR = 512;

/** The files of `makeGenerations`, oldest first. */
export interface Generations {
  readonly dir: string;
  readonly oldSnapshot: string;
  /** Full: batches of one sector each. */
  readonly oldDelta: string;
  /** One batch, up to the new snapshot. */
  readonly shortDelta: string;
  readonly newSnapshot: string;
  /** Full. */
  readonly newDelta: string;
  /** One batch; still open. */
  readonly lastDelta: string;
  /** Of the last event. */
  readonly lastPosition: number;
}

/** Two snapshots, the deltas since the older of them, and no clean stop: `stop` leaves one. */
export async function makeGenerations(dir: string, { stop = false } = {}): Promise<Generations> {
  const { run } = await makeHistory(dir);
  await run.snapshot();
  await makeTraffic(run, 20);
  await run.snapshot();
  await makeTraffic(run, 20);
  if (stop) await run.stop();
  const names = (await readdir(dir)).sort();
  const [oldSnapshot, newSnapshot] = names.filter((name) => name.endsWith('.snapshot'));
  const [oldDelta, shortDelta, newDelta, lastDelta] = names.filter((name) => name.endsWith('.delta'));
  const lastPosition = run.position + (stop ? 1 : 0);
  return {
    dir,
    oldSnapshot: oldSnapshot!,
    oldDelta: oldDelta!,
    shortDelta: shortDelta!,
    newSnapshot: newSnapshot!,
    newDelta: newDelta!,
    lastDelta: lastDelta!,
    lastPosition,
  };
}

export interface Damage {
  readonly name: string;
  readonly damage: (files: Generations) => Promise<void>;
  /** All that is wrong then. */
  readonly faults: (files: Generations) => readonly (readonly [file: string, offset: number, kind: FaultKind])[];
  /** Position up to which a repair leads; `refused`: there must be none. */
  readonly repairedTo: ((files: Generations) => number) | 'refused';
}

const all = ({ lastPosition }: Generations) => lastPosition;
const upTo = (name: string) => Number.parseInt(name, 10);

export const DAMAGES: readonly Damage[] = [
  {
    name: 'a flipped bit in the header of a delta',
    damage: ({ dir, newDelta }) => flip(dir, newDelta, 20),
    faults: ({ newDelta }) => [[newDelta, 0, 'bad_header']],
    repairedTo: all,
  },
  {
    name: 'a flipped bit in the header of a snapshot',
    damage: ({ dir, newSnapshot }) => flip(dir, newSnapshot, 40),
    faults: ({ newSnapshot }) => [[newSnapshot, 0, 'bad_header']],
    repairedTo: all,
  },
  {
    name: 'a segment of a newer format',
    async damage({ dir, lastDelta }) {
      const bytes = await readFile(join(dir, lastDelta));
      bytes.writeUInt32LE(2, 8);
      bytes.writeUInt32LE(crcOf(bytes.subarray(0, 48)), 48);
      await writeFile(join(dir, lastDelta), bytes);
    },
    faults: ({ lastDelta }) => [[lastDelta, 0, 'newer_version']],
    repairedTo: 'refused',
  },
  {
    name: 'a segment of other data',
    async damage({ dir, lastDelta }) {
      const bytes = await readFile(join(dir, lastDelta));
      const header = decodeDeltaHeader(bytes, lastDelta)!;
      bytes.set(encodeDeltaHeader({ ...header, dataId: new Uint8Array(16).fill(9) }));
      await writeFile(join(dir, lastDelta), bytes);
    },
    faults: ({ lastDelta }) => [[lastDelta, 0, 'foreign_data']],
    repairedTo: ({ lastDelta }) => upTo(lastDelta) - 1,
  },
  {
    name: 'a flipped bit in a chunk of the newest snapshot, and bytes behind its end',
    async damage({ dir, newSnapshot }) {
      await flip(dir, newSnapshot, SECTOR + 100);
      await appendFile(join(dir, newSnapshot), 'x');
    },
    // The end holds the CRCs of the chunks as they are in the file: only the chunk itself disagrees.
    faults: ({ newSnapshot }) => [
      [newSnapshot, SECTOR, 'bad_snapshot'],
      [newSnapshot, -2, 'bad_snapshot'],
    ],
    repairedTo: all,
  },
  {
    name: 'two bad batches with good ones behind',
    async damage({ dir, newDelta }) {
      await flip(dir, newDelta, 3 * SECTOR + 60);
      await flip(dir, newDelta, 7 * SECTOR + 10);
    },
    faults: ({ newDelta }) => [
      [newDelta, 3 * SECTOR, 'bad_batch'],
      [newDelta, 7 * SECTOR, 'bad_batch'],
    ],
    repairedTo: ({ newDelta }) => upTo(newDelta) + 1,
  },
  {
    name: 'a bad batch in the older generation',
    damage: ({ dir, oldDelta }) => flip(dir, oldDelta, 3 * SECTOR + 60),
    faults: ({ oldDelta }) => [[oldDelta, 3 * SECTOR, 'bad_batch']],
    repairedTo: all,
  },
  {
    name: 'a bad last batch of a segment that has a successor',
    damage: ({ dir, newDelta }) => flip(dir, newDelta, 39 * SECTOR + 3),
    faults: ({ newDelta }) => [[newDelta, 39 * SECTOR, 'bad_batch']],
    repairedTo: ({ lastDelta }) => upTo(lastDelta) - 2,
  },
  {
    name: 'a segment that is missing',
    damage: ({ dir, newDelta }) => rm(join(dir, newDelta)),
    faults: ({ lastDelta }) => [[lastDelta, 0, 'gap']],
    repairedTo: ({ newSnapshot }) => upTo(newSnapshot),
  },
  {
    name: 'a segment that does not follow from the one before',
    async damage({ dir, lastDelta }) {
      const bytes = await readFile(join(dir, lastDelta));
      bytes.set(encodeDeltaHeader({ ...decodeDeltaHeader(bytes, lastDelta)!, previousCrc: 1 }));
      await writeFile(join(dir, lastDelta), bytes);
    },
    faults: ({ lastDelta }) => [
      [lastDelta, 0, 'broken_chain'],
      [lastDelta, SECTOR, 'broken_chain'],
    ],
    repairedTo: ({ lastDelta }) => upTo(lastDelta) - 1,
  },
  {
    name: 'bytes that fill up a sector and are not zero',
    damage: ({ dir, newDelta }) => flip(dir, newDelta, 3 * SECTOR - 7),
    faults: ({ newDelta }) => [[newDelta, 3 * SECTOR - 7, 'padding']],
    repairedTo: all,
  },
  {
    name: 'a batch whose events do not fit the state',
    async damage({ dir, lastDelta }) {
      const bytes = await readFile(join(dir, lastDelta));
      const { batch, previousCrc } = decodeBatch(bytes, SECTOR)!;
      const payload = packValue(['lease', 'LeaseRenewed', 1, 4_000, 1_000, false, 1_000]);
      const into = Buffer.alloc(frameBytesOf(payload.length));
      bytes.set(encodeBatch(into, { ...batch, payload }, previousCrc, false).bytes, SECTOR);
      await writeFile(join(dir, lastDelta), bytes);
    },
    faults: ({ lastDelta }) => [[lastDelta, SECTOR, 'bad_events']],
    repairedTo: ({ lastDelta }) => upTo(lastDelta) - 1,
  },
  {
    name: 'a sound snapshot of another state',
    async damage({ dir, newSnapshot }) {
      const replica = new Replica([leaseDomain]);
      await recover(nodeDisk, dir, replica, { cut: false, upTo: upTo(newSnapshot) });
      const header = decodeSnapshotHeader(await readFile(join(dir, newSnapshot)), newSnapshot)!;
      const records = [...replica.encode()].filter(([, record]) => (record as unknown[])[0] !== 'ended');
      await rm(join(dir, newSnapshot));
      await writeSnapshot(nodeDisk, dir, header, records);
    },
    faults: ({ newSnapshot }) => [[newSnapshot, 0, 'other_state']],
    repairedTo: 'refused',
  },
  {
    name: 'deltas that end before the newest snapshot',
    async damage({ dir, shortDelta, newDelta, lastDelta }) {
      for (const name of [shortDelta, newDelta, lastDelta]) await rm(join(dir, name));
    },
    faults: ({ newSnapshot }) => [[newSnapshot, 0, 'unreached']],
    repairedTo: ({ newSnapshot }) => upTo(newSnapshot),
  },
  {
    name: 'no sound snapshot, and deltas that begin later',
    async damage({ dir, oldSnapshot, newSnapshot }) {
      for (const name of [oldSnapshot, newSnapshot]) await flip(dir, name, SECTOR + 50);
    },
    faults: ({ oldSnapshot, newSnapshot, oldDelta }) => [
      [oldSnapshot, SECTOR, 'bad_snapshot'],
      [newSnapshot, SECTOR, 'bad_snapshot'],
      [oldDelta, 0, 'unreached'],
    ],
    repairedTo: 'refused',
  },
];

/** Inverts a byte. */
export async function flip(dir: string, name: string, offset: number): Promise<void> {
  const bytes = await readFile(join(dir, name));
  bytes[offset]! ^= 0xff;
  await writeFile(join(dir, name), bytes);
}

/** The same files in another folder, which is there and empty. */
export async function copyOf(files: Generations, dir: string): Promise<Generations> {
  for (const name of await readdir(files.dir)) await copyFile(join(files.dir, name), join(dir, name));
  return { ...files, dir };
}
