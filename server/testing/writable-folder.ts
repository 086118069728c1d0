import { relative } from 'node:path';
import type { DiskFile } from '../journal/disk.ts';
import type { RepairDisk } from '../journal/repair.ts';

const DIR = '/data';

/** A disk in memory, whose one folder `/data` holds these files, by their paths in it. All is durable at once. */
export function writableDisk(files: Map<string, Buffer>): RepairDisk {
  const folders = new Set(['']);
  const inDir = (path: string) => relative(DIR, path);
  const existing = (path: string): Buffer => {
    const bytes = files.get(inDir(path));
    if (!bytes) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', errno: -2 });
    return bytes;
  };
  const fileAt = (path: string): DiskFile => ({
    sizeBytes: () => Promise.resolve(existing(path).length),
    read: (into, offset) => Promise.resolve(existing(path).copy(into, 0, offset)),
    async write(bytes, offset) {
      const old = existing(path);
      const next = Buffer.alloc(Math.max(old.length, offset + bytes.length));
      next.set(old);
      next.set(bytes, offset);
      files.set(inDir(path), next);
    },
    async truncate(sizeBytes) {
      files.set(inDir(path), Buffer.from(existing(path).subarray(0, sizeBytes)));
    },
    sync: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  return {
    async open(path, mode) {
      const isEmptied = mode === 'create' || mode === 'createDurable' || (mode === 'keep' && !files.has(inDir(path)));
      if (isEmptied) files.set(inDir(path), Buffer.alloc(0));
      existing(path);
      return fileAt(path);
    },
    list: () => Promise.resolve([...files.keys()].filter((name) => !name.includes('/'))),
    async rename(from, to) {
      files.set(inDir(to), existing(from));
      files.delete(inDir(from));
    },
    async remove(path) {
      existing(path);
      files.delete(inDir(path));
    },
    async makeFolder(folder) {
      const isNew = !folders.has(inDir(folder));
      folders.add(inDir(folder));
      return isNew;
    },
    syncFolder: () => Promise.resolve(),
    freeBytes: () => Promise.resolve(Number.MAX_SAFE_INTEGER),
    async link(from, name) {
      if (files.has(inDir(name))) throw new Error(`EEXIST: ${name}`);
      files.set(inDir(name), existing(from));
    },
  };
}
