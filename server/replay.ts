/**
 * Second composition root: rebuilds state from a data folder without serving it. The coordinator starts with it; as a
 * worker thread it makes snapshots beside a running coordinator; the offline tools look back and repair with it, and
 * standbys will begin here.
 */
import { link } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { clientsDomain } from './clients/clients-domain.ts';
import { describeEvent as describeClientsEvent, describeRecord as describeClientsRecord } from './clients/described.ts';
import { type AnyDomain, type EventRecord, NewerDataError } from './coordinator/domain.ts';
import { type Batch, COORDINATOR_DOMAIN } from './coordinator/event-log.ts';
import { Replica, type SnapshotRecord } from './coordinator/replica.ts';
import { counterDomain } from './counters/counter-domain.ts';
import {
  describeEvent as describeCounterEvent,
  describeRecord as describeCounterRecord,
} from './counters/described.ts';
import { blockingDisk } from './journal/blocking-disk.ts';
import { type BuiltSnapshot, buildSnapshot } from './journal/build-snapshot.ts';
import { type Disk, nodeDisk } from './journal/disk.ts';
import { CorruptJournalError, UnknownFormatError } from './journal/errors.ts';
import { listFolder } from './journal/file-names.ts';
import { lockFolder } from './journal/folder-lock.ts';
import { corruptionOf, eventsOf, type LookbackItem, type Moment, readBatches } from './journal/lookback.ts';
import { unpackSized, unpackValues } from './journal/msgpack.ts';
import { pacedDisk } from './journal/paced-disk.ts';
import { type Recovered, recover } from './journal/recover.ts';
import { applyRepair, findLost, type LostEvents } from './journal/repair.ts';
import { planRepair, type RepairPlan } from './journal/repair-plan.ts';
import { scanSnapshot } from './journal/snapshot.ts';
import { NO_REST, type SnapshotRequest } from './journal/snapshot-rotation.ts';
import { type VerifyReport, verifyFolder } from './journal/verify.ts';
import {
  type DescribedRecord,
  describeEvent as describeLeaseEvent,
  type Fields,
  recordDescriber as leaseRecordDescriber,
} from './lease/described.ts';
import { describeHeld, type HeldLease, type HistoryFilter, utcText } from './lease/history.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import { maskValue } from './lease/masking.ts';
import { describePast, lookBack, type NothingKept, type PastLeases } from './past-leases.ts';
import {
  describeEvent as describeRedirectEvent,
  describeRecord as describeRedirectRecord,
} from './redirects/described.ts';
import { redirectDomain } from './redirects/redirect-domain.ts';

export type { Fault } from './journal/fault.ts';
export type { FileReport } from './journal/verify.ts';
export { dayText, describeHeld, utcText } from './lease/history.ts';
export { maskText } from './lease/masking.ts';
export { describePast } from './past-leases.ts';
export type { Fields, HeldLease, HistoryFilter, LostEvents, Moment, PastLeases, RepairPlan, VerifyReport };

/** Every domain there is, in the order in which snapshots hold them. */
export const DOMAINS: readonly AnyDomain[] = [leaseDomain, counterDomain, clientsDomain, redirectDomain];

/** Rebuilds the state of a folder that is locked by us, putting right what a crash left. */
export async function recoverFolder(dir: string): Promise<{ replica: Replica; recovered: Recovered }> {
  const replica = replayingReplica();
  const recovered = await recover(nodeDisk, dir, replica);
  replica.endReplay();
  return { replica, recovered };
}

/** For one over which nobody decides: its replay need never end. */
function replayingReplica(): Replica {
  const replica = new Replica(DOMAINS);
  replica.beginReplay();
  return replica;
}

/** Of a worker's time. A snapshot has all the time there is, as a rule; who looks back waits for the answer. */
const REST_PER_WORK = { snapshot: 20, past: 1 } as const;

/** Before it rests at all: new code is slow, and a small snapshot is made in that time. */
const HEAD_START_MS = 100;

