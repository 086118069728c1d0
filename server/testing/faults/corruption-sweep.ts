/**
 * Damage in every one place of a small folder. Whatever it is, a start comes to the same state, or refuses and has
 * written nothing, or takes the last batch for torn where that could be the work of a crash.
 */
import { join } from 'node:path';
import { Replica } from '../../coordinator/replica.ts';
import type { Disk } from '../../journal/disk.ts';
import { type Recovered, recover } from '../../journal/recover.ts';
import {
  cutsAndFlips,
  type Damage,
  type Files,
  misplacements,
  type SoundFolder,
  soundFolders,
} from './damaged-folders.ts';
import type { FaultRun } from './fault-run.ts';
import { stateText } from './journal-history.ts';
import { DIR } from './journal-lives.ts';
import { leaseLoad } from './journal-load.ts';

/** Whether a clean stop leaves a mark that any damage is held against: then no end may be missing behind one. */
const IS_STOP_MARKED = true;
/** What a start that refuses may say: exit code 65. */
const REFUSALS: ReadonlySet<string> = new Set(['CorruptJournalError', 'UnknownFormatError', 'NewerDataError']);
const PROGRESS_EVERY = 1_000;

/** Cases are damaged folders; there are as many as there are, of each seed its own. A finding ends the run. */
export const corruptionSweep: FaultRun = async ({ seed, cases, onProgress }) => {
  const folders = await soundFolders(seed);
  for (const folder of folders) {
    const finding = await findingOf(folder, { what: '', files: folder.files, isEndGone: false });
    if (finding !== undefined) return { cases: 0, findings: [lineOf(seed, folder, 'nothing is damaged', finding)] };
  }
  let done = 0;
  for (const { folder, damage } of damagesOf(folders)) {
    if (done === cases) return { cases, findings: [] };
    const finding = await findingOf(folder, damage);
    if (finding !== undefined) {
      const line = lineOf(seed, folder, damage.what, finding, `--damage ${done}`);
      return { cases: done + 1, findings: [line] };
    }
    done += 1;
    if (done % PROGRESS_EVERY === 0) onProgress?.(done);
  }
  return { cases: done, findings: [] };
};

/** One damage once more; undefined: nothing is wrong with what becomes of it. */
export async function replayDamage(seed: number, number: number): Promise<string | undefined> {
  let at = 0;
  for (const { folder, damage } of damagesOf(await soundFolders(seed))) {
    if (at === number) {
      const finding = await findingOf(folder, damage);
      return finding === undefined ? undefined : lineOf(seed, folder, damage.what, finding, `--damage ${number}`);
    }
    at += 1;
  }
  return undefined;
}

function* damagesOf(folders: readonly SoundFolder[]): Generator<{ folder: SoundFolder; damage: Damage }> {
  for (const damagesIn of [misplacements, cutsAndFlips]) {
    for (const folder of folders) for (const damage of damagesIn(folder)) yield { folder, damage };
  }
}

function lineOf(seed: number, folder: SoundFolder, what: string, finding: string, flags = ''): string {
  const again = `node dist/server/testing/faults/run-crash-states.js --corruption --seed ${seed} ${flags}`;
  return `folder ${seed} (${folder.name}), ${what}: ${finding} (again: ${again.trim()})`;
}

async function findingOf(folder: SoundFolder, damage: Damage): Promise<string | undefined> {
  const disk = new FilesDisk(damage.files);
  const replica = new Replica([leaseLoad.domain]);
  let recovered: Recovered;
  try {
    recovered = await recover(disk, DIR, replica);
  } catch (error) {
    const { name, message } = error as Error;
    if (!REFUSALS.has(name)) return `a start ends in ${(error as Error).stack}`.replaceAll('\n', ' ');
    return disk.changeCount === 0 ? undefined : `a start refuses (${message}) and has changed the folder`;
  }
  const index = folder.places.findIndex(({ position }) => position === recovered.position);
  const state = stateText(replica);
  if (index < 0)
    return `a start comes to position ${recovered.position}, and the end was ${folder.places.at(-1)!.position}`;
  if (state !== folder.places[index]!.state) return `the state at position ${recovered.position} is ${state}`;
  const lost = folder.places.length - 1 - index;
  const isMarked = IS_STOP_MARKED && folder.isStopped;
  if (lost === 0) return isMarked && recovered.cutTail ? `${recovered.cutTail.bytes} bytes were cut` : undefined;
  if (isMarked) return `a start has lost ${lost} of the last batches, and the stop was a clean one`;
  // Of an end that was cut off between two batches nothing tells, and one that is missing was never there, it seems.
  if (lost > 1 && !damage.isEndGone) return `a start has lost ${lost} of the last batches`;
  return undefined;
}

/** Files in memory that take any change, and count them. */
class FilesDisk implements Disk {
  readonly #files: Map<string, Buffer>;
  changeCount = 0;

  constructor(files: Files) {
    this.#files = new Map([...files].map(([name, bytes]) => [join(DIR, name), bytes]));
  }

  open(path: string, mode: string) {
    if (mode !== 'read') {
      this.changeCount += 1;
      this.#files.set(path, Buffer.alloc(0));
    }
    const held = () => this.#files.get(path) ?? Buffer.alloc(0);
    const change = (bytes: Buffer) => {
      this.changeCount += 1;
      this.#files.set(path, bytes);
      return Promise.resolve();
    };
    return Promise.resolve({
      sizeBytes: () => Promise.resolve(held().length),
      read: (into: Uint8Array, offset: number) => Promise.resolve(held().copy(into, 0, offset)),
      write: (bytes: Uint8Array, offset: number) => change(Buffer.concat([held().subarray(0, offset), bytes])),
      truncate: (sizeBytes: number) => change(held().subarray(0, sizeBytes)),
      sync: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()].map((path) => path.slice(DIR.length + 1)));
  }

  rename(from: string, to: string): Promise<void> {
    this.changeCount += 1;
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.changeCount += 1;
    this.#files.delete(path);
    return Promise.resolve();
  }

  makeFolder(): Promise<boolean> {
    return Promise.resolve(false);
  }

  syncFolder(): Promise<void> {
    return Promise.resolve();
  }

  freeBytes(): Promise<number> {
    return Promise.resolve(Number.MAX_SAFE_INTEGER);
  }
}
