import { copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { counterReplica, countersOf, JournalRun, temporaryFolder } from '../testing/journal-run.ts';
import { type Disk, nodeDisk } from './disk.ts';
import { CorruptJournalError, UnknownFormatError } from './errors.ts';
import { decodeDeltaHeader, encodeDeltaHeader } from './file-header.ts';
import { deltaName } from './file-names.ts';
import { type Recovered, type RecoverOptions, recover } from './recover.ts';

const SECTOR = 512;
const LAST_BATCH_EVENTS = 24;
/** Header, payload and CRC of the batch that marks a clean stop. */
const CLEAN_STOP_BYTES = 48 + 22 + 4;

describe('recovery of a torn tail', () => {
  it('cuts and reports the last batch at every length that is left of it', { timeout: 60_000 }, async () => {
    const { dir, file, bytes, lastOffset, lastEnd } = await twoBatches();
    expect(lastEnd).toBeGreaterThan(lastOffset + SECTOR);
    expect(lastEnd).toBeLessThan(bytes.length);
    for (let left = 0; lastOffset + left <= bytes.length; left += 1) {
      await writeFile(file, bytes.subarray(0, lastOffset + left));
      const { counters, recovered } = await recovering(dir);
      if (lastOffset + left >= lastEnd) {
        expect(counters).toEqual({ a: [1, 1], b: [LAST_BATCH_EVENTS, LAST_BATCH_EVENTS] });
        expect(recovered.cutTail).toBeUndefined();
        continue;
      }
      expect(counters).toEqual({ a: [1, 1] });
      const torn = lengthUpToData(bytes.subarray(lastOffset, lastOffset + left));
      expect(recovered.cutTail).toEqual(
        torn === 0 ? undefined : { file: deltaName(1), offset: lastOffset, bytes: torn },
      );
      // With a sector of room.
      expect((await readFile(file)).length).toBe(lastOffset + SECTOR);
      expect((await recovering(dir)).recovered.cutTail).toBeUndefined();
    }
  });

  it('cuts the last batch whichever of its sectors were not written', async () => {
    const { dir, file, bytes, lastOffset, lastEnd } = await twoBatches();
    const sectors = Math.ceil((lastEnd - lastOffset) / SECTOR);
    for (let lost = 1; lost < 2 ** sectors; lost += 1) {
      const torn = Buffer.from(bytes);
      for (let sector = 0; sector < sectors; sector += 1) {
        const offset = lastOffset + sector * SECTOR;
        if ((lost & (1 << sector)) !== 0) torn.fill(0, offset, offset + SECTOR);
      }
      await writeFile(file, torn);
      const { counters, recovered } = await recovering(dir);
      expect(counters).toEqual({ a: [1, 1] });
      expect(recovered.cutTail === undefined).toBe(lost === 2 ** sectors - 1);
    }
  });

  it('reports and changes nothing where it may not cut', async () => {
    const { dir, file, bytes, lastOffset, lastEnd } = await twoBatches();
    await writeFile(file, bytes.subarray(0, lastEnd - 1));
    await writeFile(join(dir, 'room.snapshot.tmp'), 'half');
    const before = await contents(dir);
    const { recovered } = await recovering(dir, { cut: false });
    expect(recovered.cutTail).toEqual({ file: deltaName(1), offset: lastOffset, bytes: lastEnd - 1 - lastOffset });
    expect(recovered.notes).toEqual([
      expect.stringContaining('a torn batch'),
      expect.stringContaining('has no room left'),
    ]);
    expect(await contents(dir)).toEqual(before);
  });

  it('goes on behind the cut', async () => {
    const { dir, file, bytes, lastEnd } = await twoBatches();
    await writeFile(file, bytes.subarray(0, lastEnd - 1));
    await (await JournalRun.start(dir)).add('c');
    const { counters, recovered } = await recovering(dir);
    expect(counters).toEqual({ a: [1, 1], c: [1, 1] });
    expect(recovered).toMatchObject({ position: 2, epoch: 2 });
  });

  it('leaves a segment in which nothing, or nothing whole, was written to the next run, and takes its epoch for used', async () => {
    for (const torn of [false, true]) {
      const { dir } = await twoBatches();
      await JournalRun.start(dir);
      const second = join(dir, deltaName(2 + LAST_BATCH_EVENTS));
      const bytes = await readFile(second);
      if (torn) bytes.fill(1, SECTOR, SECTOR + 10);
      await writeFile(second, bytes);
      const { recovered } = await recovering(dir);
      expect(recovered.position).toBe(1 + LAST_BATCH_EVENTS);
      expect(recovered.epoch).toBe(2);
      expect(recovered.cutTail?.bytes).toBe(torn ? 10 : undefined);
      expect(await readdir(dir)).toEqual([deltaName(1), deltaName(2 + LAST_BATCH_EVENTS)]);
      const next = await JournalRun.start(dir);
      await next.add('c');
      expect((await recovering(dir)).recovered).toMatchObject({ position: 2 + LAST_BATCH_EVENTS, epoch: 3, notes: [] });
    }
  });

  it('removes temporary files and leaves files of others alone', async () => {
    const { dir } = await twoBatches();
    await writeFile(join(dir, '00000000000000000001.snapshot.tmp'), 'half');
    await writeFile(join(dir, 'room.snapshot.tmp'), 'zeros');
    await writeFile(join(dir, 'prepared-12.delta.tmp'), 'zeros');
    await writeFile(join(dir, '.gitkeep'), '');
    await writeFile(join(dir, 'notes.tmp'), 'mine');
    await mkdir(join(dir, 'copies.tmp'));
    await recovering(dir);
    expect((await readdir(dir)).sort()).toEqual(['.gitkeep', deltaName(1), 'copies.tmp', 'notes.tmp']);
  });

  it('puts a durable copy in the place of the last segment before anybody is told what it holds', async () => {
    const { dir } = await twoBatches();
    const steps: string[] = [];
    await recover(recordingDisk(steps), dir, counterReplica());
    // Segments prepared by the run before go first.
    const own = steps.filter((step) => step !== 'remove');
    expect(own).toEqual(['create', 'write', 'sync', 'close', 'rename', 'syncFolder']);
  });
});

describe('recovery of damage', () => {
  it('refuses a bad batch before a good one, names the place and leaves every byte', async () => {
    const { dir, file, bytes } = await twoBatches();
    bytes[SECTOR + 50]! ^= 1;
    await writeFile(file, bytes);
    await writeFile(join(dir, 'room.snapshot.tmp'), 'x');
    await expectCorrupt(dir, deltaName(1), SECTOR);
  });

  it('refuses a bad batch with another segment behind it', async () => {
    const { dir, file, bytes, lastOffset } = await twoBatches();
    await (await JournalRun.start(dir)).add('c');
    bytes[lastOffset + 50]! ^= 1;
    await writeFile(file, bytes);
    await expectCorrupt(dir, deltaName(1), lastOffset);
  });

  it('refuses a segment whose end is missing though another one follows', async () => {
    const { dir, file, bytes, lastOffset } = await twoBatches();
    await JournalRun.start(dir);
    await writeFile(file, bytes.subarray(0, lastOffset));
    await expectCorrupt(dir, deltaName(2 + LAST_BATCH_EVENTS), 0);
  });

  it('refuses a segment, or a batch, of an epoch that does not belong there', async () => {
    const { dir, file, bytes, lastOffset, lastEnd } = await twoBatches();
    bytes.writeUInt32LE(9, lastOffset + 20);
    bytes.writeUInt32LE(crc32(bytes.subarray(lastOffset, lastEnd - 4)), lastEnd - 4);
    await writeFile(file, bytes);
    await expectCorrupt(dir, deltaName(1), lastOffset);

    const other = await twoBatches();
    const run = await JournalRun.start(other.dir);
    await run.add('c');
    const second = join(other.dir, deltaName(2 + LAST_BATCH_EVENTS));
    const next = await readFile(second);
    await writeFile(
      second,
      Buffer.concat([encodeDeltaHeader({ ...decodeDeltaHeader(next, '')!, epoch: 0 }), next.subarray(SECTOR)]),
    );
    await expectCorrupt(other.dir, deltaName(2 + LAST_BATCH_EVENTS), 0);
  });

  it('refuses deltas of which the first, or one between, is missing', async () => {
    const { dir } = await twoBatches();
    const second = await JournalRun.start(dir);
    await second.add('c');
    await (await JournalRun.start(dir)).add('d');
    const copy = await temporaryFolder();
    await cp(dir, copy, { recursive: true });
    await rm(join(dir, deltaName(1)));
    await expectCorrupt(dir, deltaName(2 + LAST_BATCH_EVENTS), 0);
    await rm(join(copy, deltaName(2 + LAST_BATCH_EVENTS)));
    await expectCorrupt(copy, deltaName(3 + LAST_BATCH_EVENTS), 0);
  });

  it('refuses a segment of other data, and one under the wrong name', async () => {
    const { dir, file, bytes } = await twoBatches();
    const second = await JournalRun.start(dir);
    await second.add('c');
    const name = deltaName(2 + LAST_BATCH_EVENTS);
    const other = await readFile(join(dir, name));
    const header = { ...decodeDeltaHeader(other, name)!, dataId: new Uint8Array(16).fill(9) };
    await writeFile(join(dir, name), Buffer.concat([encodeDeltaHeader(header), other.subarray(SECTOR)]));
    await expectCorrupt(dir, name, 0);
    await rm(join(dir, name));
    await writeFile(file, bytes);
    await rename(file, join(dir, deltaName(2)));
    await expectCorrupt(dir, deltaName(2), 0);
  });

  it('refuses a history that was written twice from one point', async () => {
    const { dir } = await twoBatches();
    const fork = await temporaryFolder();
    await cp(dir, fork, { recursive: true });
    await (await JournalRun.start(dir)).add('c');
    await (await JournalRun.start(fork)).add('d');
    await (await JournalRun.start(fork)).add('e');
    const name = deltaName(3 + LAST_BATCH_EVENTS);
    await copyFile(join(fork, name), join(dir, name));
    await expectCorrupt(dir, name, 0);
  });

  it('refuses a good batch that was written behind another one', async () => {
    const { dir, file, bytes } = await twoBatches();
    const fork = await temporaryFolder();
    const run = await JournalRun.start(fork);
    await run.add('z');
    await run.add('b', LAST_BATCH_EVENTS);
    const forked = await readFile(join(fork, deltaName(1)));
    forked.copy(bytes, SECTOR * 2, SECTOR * 2);
    await writeFile(file, bytes);
    await expectCorrupt(dir, deltaName(1), SECTOR * 2);
  });

  it('refuses anything behind the mark of a clean stop', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    await run.add('a');
    await run.journal.close();
    const file = join(dir, deltaName(1));
    const bytes = await readFile(file);
    expect((await recovering(dir)).recovered.cleanStop).toBe(true);
    await writeFile(file, Buffer.concat([bytes, Buffer.alloc(SECTOR)]));
    await expectCorrupt(dir, deltaName(1), bytes.length);
    await writeFile(file, Buffer.concat([bytes, Buffer.alloc(SECTOR - 1), Buffer.of(1)]));
    await expectCorrupt(dir, deltaName(1), bytes.length - SECTOR + CLEAN_STOP_BYTES);
    bytes[bytes.length - 1] = 1;
    await writeFile(file, bytes);
    await expectCorrupt(dir, deltaName(1), bytes.length - SECTOR + CLEAN_STOP_BYTES);
  });

  it('refuses any other end than that of the clean stop, be it a last batch that looks torn', async () => {
    const { dir, file, bytes } = await cleanlyStopped();
    for (let left = SECTOR; left < bytes.length; left += 1) {
      await writeFile(file, bytes.subarray(0, left));
      await expect(recovering(dir), `${left} bytes`).rejects.toThrow(CorruptJournalError);
    }
    for (const offset of [SECTOR * 2, SECTOR * 2 + 60, bytes.length - 1]) {
      const flipped = Buffer.from(bytes);
      flipped[offset]! ^= 1;
      await writeFile(file, flipped);
      await expectCorrupt(dir, deltaName(1), offset < SECTOR * 2 + CLEAN_STOP_BYTES ? SECTOR * 2 : offset - 437);
    }
    await rm(file);
    await expectCorrupt(dir, 'stopped', 0);
  });

  it('refuses any byte that is another after a clean stop, also where no CRC covers it', async () => {
    const { dir, file, bytes } = await cleanlyStopped();
    for (let offset = 0; offset < bytes.length; offset += 5) {
      const flipped = Buffer.from(bytes);
      flipped[offset]! ^= 1;
      await writeFile(file, flipped);
      await expect(recovering(dir), `byte ${offset}`).rejects.toThrow(CorruptJournalError);
    }
    bytes[SECTOR * 2 - 7]! ^= 1;
    await writeFile(file, bytes);
    await expectCorrupt(dir, deltaName(1), SECTOR * 2 - 7);
  });

  it('refuses a mark of a clean stop of which any bit is another', async () => {
    const { dir } = await cleanlyStopped();
    const mark = join(dir, 'stopped');
    const bytes = await readFile(mark);
    for (const offset of [0, 8, 12, 16, 32, 40, 44, 48, 56, 60, 511]) {
      const flipped = Buffer.from(bytes);
      flipped[offset]! ^= 1;
      await writeFile(mark, flipped);
      await expectCorrupt(dir, 'stopped', 0);
    }
    await writeFile(mark, bytes.subarray(1));
    await expectCorrupt(dir, 'stopped', 0);
  });

  it('knows the mark of a clean stop only until the next run begins', async () => {
    const { dir, file, bytes } = await cleanlyStopped();
    await (await JournalRun.start(dir)).add('b');
    expect(await readdir(dir)).not.toContain('stopped');
    await writeFile(file, bytes);
    expect((await recovering(dir)).counters).toEqual({ a: [1, 1], b: [1, 1] });
  });

  it('does not take data of a later format for damage', async () => {
    const { dir, file, bytes } = await twoBatches();
    bytes.writeUInt32LE(2, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 48)), 48);
    await writeFile(file, bytes);
    await expect(recovering(dir)).rejects.toThrow(UnknownFormatError);
  });
});

