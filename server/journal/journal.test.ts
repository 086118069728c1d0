import { cp, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventLogContract } from '../coordinator/event-log.contract.ts';
import {
  counterReplica,
  countersOf,
  JournalRun,
  snapshotsOf,
  systemError,
  temporaryFolder,
} from '../testing/journal-run.ts';
import { type Disk, type DiskFile, makeDataFolder, nodeDisk } from './disk.ts';
import { HEADER_BYTES } from './file-header.ts';
import { recover } from './recover.ts';

/** Makes a batch of some 900 KB: four fill a segment of the smallest size. */
const BIG = 'x'.repeat(900_000);

eventLogContract('on files', async () => (await JournalRun.start(await temporaryFolder())).journal);

describe('journal', () => {
  it('gives the next run what the last one was told is durable, with its clock', async () => {
    const dir = await temporaryFolder();
    const first = await JournalRun.start(dir);
    await first.add('a', 3);
    await first.add('b', 2);
    const second = await JournalRun.start(dir);
    expect(countersOf(second.replica)).toEqual({ a: [3, 3], b: [2, 2] });
    expect(second.recovered).toMatchObject({ position: 5, epoch: 1, clockMs: 4.5, utcMs: 1_750_000_000_004 });
    expect(second.recovered.dataId).toEqual(new Uint8Array(16).fill(7));
    await second.add('a', 1);
    const third = await JournalRun.start(dir);
    expect(countersOf(third.replica)).toEqual({ a: [4, 4], b: [2, 2] });
    expect(third.recovered).toMatchObject({ position: 6, epoch: 2, cleanStop: false });
  });

  it('says of each batch, once it is on disk, how much was written and how long that took', async () => {
    let nowMs = 0;
    const written: number[][] = [];
    const run = await JournalRun.start(await temporaryFolder(), {
      // Each look is a quarter of a second after the one before.
      clock: { nowMs: () => (nowMs += 250), utcMs: () => 1_750_000_000_000 },
      onWritten: (...args) => written.push(args),
    });
    await run.add('a', 3);
    await run.add('a'.repeat(1_000));
    expect(written).toEqual([
      [3, 512, 250],
      [1, 1_536, 250],
    ]);
  });

  it('keeps one data id over all runs and files', async () => {
    const dir = await temporaryFolder();
    await (await JournalRun.start(dir, { randomBytes: (count) => new Uint8Array(count).fill(1) })).add('a');
    await (await JournalRun.start(dir, { randomBytes: (count) => new Uint8Array(count).fill(2) })).add('a');
    const headers = await Promise.all((await deltas(dir)).map((name) => readFile(join(dir, name))));
    expect(headers.map((bytes) => bytes[16])).toEqual([1, 1]);
  });

  it('goes on over segments, and reads and recovers across them', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    for (let batch = 0; batch < 14; batch += 1) expect((await run.add(`${batch}${BIG}`)).outcome).toBe('durable');
    expect(await deltas(dir)).toHaveLength(4);
    const read: number[] = [];
    for await (const { position } of run.journal.readFrom(3)) read.push(position);
    expect(read).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    const next = await JournalRun.start(dir);
    expect(Object.keys(countersOf(next.replica)).map((name) => name.replace(BIG, ''))).toEqual(
      Array.from({ length: 14 }, (_, batch) => String(batch)),
    );
  });

  it('says from where on it can be read, and goes on with a file that goes with a snapshot meanwhile', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    for (let batch = 0; batch < 6; batch += 1) await run.add(`${batch}${BIG}`);
    expect(await run.journal.keptFrom()).toBe(1);
    const reading = run.journal.readFrom(1);
    expect((await reading.next()).value).toMatchObject({ position: 1 });
    for (let round = 0; round < 3; round += 1) {
      await run.add('a');
      await run.journal.snapshotNow();
    }
    const keptFrom = await run.journal.keptFrom();
    expect(keptFrom).toBe(9);
    // What it has open it has whole; the next is gone.
    const [firstDelta] = await deltas(dir);
    expect(firstDelta).toContain(String(keptFrom));
    for (const position of [2, 3, 4]) expect((await reading.next()).value).toMatchObject({ position });
    await expect(reading.next()).rejects.toThrow('ENOENT');
    await expect(run.journal.readFrom(keptFrom - 1).next()).rejects.toThrow('older than the oldest delta');
    expect((await run.journal.readFrom(keptFrom).next()).value).toMatchObject({ position: keptFrom });
  });

  it('holds everything that was durable in a copy taken at any moment', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    for (let copy = 0; copy < 12; copy += 1) {
      await run.add(`${copy}${BIG}`);
      const acknowledged = run.position;
      const appending = run.add('in flight', 500);
      const copied = await temporaryFolder();
      await cp(dir, copied, { recursive: true });
      await appending;
      const { position } = await recover(nodeDisk, copied, counterReplica());
      expect([acknowledged, acknowledged + 500]).toContain(position);
    }
  });

  it('leaves the mark of a clean stop with the clock of that moment, and takes up no unused room', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    await run.add('a');
    await run.journal.close();
    const [name] = await deltas(dir);
    expect((await stat(join(dir, name!))).size).toBe(512 * 3);
    const next = await JournalRun.start(dir);
    expect(next.recovered).toMatchObject({
      position: 2,
      cleanStop: true,
      clockMs: 1_000_000,
      utcMs: 1_750_000_000_000,
    });
    expect(countersOf(next.replica)).toEqual({ a: [1, 1] });
    await next.add('a');
    expect((await JournalRun.start(dir)).recovered).toMatchObject({ position: 3, cleanStop: false });
  });

  it('keeps what it writes to the user it runs as', async () => {
    const dir = join(await temporaryFolder(), 'made', 'here');
    await makeDataFolder(nodeDisk, dir);
    const run = await JournalRun.start(dir);
    await run.add('a');
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
  });

  it('refuses to begin a segment over one that is there', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    await run.add('a');
    const other = await temporaryFolder();
    const stale = (await JournalRun.start(other)).recovered;
    const [name] = await deltas(dir);
    await recover(nodeDisk, dir, counterReplica());
    const before = await readFile(join(dir, name!));
    await expect(JournalRun.start(dir, { recovered: stale })).rejects.toThrow('exists');
    expect((await readFile(join(dir, name!))).equals(before)).toBe(true);
  });
});

