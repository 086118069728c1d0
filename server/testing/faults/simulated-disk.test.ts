import { describe, expect, it } from 'vitest';
import type { OpenMode } from '../../journal/disk.ts';
import { Random } from '../simulation/random.ts';
import { CrashImages } from './crash-images.ts';
import { DiskState, SimulatedDisk } from './simulated-disk.ts';

const SECTOR = 512;

describe('a power cut', () => {
  it('takes what was not synced, and leaves what was', async () => {
    const state = new DiskState();
    const disk = new SimulatedDisk(state);
    await write(disk, 'a', 'create', Buffer.alloc(SECTOR, 1));
    expect(leftBy(state)).toEqual(['', 'a:', 'a:0', 'a:1']);
    await disk.syncFolder();
    expect(leftBy(state)).toEqual(['a:', 'a:0', 'a:1']);
    const file = await write(disk, 'a', 'create', Buffer.alloc(SECTOR, 2));
    await file.sync();
    expect(leftBy(state)).toEqual(['a:2']);
  });

  it('leaves any sectors of a write, and the length without the data', async () => {
    const state = new DiskState();
    const disk = new SimulatedDisk(state);
    const file = await write(disk, 'a', 'createDurable', Buffer.alloc(2 * SECTOR, 1));
    await disk.syncFolder();
    expect(leftBy(state)).toEqual(['a:1 1']);
    const cut: string[][] = [];
    const watched = new SimulatedDisk(state, { onBoundary: () => cut.push(leftBy(state)) });
    await (await watched.open('a', 'read')).write(Buffer.alloc(3 * SECTOR, 2), 0);
    expect(cut[1]).toEqual(
      ['a:1 1', 'a:1 1 0', 'a:1 1 2', 'a:1 2', 'a:1 2 0', 'a:1 2 2', 'a:2 1'].concat([
        'a:2 1 0',
        'a:2 1 2',
        'a:2 2',
        'a:2 2 0',
        'a:2 2 2',
      ]),
    );
    await file.sync();
    expect(leftBy(state)).toEqual(['a:2 2 2']);
  });

  it('leaves changes of the folder out of their order, each whole', async () => {
    const state = new DiskState();
    const disk = new SimulatedDisk(state);
    for (const [name, fill] of [
      ['a', 1],
      ['b', 2],
    ] as const) {
      await write(disk, name, 'createDurable', Buffer.alloc(SECTOR, fill));
    }
    await disk.syncFolder();
    await disk.rename('a', 'c');
    await disk.remove('b');
    expect(leftBy(state)).toEqual(['a:1', 'a:1,b:2', 'b:2,c:1', 'c:1']);
  });

  it('takes what a failed sync has left to be read, whatever is synced later', async () => {
    const state = new DiskState();
    const random = new Random(1);
    const disk = new SimulatedDisk(state);
    const file = await write(disk, 'a', 'create', Buffer.alloc(SECTOR, 1));
    await file.sync();
    await disk.syncFolder();
    const slow = new SimulatedDisk(state, { isSlow: true });
    const opening = await slow.open('a', 'read');
    const writing = opening.write(Buffer.alloc(SECTOR, 2), 0);
    slow.endOne(random);
    await writing;
    const syncing = opening.sync();
    expect(slow.failOne(random, 'sync')).toBe(true);
    await expect(syncing).rejects.toThrow('EIO');
    await file.sync();
    expect(state.files.get(state.names.get('a')!)!.sectors.get(0)!.at(-1)!.value[0]).toBe(2);
    expect(leftBy(state)).toEqual(['a:1', 'a:2']);
  });
});

async function write(disk: SimulatedDisk, name: string, mode: OpenMode, bytes: Uint8Array) {
  const file = await disk.open(name, mode);
  await file.write(bytes, 0);
  return file;
}

/** Every folder that a power cut may leave: names, each with the first byte of its sectors. */
function leftBy(state: DiskState): string[] {
  const images = new CrashImages(state);
  const folders = new Set<string>();
  for (const choice of images.choices(new Random(1))) {
    const { names, files } = images.image(choice);
    const texts = [...names].map(([name, number]) => {
      const file = files.get(number)!;
      const bytes = Buffer.alloc(file.sizeBytes);
      file.read(bytes, 0);
      const sectors = Array.from({ length: bytes.length / SECTOR }, (_, index) => bytes[index * SECTOR]);
      return `${name}:${sectors.join(' ')}`;
    });
    folders.add(texts.sort().join());
  }
  return [...folders].sort();
}
