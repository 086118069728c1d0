/**
 * One coordinator a folder: a lock of the kernel, which falls with its process however that dies. It is on the folder itself:
 * a file would be taken for a leftover and deleted, and the next coordinator would lock another one of its name.
 *
 * Node has no flock(2), but the lock belongs to the open file description, not to the process that asked for it. So
 * the program `flock` of util-linux is started once with our descriptor as its own 3, locks it, and is gone: the
 * description is still open here, hence still locked. It falls when the last descriptor is closed, by us or, after
 * kill -9, by the kernel. (Node opens with O_CLOEXEC: no other child of ours inherits it.)
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';

const LOCK_TIMEOUT_MS = 5_000;
/** What `flock -n` exits with where somebody else holds the lock. */
const FLOCK_EXIT_HELD = 1;

export interface FolderLock {
  /** Gives the folder free. */
  release(): void;
}

/**
 * Locks an existing folder, or says that another process holds it. Blocks for some milliseconds: for the start only.
 * Throws where the folder is missing, can't be read, or there is no program `flock`.
 */
export function lockFolder(dir: string): FolderLock | 'held' {
  const descriptor = fs.openSync(dir, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const { status, error, stderr } = spawnSync('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
    timeout: LOCK_TIMEOUT_MS,
  });
  if (status === 0) return { release: () => fs.closeSync(descriptor) };
  fs.closeSync(descriptor);
  if (status === FLOCK_EXIT_HELD) return 'held';
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    throw new Error(
      'the program "flock" was not found: install util-linux, which keeps two coordinators off one folder',
    );
  }
  const reason = error?.message ?? (String(stderr).trim() || `flock exited with ${String(status)}`);
  throw new Error(`${dir} could not be locked: ${reason}`);
}