describe('recovery up to a position', () => {
  it('stops behind the last batch that ends there', async () => {
    const { dir } = await twoBatches();
    const { counters, recovered } = await recovering(dir, { cut: false, upTo: LAST_BATCH_EVENTS });
    expect(counters).toEqual({ a: [1, 1] });
    expect(recovered).toMatchObject({ position: 1, clockMs: 1.5 });
    const all = await recovering(dir, { cut: false, upTo: 1 + LAST_BATCH_EVENTS });
    expect(all.recovered.position).toBe(1 + LAST_BATCH_EVENTS);
  });

  it('finds nothing in an empty folder', async () => {
    const { counters, recovered } = await recovering(await temporaryFolder());
    expect(counters).toEqual({});
    expect(recovered).toMatchObject({ position: 0, epoch: 0, lastBatchCrc: 0, dataId: undefined, cleanStop: false });
  });
});

/** One segment of a run that crashed: a batch of one sector, one of several; without the zeros behind them. */
async function cleanlyStopped() {
  const dir = await temporaryFolder();
  const run = await JournalRun.start(dir);
  await run.add('a');
  await run.journal.close();
  const file = join(dir, deltaName(1));
  return { dir, file, bytes: await readFile(file) };
}

async function twoBatches() {
  const dir = await temporaryFolder();
  const run = await JournalRun.start(dir);
  await run.add('a');
  await run.add('b', LAST_BATCH_EVENTS);
  const file = join(dir, deltaName(1));
  const bytes = await readFile(file);
  const lastOffset = SECTOR * 2;
  const lastEnd = lastOffset + lengthUpToData(bytes.subarray(lastOffset));
  const used = bytes.subarray(0, Math.ceil(lastEnd / SECTOR) * SECTOR);
  await writeFile(file, used);
  return { dir, file, bytes: used, lastOffset, lastEnd };
}

