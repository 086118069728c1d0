/**
 * Second composition root: rebuilds state from a data folder without serving it. The coordinator starts with it; as a
 * worker thread it makes snapshots beside a running coordinator; the offline tools look back and repair with it, and
 * standbys will begin here.
 */
import { link } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type AnyDomain, type EventRecord, NewerDataError } from './coordinator/domain.ts';
import { COORDINATOR_DOMAIN } from './coordinator/event-log.ts';
import { Replica, type SnapshotRecord } from './coordinator/replica.ts';
import { blockingDisk } from './journal/blocking-disk.ts';
import { buildSnapshot } from './journal/build-snapshot.ts';
import { nodeDisk } from './journal/disk.ts';
import { CorruptJournalError, UnknownFormatError } from './journal/errors.ts';
import { listFolder } from './journal/file-names.ts';
import { lockFolder } from './journal/folder-lock.ts';
import { eventsOf, findMoment, type LookbackItem, type Moment, readBatches } from './journal/lookback.ts';
import { unpackValues } from './journal/msgpack.ts';
import { pacedDisk } from './journal/paced-disk.ts';
import { type Recovered, recover } from './journal/recover.ts';
import { applyRepair, findLost, type LostEvents } from './journal/repair.ts';
import { planRepair, type RepairPlan } from './journal/repair-plan.ts';
import { scanSnapshot } from './journal/snapshot.ts';
import type { SnapshotRequest } from './journal/snapshot-rotation.ts';
import { onUnmovedFolder, type VerifyReport, verifyFolder } from './journal/verify.ts';
import { describeEvent, describeRecord, type Fields } from './lease/described.ts';
import { type HeldLease, HISTORY_EVENTS, type HistoryFilter, LeaseHistory } from './lease/history.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import type { LeaseState } from './lease/state.ts';

export type { Fault } from './journal/fault.ts';
export type { FileReport } from './journal/verify.ts';
export { maskText } from './lease/masking.ts';
export type { Fields, HeldLease, HistoryFilter, LostEvents, Moment, RepairPlan, VerifyReport };

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
  readonly isUrgent: boolean;
}

