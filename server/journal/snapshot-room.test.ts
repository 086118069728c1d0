import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemError, temporaryFolder } from '../testing/journal-run.ts';
import { type Disk, type DiskFile, nodeDisk } from './disk.ts';
import { SNAPSHOT_ROOM_NAME } from './file-names.ts';
import { SnapshotRoom } from './snapshot-room.ts';

const MIB = 1024 * 1024;

describe('room held for a snapshot', () => {
  it('is enough again as soon as less is needed than what could not be held', async () => {
    const { room, disk } = await held(2 * MIB);
    disk.limitBytes = 3 * MIB;
    room.hold(10 * MIB);
    await expect.poll(() => room.shortage, POLL).toBeDefined();
    room.hold(2 * MIB);
    await expect.poll(() => room.shortage, POLL).toBeUndefined();
    expect(room.bytes).toBe(2 * MIB);
  });

  it('is enough again where a snapshot has left a file that is large enough', async () => {
    const { room, disk } = await held(2 * MIB);
    disk.limitBytes = 3 * MIB;
    room.hold(10 * MIB);
    await expect.poll(() => room.shortage, POLL).toBeDefined();
    await room.lend();
    room.returned(12 * MIB);
    await expect.poll(() => room.shortage, POLL).toBeUndefined();
    expect(room.bytes).toBe(12 * MIB);
  });

  it('takes nothing from a disk that has too little for all of it', async () => {
    const { dir, room, disk } = await held(2 * MIB);
    disk.limitBytes = 5 * MIB;
    room.hold(10 * MIB);
    await expect.poll(() => room.shortage, POLL).toBeDefined();
    expect((await stat(join(dir, SNAPSHOT_ROOM_NAME))).size).toBe(2 * MIB);
    disk.limitBytes = 100 * MIB;
    await expect.poll(() => room.bytes, POLL).toBe(10 * MIB);
    expect(room.shortage).toBeUndefined();
  });

  it('is gone after the close, also where a snapshot that was called off has left a part of itself', async () => {
    const { dir, room } = await held(2 * MIB);
    await room.lend();
    const closing = room.close();
    room.returned(0);
    await closing;
    expect(await readdir(dir)).toEqual([]);
  });
});

const POLL = { timeout: 5_000, interval: 5 };

/** A room of so many bytes, on a disk that lets a file grow to a limit and then is full. */
async function held(bytes: number) {
  const dir = await temporaryFolder();
  const disk = limitedDisk();
  const room = new SnapshotRoom({
    disk,
    dir,
    scheduler: {
      // Retries at once: what comes of them doesn't depend on the time between.
      setTimer(_delayMs, callback) {
        const timer = setTimeout(callback, 5);
        return () => clearTimeout(timer);
      },
      defer: (callback) => void setImmediate(callback),
    },
    onRoom: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });
  onTestFinished(() => room.close());
  room.hold(bytes);
  await expect.poll(() => room.bytes, POLL).toBe(bytes);
  return { dir, disk, room };
}

function limitedDisk() {
  const disk: Disk & { limitBytes: number } = {
    ...nodeDisk,
    limitBytes: 100 * MIB,
    async open(path, mode) {
      const file = await nodeDisk.open(path, mode);
      const limited: DiskFile = {
        sizeBytes: () => file.sizeBytes(),
        read: (into, offset) => file.read(into, offset),
        write: (bytes, offset) =>
          offset + bytes.length > disk.limitBytes ? Promise.reject(systemError('ENOSPC')) : file.write(bytes, offset),
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        sync: () => file.sync(),
        close: () => file.close(),
      };
      return limited;
    },
  };
  return disk;
}
