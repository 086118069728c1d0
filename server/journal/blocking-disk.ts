/**
 * The file system for a thread of its own: each call blocks that thread until it is done. All threads of a process share
 * one small pool for calls that don't block; a snapshot's would stand in it before the commits of the journal.
 */
import * as fs from 'node:fs';
import { type Disk, type DiskFile, errorCode, FILE_MODE, FOLDER_MODE, naming, OPEN_FLAGS } from './disk.ts';

export const blockingDisk: Disk = {
  async open(path, mode) {
    return new BlockingFile(fs.openSync(path, OPEN_FLAGS[mode], FILE_MODE), path);
  },
  async list(folder) {
    return fs.readdirSync(folder);
  },
  async rename(from, to) {
    fs.renameSync(from, to);
  },
  async remove(path) {
    fs.unlinkSync(path);
  },
  async makeFolder(folder) {
    try {
      fs.mkdirSync(folder, { mode: FOLDER_MODE });
      return true;
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false;
      throw error;
    }
  },
  async syncFolder(folder) {
    const descriptor = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  },
  async freeBytes(folder) {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize;
  },
};

class BlockingFile implements DiskFile {
  readonly #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  async sizeBytes(): Promise<number> {
    return this.#call(() => fs.fstatSync(this.#descriptor).size);
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let taken = 0;
    while (taken < into.length) {
      const start = taken;
      const count = this.#call(() => fs.readSync(this.#descriptor, into, start, into.length - start, offset + start));
      if (count === 0) break;
      taken += count;
    }
    return taken;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    let taken = 0;
    while (taken < bytes.length) {
      const start = taken;
      const count = this.#call(() =>
        fs.writeSync(this.#descriptor, bytes, start, bytes.length - start, offset + start),
      );
      if (count === 0) throw new Error(`write took ${taken} of ${bytes.length} bytes and then none`);
      taken += count;
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#call(() => fs.ftruncateSync(this.#descriptor, sizeBytes));
  }

  async sync(): Promise<void> {
    this.#call(() => fs.fsyncSync(this.#descriptor));
  }

  async close(): Promise<void> {
    this.#call(() => fs.closeSync(this.#descriptor));
  }

  #call<Result>(call: () => Result): Result {
    try {
      return call();
    } catch (error) {
      throw naming(error as Error, this.#path);
    }
  }
}
