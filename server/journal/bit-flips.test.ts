import { describe, expect, it } from 'vitest';
import { counterReplica, countersOf, JournalRun, snapshotsOf, temporaryFolder } from '../testing/journal-run.ts';
import { readFolder, readOnlyDisk } from '../testing/memory-folder.ts';
import { nodeDisk } from './disk.ts';
import { CorruptJournalError } from './errors.ts';
import { deltaName } from './file-names.ts';
import { recover } from './recover.ts';

const SECTOR = 512;

type Files = Map<string, Buffer>;

describe('every flipped bit', () => {
  it('of a delta is corruption, a cut of its last batch, or changes nothing', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    await run.add('a', 2);
    await run.add('b', 2);
    const files = await readFolder(dir);
    const name = deltaName(1);
    // With a sector of the zeros that follow.
    const bytes = files.get(name)!.subarray(0, SECTOR * 4);
    files.set(name, bytes);
    const a = { a: [2, 2] };
    const both = { a: [2, 2], b: [2, 2] };
    const dataBytes = [0, 1, 2, 3].map((sector) => {
      const inSector = bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR);
      return inSector.findLastIndex((byte) => byte !== 0) + 1;
    });

    await forEachFlip(bytes, async (offset) => {
      const sector = Math.floor(offset / SECTOR);
      const isData = offset % SECTOR < dataBytes[sector]!;
      const outcome = await recovering(files);
      const place = `byte ${offset}`;
      if (sector === 0) expect(outcome, place).toBeInstanceOf(CorruptJournalError);
      else if (sector === 1 && isData) expect(outcome, place).toMatchObject({ file: name, offset: SECTOR });
      else if (sector === 2 && isData) expect(outcome, place).toEqual({ counters: a, cut: true, passedOver: [] });
      else expect(outcome, place).toEqual({ counters: both, cut: sector === 3, passedOver: [] });
    });
  });

  it('of the newest snapshot leads to the one before it', async () => {
    const { files, counters, newest } = await twoSnapshots();
    await forEachFlip(files.get(newest)!, async (offset) => {
      const outcome = await recovering(files);
      expect(outcome, `byte ${offset}`).toEqual({ counters, cut: false, passedOver: [newest] });
    });
  });

  it('of the only snapshot is corruption where the first deltas are gone', async () => {
    const { files, newest } = await twoSnapshots();
    for (const name of files.keys()) if (name < newest) files.delete(name);
    await forEachFlip(files.get(newest)!, async (offset) => {
      expect(await recovering(files), `byte ${offset}`).toBeInstanceOf(CorruptJournalError);
    });
  });
});

async function twoSnapshots() {
  const dir = await temporaryFolder();
  const run = await JournalRun.start(dir, snapshotsOf(dir));
  for (const counter of ['a', 'b', 'c']) {
    await run.add(counter, 2);
    if (counter !== 'c') await run.journal.snapshotNow();
  }
  // Cuts off what is not used of the last segment: it would be read at each of the flips.
  await recover(nodeDisk, dir, counterReplica());
  const files = await readFolder(dir);
  const snapshots = [...files.keys()].filter((name) => name.endsWith('.snapshot')).sort();
  expect(snapshots).toHaveLength(2);
  const counters = { a: [2, 2], b: [2, 2], c: [2, 2] };
  expect(await recovering(files)).toEqual({ counters, cut: false, passedOver: [] });
  return { files, counters, newest: snapshots.at(-1)! };
}

/** What a recovery makes of the files: the state and what it says beside it, or the corruption. */
async function recovering(files: Files) {
  const replica = counterReplica();
  try {
    const { cutTail, badSnapshots } = await recover(readOnlyDisk(files), '', replica, { cut: false });
    return { counters: countersOf(replica), cut: cutTail !== undefined, passedOver: badSnapshots };
  } catch (error) {
    if (error instanceof CorruptJournalError) return error;
    throw error;
  }
}

/** Flips each bit in turn, and back. */
async function forEachFlip(bytes: Buffer, check: (offset: number) => Promise<void>): Promise<void> {
  for (let offset = 0; offset < bytes.length; offset += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      bytes[offset]! ^= 1 << bit;
      await check(offset);
      bytes[offset]! ^= 1 << bit;
    }
  }
}