/** V8 collects young garbage in threads that know no priority: in short pieces, so that no commit waits long behind one. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 1 };

interface SnapshotTask {
  readonly task: 'snapshot';
  readonly dir: string;
  readonly upToPosition: number;
  readonly hurryPercent: Int32Array;
}

interface PastTask extends PastQuestion {
  readonly task: 'past';
  readonly dir: string;
}

/** Makes a snapshot in a worker thread; resolves when it is durable under its name. */
export async function snapshotInWorker(
  dir: string,
  { upToPosition, hurryPercent, signal }: SnapshotRequest,
): Promise<BuiltSnapshot> {
  return (await runInWorker({ task: 'snapshot', dir, upToPosition, hurryPercent }, signal)) as BuiltSnapshot;
}

/** Resolves to what the task comes to. Rejects where it fails, and soon where it is called off. */
function runInWorker(task: SnapshotTask | PastTask, signal: AbortSignal): Promise<unknown> {
  const worker = new Worker(new URL(import.meta.url), { workerData: task, resourceLimits: WORKER_LIMITS });
  const stop = () => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the ${task.task} worker ended with ${code}`)));
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
    else if (item.type === 'fault') fault ??= corruptionOf(item);
    else {
      if (fault && item.stored.batch.position > from) throw fault;
      fault = undefined;
      yield* dumpBatch(item, from, toPosition ?? Infinity);
    }
  }
  if (fault) throw fault;
}

function* dumpBatch(
  { name, stored }: Extract<LookbackItem, { type: 'batch' }>,
  fromPosition: number,
  toPosition: number,
): Generator<DumpItem> {
  for (const [index, record] of eventsOf(name, stored).entries()) {
    const position = stored.batch.position + index;
    if (position < fromPosition || position > toPosition) continue;
    yield { type: 'line', line: lineOf(stored.batch, index, record) };
  }
}

/** An event as people may see it: in the dump, and in the stream over HTTP. */
export interface EventLine extends Fields {
  readonly position: number;
  readonly domain: string;
  readonly event: string;
  readonly fields: Fields;
}

function lineOf({ position, epoch, clockMs, utcMs }: Batch, index: number, record: EventRecord): EventLine {
  const [domain, event, version] = record;
  const fields = fieldsOf(record);
  return {
    position: position + index,
    epoch,
    utc: utcText(utcMs),
    clock_ms: clockMs,
    domain,
    event,
    version,
    fields,
  };
}

/** The events of a batch in order, each described only when it is asked for. */
export function unreadEventsOf(batch: Batch) {
  return unpackSized(batch.payload).map(({ value, bytes }, index) => {
    const record = value as EventRecord;
    return {
      position: batch.position + index,
      domain: record[0],
      name: record[1],
      bytes,
      describe: () => lineOf(batch, index, record),
    };
  });
}

async function* dumpSnapshot(dir: string, { name, position }: { name: string; position: number }) {
  const describers = new Map(Array.from(DESCRIBING, ([domain, describing]) => [domain, describing.records()]));
  for await (const part of scanSnapshot(nodeDisk, dir, name, position)) {
    if (part.type === 'fault') throw new CorruptJournalError(name, part.offset, part.reason);
    if (part.type !== 'chunk') continue;
    for (const [domain, record] of unpackValues(part.payload) as SnapshotRecord[]) {
      for (const { kind, version, fields } of known(describers, domain)(record)) {
        const line = { snapshot: position, domain, record: kind, version, fields };
        yield { type: 'line', line } as const;
      }
    }
  }
}

function fieldsOf(record: EventRecord): Fields {
  return record[0] === COORDINATOR_DOMAIN ? {} : known(DESCRIBING, record[0]).event(record);
}

interface Describing {
  event(record: EventRecord): Fields;
  /** For those of one snapshot, in their order: what a record says may go by the ones before it. */
  records(): (record: unknown) => readonly DescribedRecord[];
}

/** Each domain says for itself what of its events and records people may see. */
const DESCRIBING: ReadonlyMap<string, Describing> = new Map([
  [leaseDomain.name, { event: describeLeaseEvent, records: leaseRecordDescriber }],
  // A counter may be named for an address, credentials and all.
  [
    counterDomain.name,
    {
      event: (record) => maskValue(describeCounterEvent(record)) as Fields,
      records: () => (record) => maskValue(describeCounterRecord(record)) as DescribedRecord[],
    },
  ],
  [clientsDomain.name, { event: describeClientsEvent, records: () => describeClientsRecord }],
  [redirectDomain.name, { event: describeRedirectEvent, records: () => describeRedirectRecord }],
]);

function known<Value>(byDomain: ReadonlyMap<string, Value>, domain: string): Value {
  const found = byDomain.get(domain);
  if (!found) throw new NewerDataError(`domain "${domain}"`);
  return found;
}

/** What the journal and the lease domain say of a time of the past. */
export function whoHeld(dir: string, utcMs: number, filter: HistoryFilter): Promise<PastLeases | NothingKept> {
  return lookBack({ disk: nodeDisk, dir, createReplica: replayingReplica }, utcMs, filter);
}

/** About the folder of a running coordinator. */
export interface PastQuestion {
  readonly utcMs: number;
  readonly filter: HistoryFilter;
  /** The last durable one: what is behind it nobody may see yet. */
  readonly upToPosition: number;
}

export type PastAnswer =
  /** JSON. */
  | { readonly type: 'answer'; readonly text: string }
  | { readonly type: 'not_kept'; readonly keptFromUtc: string | undefined }
  | { readonly type: 'damaged'; readonly message: string };

/** The same in a worker thread. Rejects soon where it is called off. */
export async function lookBackInWorker(dir: string, question: PastQuestion, signal: AbortSignal): Promise<PastAnswer> {
  return (await runInWorker({ task: 'past', dir, ...question }, signal)) as PastAnswer;
}

async function answerPast(disk: Disk, { dir, utcMs, filter, upToPosition }: PastTask): Promise<PastAnswer> {
  try {
    const past = await lookBack({ disk, dir, createReplica: replayingReplica, upToPosition }, utcMs, filter);
    if (!('moment' in past)) {
      const { keptFromUtcMs } = past;
      return { type: 'not_kept', keptFromUtc: keptFromUtcMs === undefined ? undefined : utcText(keptFromUtcMs) };
    }
    const { leases, hasMore, faults } = past;
    const answer = {
      ...describePast(utcMs, past),
      leases: leases.map(describeHeld),
      ...(hasMore ? { next: leases.at(-1)!.lease } : {}),
      // How leases ended may be missing.
      ...(faults.length > 0 ? { faults: faults.map(({ message }) => message) } : {}),
    };
    return { type: 'answer', text: JSON.stringify(answer) };
  } catch (error) {
    if (isAboutData(error)) return { type: 'damaged', message: (error as Error).message };
    throw error;
  }
}

if (!isMainThread && isTask(workerData)) {
  const task: SnapshotTask | PastTask = workerData;
  // On Linux that is the niceness of the calling thread alone: where all cores are busy, who waits for a lease goes first.
  setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  const disk = pacedDisk(blockingDisk, {
    headStartMs: HEAD_START_MS,
    restPerWork: () => restPerWork(task),
    nowMs: () => performance.now(),
    pause: (ms) => setTimeout<void>(ms),
  });
  parentPort?.postMessage(
    task.task === 'past'
      ? await answerPast(disk, task)
      : await buildSnapshot(disk, task.dir, replayingReplica(), task.upToPosition),
  );
}

function restPerWork(task: SnapshotTask | PastTask): number {
  if (task.task === 'past') return REST_PER_WORK.past;
  return REST_PER_WORK.snapshot * (1 - Atomics.load(task.hurryPercent, 0) / NO_REST);
}

function isTask(data: unknown): data is SnapshotTask | PastTask {
  if (typeof data !== 'object' || data === null) return false;
  const { task } = data as Partial<SnapshotTask | PastTask>;
  return task === 'snapshot' || task === 'past';
}