/** Makes a snapshot in a worker thread; resolves when it is durable under its name. */
export function snapshotInWorker(dir: string, { upToPosition, isUrgent, signal }: SnapshotRequest): Promise<void> {
  const task: SnapshotTask = { task: 'snapshot', dir, upToPosition, isUrgent };
  const worker = new Worker(new URL(import.meta.url), { workerData: task });
  const stop = () => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<void>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the snapshot worker ended with ${code}`)));
  }).finally(() => signal.removeEventListener('abort', stop));
}

/** Looks at all of a folder and changes nothing; also of one that is in use. */
export function verifyData(dir: string): Promise<VerifyReport> {
  return verifyFolder({ disk: nodeDisk, dir, createReplica: () => new Replica(DOMAINS) });
}

/** Whether an error is about the data in a folder, and not about the machine or the program. */
export function isAboutData(error: unknown): boolean {
  return error instanceof CorruptJournalError || error instanceof UnknownFormatError || error instanceof NewerDataError;
}

export interface RepairResult {
  readonly plan: RepairPlan;
  readonly lost: LostEvents | undefined;
  /** The folder, within the data folder, that keeps the originals; undefined: nothing was changed. */
  readonly keptIn: string | undefined;
  /** Of what was found; after a repair, of what it made. */
  readonly report: VerifyReport;
}

/** What a repair would do. Changes nothing and takes no lock. */
export async function planRepairOf(dir: string): Promise<RepairResult> {
  const report = await verifyData(dir);
  const plan = planRepair(report);
  const lost = plan.kind === 'repair' ? await findLost(nodeDisk, dir, plan) : undefined;
  return { plan, lost, keptIn: undefined, report };
}

/** Does it, as the one who has the folder. `keptIn`: a new folder in it. */
export async function repairData(dir: string, keptIn: string): Promise<RepairResult | 'held'> {
  const lock = lockFolder(dir);
  if (lock === 'held') return 'held';
  try {
    const planned = await planRepairOf(dir);
    const { plan, lost } = planned;
    if (plan.kind !== 'repair') return planned;
    await applyRepair({ ...nodeDisk, link }, dir, plan, keptIn);
    return { plan, lost, keptIn, report: await verifyData(dir) };
  } finally {
    lock.release();
  }
}

export interface DumpOptions {
  readonly fromPosition: number | undefined;
  readonly toPosition: number | undefined;
  /** The records of the oldest snapshot kept come first, and events from there on. */
  readonly withSnapshot: boolean;
}

export type DumpItem =
  | { readonly type: 'line'; readonly line: Fields }
  /** For the reader beside the data. */
  | { readonly type: 'note'; readonly note: string };

/** The journal as objects for people, without secrets. Throws CorruptJournalError at the first damage on the way. */
export async function* dumpData(
  dir: string,
  { fromPosition, toPosition, withSnapshot }: DumpOptions,
): AsyncGenerator<DumpItem> {
  const { snapshots, deltas } = await listFolder(nodeDisk, dir);
  const [oldest] = snapshots;
  if (withSnapshot && !oldest) yield { type: 'note', note: 'there is no snapshot' };
  if (withSnapshot && oldest) yield* dumpSnapshot(dir, oldest);
  const first = deltas[0]?.position ?? 1;
  const from = Math.max(fromPosition ?? 1, withSnapshot && oldest ? oldest.position + 1 : 1);
  if (fromPosition !== undefined && from < first) {
    yield { type: 'note', note: `nothing is kept from before position ${first}` };
  }
  /** Of no interest where all that it can concern lies before the range. */
  let fault: CorruptJournalError | undefined;
  for await (const item of readBatches(nodeDisk, dir, { fromPosition: from, toPosition })) {
    if (item.type === 'note') yield item;
    else if (item.type === 'fault') fault ??= corruption(item);
    else {
      if (fault && item.stored.batch.position > from) throw fault;
      fault = undefined;
      yield* dumpBatch(item, from, toPosition ?? Infinity);
    }
  }
  if (fault) throw fault;
}

function corruption({ fault: { file, offset, message } }: Extract<LookbackItem, { type: 'fault' }>) {
  return new CorruptJournalError(file, offset, message);
}

function* dumpBatch(
  { name, stored }: Extract<LookbackItem, { type: 'batch' }>,
  fromPosition: number,
  toPosition: number,
): Generator<DumpItem> {
  const { position: batchPosition, epoch, clockMs, utcMs } = stored.batch;
  for (const [index, record] of eventsOf(name, stored).entries()) {
    const position = batchPosition + index;
    if (position < fromPosition || position > toPosition) continue;
    const [domain, event, version] = record;
    const place = { position, epoch, utc: utcText(utcMs), clock_ms: clockMs };
    yield { type: 'line', line: { ...place, domain, event, version, fields: fieldsOf(record) } };
  }
}

async function* dumpSnapshot(dir: string, { name, position }: { name: string; position: number }) {
  for await (const part of scanSnapshot(nodeDisk, dir, name, position)) {
    if (part.type === 'fault') throw new CorruptJournalError(name, part.offset, part.reason);
    if (part.type !== 'chunk') continue;
    for (const [domain, record] of unpackValues(part.payload) as SnapshotRecord[]) {
      if (domain !== leaseDomain.name) throw new NewerDataError(`domain "${domain}"`);
      for (const { kind, version, fields } of describeRecord(record)) {
        const line = { snapshot: position, domain, record: kind, version, fields };
        yield { type: 'line', line } as const;
      }
    }
  }
}

/** Each domain says for itself what of an event people may see. */
function fieldsOf(record: EventRecord): Fields {
  if (record[0] === COORDINATOR_DOMAIN) return {};
  if (record[0] === leaseDomain.name) return describeEvent(record);
  throw new NewerDataError(`domain "${record[0]}"`);
}

export interface PastLeases {
  readonly moment: Moment;
  readonly leases: readonly HeldLease[];
  /** Of the last event kept. */
  readonly endPosition: number;
  /** Damage behind the moment: how leases ended may be missing. */
  readonly faults: readonly CorruptJournalError[];
}

/**
 * Who held what when the wall clock showed `utcMs`, from the newest snapshot kept before it on. undefined as `found`:
 * nothing is kept from then. Throws CorruptJournalError where damage stands before the moment.
 */
export function whoHeld(
  dir: string,
  utcMs: number,
  filter: HistoryFilter,
): Promise<PastLeases | { readonly keptFromUtcMs: number | undefined }> {
  return onUnmovedFolder(async () => {
    const found = await findMoment(nodeDisk, dir, utcMs);
    if (!found.found) return { keptFromUtcMs: found.keptFromUtcMs };
    const { moment, endPosition } = found;
    const replica = new Replica(DOMAINS);
    const recovered = await recover(nodeDisk, dir, replica, { cut: false, upTo: moment.position });
    if (recovered.position !== moment.position) {
      throw new Error(`position ${moment.position} was found, and the files lead to ${recovered.position}`);
    }
    const history = new LeaseHistory(replica.state(leaseDomain.name) as LeaseState, moment.clockMs, filter);
    const faults: CorruptJournalError[] = [];
    for await (const item of readBatches(nodeDisk, dir)) {
      if (item.type === 'fault' && item.lastPosition >= moment.position) faults.push(corruption(item));
      if (item.type !== 'batch') continue;
      const { position, utcMs: batchUtcMs } = item.stored.batch;
      for (const [index, record] of eventsOf(item.name, item.stored).entries()) {
        if (record[0] !== leaseDomain.name || !HISTORY_EVENTS.has(record[1])) continue;
        history.saw(leaseDomain.decodeEvent(record), position + index, batchUtcMs);
      }
    }
    return { moment, leases: history.held(), endPosition, faults };
  });
}

/** ISO 8601, as far as it can say. */
export function utcText(utcMs: number): string {
  return Math.abs(utcMs) <= 8.64e15 ? new Date(utcMs).toISOString() : `${utcMs} ms since 1970`;
}

if (!isMainThread && isSnapshotTask(workerData)) {
  const { dir, upToPosition, isUrgent } = workerData;
  const pace = { nowMs: () => performance.now(), pause: (ms: number) => setTimeout<void>(ms) };
  // On Linux that is the niceness of the calling thread alone: where all cores are busy, who waits for a lease goes first.
  setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  // Nobody decides over it: its replay never ends.
  await buildSnapshot(isUrgent ? blockingDisk : pacedDisk(blockingDisk, pace), dir, replayingReplica(), upToPosition);
  parentPort?.postMessage('done');
}

function isSnapshotTask(data: unknown): data is SnapshotTask {
  return typeof data === 'object' && data !== null && (data as Partial<SnapshotTask>).task === 'snapshot';
}
