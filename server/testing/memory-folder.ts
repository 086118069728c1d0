import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Disk } from '../journal/disk.ts';

/** The files of a folder by name, to be damaged at will: thousands of recoveries a second. */
export async function readFolder(dir: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const name of await readdir(dir)) files.set(name, await readFile(join(dir, name)));
  return files;
}

/** A disk on which these files are the one folder there is. It takes no change. */
export function readOnlyDisk(files: ReadonlyMap<string, Buffer>): Disk {
  const refuse = () => Promise.reject(new Error('this disk is for reading only'));
  return {
    async open(path, mode) {
      const bytes = files.get(basename(path));
      if (!bytes || mode !== 'read') throw new Error(`${path} can't be opened to ${mode}`);
      return {
        sizeBytes: () => Promise.resolve(bytes.length),
        read: (into, offset) => Promise.resolve(bytes.copy(into, 0, offset)),
        write: refuse,
        truncate: refuse,
        sync: refuse,
        close: () => Promise.resolve(),
      };
    },
    list: () => Promise.resolve([...files.keys()]),
    rename: refuse,
    remove: refuse,
    makeFolder: refuse,
    syncFolder: refuse,
    freeBytes: () => Promise.resolve(0),
  };
}
