/**
 * Second composition root: rebuilds state from a data folder without serving it. The coordinator starts with it; as a
 * worker thread it makes snapshots beside a running coordinator; the offline tools and standbys will begin here.
 */
import { constants, setPriority } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { AnyDomain } from './coordinator/domain.ts';
import { Replica } from './coordinator/replica.ts';
import { blockingDisk } from './journal/blocking-disk.ts';
import { buildSnapshot } from './journal/build-snapshot.ts';
import { nodeDisk } from './journal/disk.ts';
import { type Recovered, recover } from './journal/recover.ts';
import { leaseDomain } from './lease/lease-domain.ts';

/** Every domain there is, in the order in which snapshots hold them. */
export const DOMAINS: readonly AnyDomain[] = [leaseDomain];

/** Rebuilds the state of a folder that is locked by us, putting right what a crash left. */
export async function recoverFolder(dir: string): Promise<{ replica: Replica; recovered: Recovered }> {
  const replica = replayingReplica();
  const recovered = await recover(nodeDisk, dir, replica);
  replica.endReplay();
  return { replica, recovered };
}

function replayingReplica(): Replica {
  const replica = new Replica(DOMAINS);
  replica.beginReplay();
  return replica;
}

interface SnapshotTask {
  readonly task: 'snapshot';
  readonly dir: string;
  readonly upToPosition: number;
}

/** Makes a snapshot in a worker thread; resolves when it is durable under its name. */
export function snapshotInWorker(dir: string, upToPosition: number, signal: AbortSignal): Promise<void> {
  const task: SnapshotTask = { task: 'snapshot', dir, upToPosition };
  const worker = new Worker(new URL(import.meta.url), { workerData: task });
  const stop = () => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<void>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the snapshot worker ended with ${code}`)));
  }).finally(() => signal.removeEventListener('abort', stop));
}

if (!isMainThread && isSnapshotTask(workerData)) {
  const { dir, upToPosition } = workerData;
  // On Linux that is the niceness of the calling thread alone: where all cores are busy, who waits for a lease goes first.
  setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  // Nobody decides over it: its replay never ends.
  await buildSnapshot(blockingDisk, dir, replayingReplica(), upToPosition);
  parentPort?.postMessage('done');
}

function isSnapshotTask(data: unknown): data is SnapshotTask {
  return typeof data === 'object' && data !== null && (data as Partial<SnapshotTask>).task === 'snapshot';
}
