import { cp, readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { StorageLevel } from '../coordinator/domain.ts';
import {
  counterReplica,
  countersOf,
  JournalRun,
  snapshotsOf,
  systemError,
  temporaryFolder,
} from '../testing/journal-run.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { type Disk, nodeDisk } from './disk.ts';
import type { JournalOptions } from './journal.ts';
import { recover } from './recover.ts';

const MIB = 1024 * 1024;
/** Makes a batch of some 900 KB: four fill a segment of the smallest size. */
const BIG = 'x'.repeat(900_000);

describe('a journal on a disk that gets full', () => {
  it('says so when the free space falls below a segment, and that it is over', async () => {
    const { disk, levels } = await started();
    expect(levels).toEqual([]);
    disk.free = 4 * MIB - 1;
    await expect.poll(() => levels, POLL).toEqual(['low']);
    disk.free = 100 * MIB;
    await expect.poll(() => levels, POLL).toEqual(['low', 'ample']);
  });

  it('goes on in the room that it holds, waits for more when that is used up, and loses nothing', async () => {
    const { dir, run, disk, levels } = await started();
    await expect.poll(() => prepared(dir), POLL).toHaveLength(1);
    disk.isFull = true;
    // The rest of the first segment and the second.
    while (run.position < 8) expect((await run.add(BIG)).outcome).toBe('durable');
    let isDone = false;
    const appending = run.add(BIG).finally(() => {
      isDone = true;
    });
    await expect.poll(() => levels, POLL).toEqual(['low']);
    expect(isDone).toBe(false);
    disk.isFull = false;
    expect((await appending).outcome).toBe('durable');
    await expect.poll(() => levels, POLL).toEqual(['low', 'ample']);
    const replica = counterReplica();
    expect((await recover(nodeDisk, dir, replica, { cut: false })).position).toBe(9);
    expect(countersOf(replica)).toEqual({ [BIG]: [9, 9] });
  });

  it('holds as many segments as the ends of all that lives may take, and gives them back at the close', async () => {
    let live = 0;
    const { dir, run } = await started({ liveCount: () => live });
    await run.add('a');
    await expect.poll(() => prepared(dir), POLL).toHaveLength(1);
    live = 10_000;
    await run.add('a');
    await expect.poll(() => prepared(dir), POLL).toHaveLength(2);
    await run.journal.close();
    expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('makes the next snapshot in room that it holds', async () => {
    const { dir, run, disk } = await started();
    await run.add('a', 10);
    await expect.poll(() => readdir(dir), POLL).toContain('room.snapshot.tmp');
    // One for the rotation, before nothing can be made any more.
    await expect.poll(() => prepared(dir), POLL).toHaveLength(1);
    disk.isFull = true;
    await run.journal.snapshotNow();
    const { position } = run;
    expect((await recover(nodeDisk, dir, counterReplica(), { cut: false })).snapshotPosition).toBe(position);
  });

  it('makes a snapshot of what is sealed before it is due, since that makes room', async () => {
    const { dir, run, disk } = await started({ snapshotBytes: 1_000 * MIB });
    while (run.position < 6) await run.add(BIG);
    expect((await readdir(dir)).filter((name) => name.endsWith('.snapshot'))).toEqual([]);
    disk.free = MIB;
    await expect
      .poll(async () => (await readdir(dir)).filter((name) => name.endsWith('.snapshot')), POLL)
      .toHaveLength(1);
  });

  it('makes one of what it finds where it is nearly full from the start', async () => {
    const { dir, run } = await started();
    await run.add('a', 3);
    const upTo: number[] = [];
    const disk = Object.assign(smallDisk(), { free: MIB });
    const takeSnapshot = async ({ upToPosition }: { upToPosition: number }) => {
      upTo.push(upToPosition);
      return buildSnapshot(nodeDisk, copy, counterReplica(), upToPosition);
    };
    const copy = await temporaryFolder();
    await cp(dir, copy, { recursive: true });
    await started({ disk, takeSnapshot }, copy);
    await expect.poll(() => readdir(copy), POLL).toContain('00000000000000000003.snapshot');
    expect(upTo).toEqual([3]);
  });

  it('keeps two generations there, however many it keeps elsewhere', async () => {
    const { dir, run, disk, levels } = await started({ snapshotsKept: 5, snapshotBytes: 1 });
    const kept = async () => (await readdir(dir)).filter((name) => name.endsWith('.snapshot')).length;
    const counts: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      await run.add('a');
      await run.journal.snapshotNow();
      counts.push(await kept());
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 5, 5]);
    await expect.poll(() => prepared(dir), POLL).toHaveLength(1);
    disk.free = MIB;
    await expect.poll(() => levels, POLL).toEqual(['low']);
    await run.add('a');
    await run.journal.snapshotNow();
    expect(await kept()).toBe(2);
    const replica = counterReplica();
    await recover(nodeDisk, dir, replica, { cut: false });
    expect(countersOf(replica)).toEqual({ a: [8, 8] });
  });
});

describe('a clean stop on a disk that has no room for the file that says so', () => {
  it('leaves the mark in the last batch alone, and is one', async () => {
    const { dir, run, disk } = await started();
    await run.add('a');
    await expect.poll(() => prepared(dir), POLL).toHaveLength(1);
    disk.isFull = true;
    await run.journal.close();
    expect(await readdir(dir)).toEqual(['00000000000000000001.delta']);
    expect(await recover(nodeDisk, dir, counterReplica())).toMatchObject({ position: 2, cleanStop: true });
  });
});

describe('a disk that fails while the journal seals a segment', () => {
  it('is written to no more, not even by the append that waits for that', async () => {
    const dir = await temporaryFolder();
    let fail = () => {};
    const failing = new Promise<void>((_resolve, reject) => {
      fail = () => reject(systemError('EIO'));
    });
    const failures: string[] = [];
    const { run } = await started(
      { disk: sealFailing(failing), onFailure: ({ message }) => failures.push(message) },
      dir,
    );
    while (run.position < 8) expect((await run.add(BIG)).outcome).toBe('durable');
    const appending = run.add(BIG);
    await expect.poll(() => readdir(dir), POLL).toContain('00000000000000000009.delta');
    fail();
    expect((await appending).outcome).toBe('failed');
    expect(failures).toEqual(['EIO']);
    expect((await recover(nodeDisk, dir, counterReplica(), { cut: false })).position).toBe(8);
  });
});

describe('a snapshot by age', () => {
  it('is made of whatever was written, once a period, and not where nothing was', async () => {
    const { dir, run } = await started({ snapshotAgeMs: 300 });
    await run.add('a', 3);
    const snapshots = async () => (await readdir(dir)).filter((name) => name.endsWith('.snapshot'));
    await expect.poll(snapshots, POLL).toEqual(['00000000000000000003.snapshot']);
    const before = await readdir(dir);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await snapshots()).toHaveLength(1);
    expect((await readdir(dir)).filter((name) => name.endsWith('.delta'))).toEqual(
      before.filter((name) => name.endsWith('.delta')),
    );
    await run.add('a', 2);
    await expect.poll(snapshots, POLL).toHaveLength(2);
  });

  it('is passed over while one is being made, however long that takes', async () => {
    const dir = await temporaryFolder();
    const upTo: number[] = [];
    let finish = () => {};
    const { run } = await started(
      {
        snapshotAgeMs: 50,
        takeSnapshot: async ({ upToPosition }) => {
          upTo.push(upToPosition);
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return buildSnapshot(nodeDisk, dir, counterReplica(), upToPosition);
        },
      },
      dir,
    );
    const deltas = async () => (await readdir(dir)).filter((name) => name.endsWith('.delta')).length;
    onTestFinished(() => finish());
    await run.add('a');
    await expect.poll(() => upTo, POLL).toEqual([1]);
    const before = await deltas();
    for (let round = 0; round < 5; round += 1) {
      await run.add('a');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await deltas()).toBe(before);
    finish();
    await expect.poll(() => upTo, POLL).toEqual([1, 6]);
    finish();
  });
});