it('writes up to the end of a block, so that none is read first, and goes on where the batch ends', async () => {
  const dir = await temporaryFolder();
  const writes: [offset: number, bytes: number][] = [];
  const disk: Disk = {
    ...nodeDisk,
    async open(path, mode) {
      const file = await nodeDisk.open(path, mode);
      const write = file.write.bind(file);
      file.write = (bytes, offset) => {
        writes.push([offset, bytes.length]);
        return write(bytes, offset);
      };
      return file;
    },
  };
  const run = await JournalRun.start(dir, { disk });
  const [name] = await deltas(dir);
  writes.length = 0;
  // What a longer batch leaves in memory doesn't get to the disk behind a shorter one.
  await run.add('a'.repeat(5_000));
  await run.add('b');
  await run.add('c');
  const behind = 3 * 4_096;
  expect(writes.filter(([, bytes]) => bytes < 1_000_000)).toEqual([
    [HEADER_BYTES, 2 * 4_096 - HEADER_BYTES],
    [HEADER_BYTES + 5_120, 2 * 4_096 - HEADER_BYTES - 5_120],
    [HEADER_BYTES + 5_632, 2 * 4_096 - HEADER_BYTES - 5_632],
  ]);
  const bytes = await readFile(join(dir, name!));
  expect(bytes.subarray(HEADER_BYTES + 6_144, behind).every((byte) => byte === 0)).toBe(true);
  expect(Object.values(countersOf((await JournalRun.start(dir)).replica))).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
});

describe('journal on a failing disk', () => {
  it('does not know what became of a batch whose write failed, and touches the disk no more', async () => {
    const dir = await temporaryFolder();
    const disk = failingDisk();
    const run = await JournalRun.start(dir, { disk });
    await run.add('a');
    disk.failWrites = true;
    const error = new Error('EIO');
    expect(await run.add('b')).toEqual({ outcome: 'unknown', error });
    disk.failWrites = false;
    const calls = disk.calls;
    expect(await run.add('c')).toEqual({ outcome: 'failed', error });
    expect(disk.calls).toBe(calls);
    await run.journal.close();
    const next = await JournalRun.start(dir);
    expect(countersOf(next.replica)).toEqual({ a: [1, 1] });
    expect(next.recovered.cleanStop).toBe(false);
  });

  it('takes nothing more once a segment could not be made ahead, and says so at once', async () => {
    const dir = await temporaryFolder();
    const disk = failingDisk();
    const failures: string[] = [];
    const run = await JournalRun.start(dir, { disk, onFailure: ({ message }) => void failures.push(message) });
    disk.failOpens = 'EIO';
    let outcome = await run.add(BIG);
    while (failures.length === 0 && outcome.outcome === 'durable') outcome = await run.add(BIG);
    await expect.poll(() => failures).toEqual(['EIO']);
    disk.failOpens = undefined;
    const { calls } = disk;
    expect((await run.add('later')).outcome).toBe('failed');
    expect(disk.calls).toBe(calls);
    await run.journal.close();
    expect((await recover(nodeDisk, dir, counterReplica())).position).toBe(run.position);
  });

  it('takes nothing more once a snapshot met with a failing disk', async () => {
    const dir = await temporaryFolder();
    const failures: string[] = [];
    const run = await JournalRun.start(dir, {
      takeSnapshot: () => Promise.reject(systemError('EIO')),
      onFailure: ({ message }) => void failures.push(message),
    });
    await run.add('a');
    await expect(run.journal.snapshotNow()).rejects.toThrow('EIO');
    expect(failures).toEqual(['EIO']);
    expect((await run.add('b')).outcome).toBe('failed');
  });

  it('says at the close that the mark could not be written', async () => {
    const dir = await temporaryFolder();
    const disk = failingDisk();
    const run = await JournalRun.start(dir, { disk });
    disk.failWrites = true;
    await expect(run.journal.close()).rejects.toThrow('EIO');
    expect((await recover(nodeDisk, dir, counterReplica())).cleanStop).toBe(false);
  });
});

async function deltas(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.delta')).sort();
}

function failingDisk() {
  const disk = {
    ...nodeDisk,
    failWrites: false,
    failOpens: undefined as string | undefined,
    calls: 0,
    async open(...parameters: Parameters<Disk['open']>): Promise<DiskFile> {
      disk.calls += 1;
      if (disk.failOpens !== undefined) throw systemError(disk.failOpens);
      const file = await nodeDisk.open(...parameters);
      return {
        sizeBytes: () => file.sizeBytes(),
        read: (into, offset) => file.read(into, offset),
        write(bytes, offset) {
          disk.calls += 1;
          return disk.failWrites ? Promise.reject(new Error('EIO')) : file.write(bytes, offset);
        },
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
  return disk;
}