async function recovering(dir: string, options?: RecoverOptions) {
  const replica = counterReplica();
  const recovered: Recovered = await recover(nodeDisk, dir, replica, options);
  return { counters: countersOf(replica), recovered };
}

async function expectCorrupt(dir: string, file: string, offset: number): Promise<void> {
  const before = await contents(dir);
  const error: unknown = await recovering(dir).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CorruptJournalError);
  expect(error).toMatchObject({ file, offset });
  expect(await contents(dir)).toEqual(before);
}

async function contents(dir: string): Promise<Record<string, string>> {
  // Runs that crashed by being forgotten may still be preparing a segment.
  const names = (await readdir(dir)).filter((name) => !name.startsWith('prepared-')).sort();
  const files = names.map(async (name) => [name, (await readFile(join(dir, name))).toString('base64')] as const);
  return Object.fromEntries(await Promise.all(files));
}

function lengthUpToData(bytes: Buffer): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

/** The real disk; notes every step that changes something. */
function recordingDisk(steps: string[]): Disk {
  const noted = <Result>(step: string, result: () => Promise<Result>): Promise<Result> => {
    steps.push(step);
    return result();
  };
  return {
    ...nodeDisk,
    rename: (from, to) => noted('rename', () => nodeDisk.rename(from, to)),
    remove: (path) => noted('remove', () => nodeDisk.remove(path)),
    syncFolder: (folder) => noted('syncFolder', () => nodeDisk.syncFolder(folder)),
    async open(path, mode) {
      const file = await nodeDisk.open(path, mode);
      if (mode === 'read') return file;
      steps.push(mode);
      return {
        sizeBytes: () => file.sizeBytes(),
        read: (into, offset) => file.read(into, offset),
        write: (bytes, offset) => noted('write', () => file.write(bytes, offset)),
        truncate: (sizeBytes) => noted('truncate', () => file.truncate(sizeBytes)),
        sync: () => noted('sync', () => file.sync()),
        close: () => noted('close', () => file.close()),
      };
    },
  };
}
