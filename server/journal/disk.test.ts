import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/journal-run.ts';
import { blockingDisk } from './blocking-disk.ts';
import { nodeDisk } from './disk.ts';

describe.each([
  ['nodeDisk', nodeDisk],
  ['blockingDisk', blockingDisk],
])('%s', (_, disk) => {
  it('reads back what it wrote where it was written, and no further than there is', async () => {
    const path = join(await temporaryFolder(), 'file');
    const file = await disk.open(path, 'create');
    await file.write(Buffer.from('world'), 6);
    await file.write(Buffer.from('hello '), 0);
    await file.sync();
    expect(await file.sizeBytes()).toBe(11);
    await file.truncate(9);
    await file.close();
    const again = await disk.open(path, 'read');
    const bytes = Buffer.alloc(20);
    expect(await again.read(bytes, 2)).toBe(7);
    expect(bytes.subarray(0, 7).toString()).toBe('llo wor');
    await again.close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('empties a file that it creates, and keeps one that it reads', async () => {
    const path = join(await temporaryFolder(), 'file');
    for (const mode of ['create', 'createDurable'] as const) {
      const file = await disk.open(path, mode);
      expect(await file.sizeBytes()).toBe(0);
      await file.write(Buffer.from('some'), 0);
      await file.close();
    }
    const read = await disk.open(path, 'read');
    const error = await read.write(Buffer.from('x'), 0).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'EBADF', path, message: expect.stringContaining(path) as string });
    await read.close();
    expect(await readFile(path, 'utf8')).toBe('some');
  });

  it('renames, lists and removes, and says what there is not', async () => {
    const dir = await temporaryFolder();
    const folder = join(dir, 'data');
    expect(await disk.makeFolder(folder)).toBe(true);
    expect(await disk.makeFolder(folder)).toBe(false);
    await (await disk.open(join(folder, 'one'), 'create')).close();
    await disk.rename(join(folder, 'one'), join(folder, 'two'));
    await disk.syncFolder(folder);
    expect(await disk.list(folder)).toEqual(['two']);
    await disk.remove(join(folder, 'two'));
    expect(await disk.list(folder)).toEqual([]);
    await expect(disk.open(join(folder, 'two'), 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.remove(join(folder, 'two'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.makeFolder(join(dir, 'no', 'where'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