const POLL = { timeout: 10_000, interval: 20 };

async function started(options: Partial<JournalOptions> = {}, folder?: string) {
  const dir = folder ?? (await temporaryFolder());
  const disk = smallDisk();
  const levels: StorageLevel[] = [];
  const run = await JournalRun.start(dir, {
    disk,
    ...snapshotsOf(dir),
    onStorage: (level) => void levels.push(level),
    ...options,
  });
  return { dir, disk, levels, run };
}

async function prepared(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.startsWith('prepared-'));
}

/** The real one, but that no file can be cut to its size. */
function sealFailing(failing: Promise<void>): Disk {
  return {
    ...nodeDisk,
    async open(path, mode) {
      const file = await nodeDisk.open(path, mode);
      if (mode === 'createDurable') file.truncate = () => failing;
      return file;
    },
  };
}

/** The real one, but that it says how much is free, and gives no new file any room while it is full. */
function smallDisk() {
  const disk = {
    ...nodeDisk,
    free: 100 * MIB,
    isFull: false,
    open(...[path, mode]: Parameters<Disk['open']>): ReturnType<Disk['open']> {
      const isNew = mode === 'create' || mode === 'createDurable';
      return disk.isFull && isNew ? Promise.reject(systemError('ENOSPC')) : nodeDisk.open(path, mode);
    },
    freeBytes: () => Promise.resolve(disk.isFull ? 0 : disk.free),
  };
  return disk;
}
