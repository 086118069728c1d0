/**
 * The port between the journal and the file system: every change to the folder goes through it, so that a simulated
 * disk can say after each step what a crash would leave.
 *
 * What the journal relies on: bytes are durable after `sync` (or `write`, where opened so), a name after `syncFolder`,
 * `rename` replaces a name atomically, and a failed call is final: nothing here is ever tried again on the same bytes.
 */
import * as fs from 'node:fs';
import { mkdir, readdir, rename, statfs, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export type OpenMode =
  /** An existing file, for reading. */
  | 'read'
  /** A new file, or an old one emptied; what is written is durable after `sync`. */
  | 'create'
  /** An old file as it is, or a new one; what is written is durable after `sync`. */
  | 'keep'
  /** As `create`, but each `write` is durable when it resolves (O_DSYNC): one system call a commit. */
  | 'createDurable';

export interface DiskFile {
  sizeBytes(): Promise<number>;
  /** Fills `into` from `offset` on; resolves to the bytes read, fewer only where the file ends. */
  read(into: Uint8Array, offset: number): Promise<number>;
  /** Writes all of `bytes`, or rejects with any part of them written. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  list(folder: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** One level. Resolves to false where it is there already. */
  makeFolder(folder: string): Promise<boolean>;
  syncFolder(folder: string): Promise<void>;
  /** What the file system that holds `folder` would still give to us. */
  freeBytes(folder: string): Promise<number>;
}

/** Pool records hold credentials, and leases say who uses them: for the coordinator's own user only. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC, O_DSYNC, O_DIRECTORY } = fs.constants;
export const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  create: O_RDWR | O_CREAT | O_TRUNC,
  keep: O_RDWR | O_CREAT,
  createDurable: O_RDWR | O_CREAT | O_TRUNC | O_DSYNC,
};

/** The real one. */
export const nodeDisk: Disk = {
  async open(path, mode) {
    return new NodeFile(await openDescriptor(path, OPEN_FLAGS[mode]), path);
  },
  list: (folder) => readdir(folder),
  rename,
  remove: unlink,
  async makeFolder(folder) {
    try {
      await mkdir(folder, { mode: FOLDER_MODE });
      return true;
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false;
      throw error;
    }
  },
  async syncFolder(folder) {
    const file = new NodeFile(await openDescriptor(folder, O_RDONLY | O_DIRECTORY), folder);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  },
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/** A plain descriptor: the callback functions of node:fs are the shortest way from a commit to the kernel. */
class NodeFile implements DiskFile {
  readonly #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  sizeBytes(): Promise<number> {
    return new Promise((done, fail) => {
      fs.fstat(this.#descriptor, (error, stats) => (error ? fail(naming(error, this.#path)) : done(stats.size)));
    });
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let taken = 0;
    while (taken < into.length) {
      const count = await this.#readSome(into, taken, offset + taken);
      if (count === 0) break;
      taken += count;
    }
    return taken;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    // The kernel may take less than all (a full disk, a file size limit); the rest then meets the error itself.
    let taken = await this.#writeSome(bytes, 0, offset);
    while (taken < bytes.length) {
      const count = await this.#writeSome(bytes, taken, offset + taken);
      if (count === 0) throw new Error(`write took ${taken} of ${bytes.length} bytes and then none`);
      taken += count;
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((done, fail) => {
      fs.ftruncate(this.#descriptor, sizeBytes, (error) => (error ? fail(naming(error, this.#path)) : done()));
    });
  }

  sync(): Promise<void> {
    return new Promise((done, fail) => {
      fs.fsync(this.#descriptor, (error) => (error ? fail(naming(error, this.#path)) : done()));
    });
  }

  close(): Promise<void> {
    return new Promise((done, fail) => {
      fs.close(this.#descriptor, (error) => (error ? fail(naming(error, this.#path)) : done()));
    });
  }

  #readSome(into: Uint8Array, start: number, offset: number): Promise<number> {
    return new Promise((done, fail) => {
      fs.read(this.#descriptor, into, start, into.length - start, offset, (error, count) =>
        error ? fail(naming(error, this.#path)) : done(count),
      );
    });
  }

  #writeSome(bytes: Uint8Array, start: number, offset: number): Promise<number> {
    return new Promise((done, fail) => {
      fs.write(this.#descriptor, bytes, start, bytes.length - start, offset, (error, count) =>
        error ? fail(naming(error, this.#path)) : done(count),
      );
    });
  }
}

/** Node names the file only where it was given its name. */
export function naming(error: Error, path: string): Error {
  error.message += ` '${path}'`;
  return Object.assign(error, { path });
}

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((done, fail) => {
    fs.open(path, flags, FILE_MODE, (error, descriptor) => (error ? fail(error) : done(descriptor)));
  });
}

/** `ENOENT`, `ENOSPC`, …; undefined for what isn't an error of the system. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code;
}

const SHORTAGES: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** Whether the system had too little of something: another attempt may go well, on another file. */
export function isShortage(error: unknown): boolean {
  return SHORTAGES.has(errorCode(error));
}

/** Whether the process, or the machine, has no descriptor left: then nothing was done at all. */
export function lacksDescriptors(error: unknown): boolean {
  return errorCode(error) === 'EMFILE' || errorCode(error) === 'ENFILE';
}

/** Whether the system refused or failed for any other reason: a disk that can't be trusted any more. */
export function isDiskFailure(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && !isShortage(error);
}

/** Makes `folder` and what is missing above it, each name durable. An existing folder keeps its mode. */
export async function makeDataFolder(disk: Disk, folder: string): Promise<void> {
  const path = resolve(folder);
  let isNew: boolean;
  try {
    isNew = await disk.makeFolder(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    await makeDataFolder(disk, dirname(path));
    isNew = await disk.makeFolder(path);
  }
  try {
    // Also where it was there already: a run that died before this line left a name that only memory knew.
    await disk.syncFolder(dirname(path));
  } catch (error) {
    // One may live in a folder whose parent one may not read; then somebody else made it, long ago.
    if (isNew || errorCode(error) !== 'EACCES') throw error;
  }
}

export async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await disk.open(path, 'read');
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}

/** The whole file. Rejects where it is longer than `bytesMax`. */
export async function readWhole(disk: Disk, path: string, bytesMax: number): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  try {
    const sizeBytes = await file.sizeBytes();
    if (sizeBytes > bytesMax) throw new Error(`${path} has ${sizeBytes} bytes, more than ${bytesMax}`);
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}
