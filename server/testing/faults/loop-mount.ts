/** A file system in a file, mounted by way of a loop device, from which the power can be taken. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type FileSystem = 'ext4' | 'xfs';

const MIB = 1_048_576;
const IMAGE_BYTES: Readonly<Record<FileSystem, number>> = { ext4: 128 * MIB, xfs: 320 * MIB };
const MAKE: Readonly<Record<FileSystem, readonly [command: string, ...flags: string[]]>> = {
  ext4: ['mkfs.ext4', '-qF'],
  xfs: ['mkfs.xfs', '-qf'],
};
/** The kernel lets go of the mount some moments after the last process in it has ended. */
const UNMOUNT_TRIES = 50;
const UNMOUNT_PAUSE_MS = 20;

export class LoopMount {
  /** Where it is mounted. */
  readonly dir: string;
  readonly #folder: string;
  readonly #image: string;
  #isMounted = false;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#image = join(folder, 'image');
    this.dir = join(folder, 'mount');
  }

  /** Makes and mounts it. Whoever opens it closes it, whatever happens meanwhile. */
  static async open(fileSystem: FileSystem): Promise<LoopMount> {
    const mount = new LoopMount(await mkdtemp(join(tmpdir(), 'leasehold-loop-')));
    try {
      await mkdir(mount.dir);
      await writeFile(mount.#image, '');
      await truncate(mount.#image, IMAGE_BYTES[fileSystem]);
      const [command, ...flags] = MAKE[fileSystem];
      await run(command, [...flags, mount.#image]);
      await mount.#mount();
      return mount;
    } catch (error) {
      await mount.close();
      throw error;
    }
  }

  /**
   * From now on nothing reaches the image: what the kernel holds back in memory is lost, as it is with the power. Stop
   * the process that writes before it, and kill it after: one that ran on could see calls answered that were not done.
   */
  async cutPower(): Promise<void> {
    await run('xfs_io', ['-x', '-c', 'shutdown', this.dir]);
  }

  /** Mounts it again, which repairs the file system itself. Nothing may run in it. */
  async restorePower(): Promise<void> {
    await this.#unmount();
    await this.#mount();
  }

  async close(): Promise<void> {
    if (this.#isMounted) await this.#unmount();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.dir]);
    this.#isMounted = true;
  }

  async #unmount(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await run('umount', [this.dir]);
        break;
      } catch (error) {
        if (tries === UNMOUNT_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, UNMOUNT_PAUSE_MS));
      }
    }
    this.#isMounted = false;
  }
}

/** Why no power can be cut here; undefined: it can. */
export async function whyNoLoopMount(fileSystem: FileSystem): Promise<string | undefined> {
  try {
    const mount = await LoopMount.open(fileSystem);
    try {
      await mount.cutPower();
    } finally {
      await mount.close();
    }
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n')[0];
  }
}
