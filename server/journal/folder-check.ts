/** What verify.ts makes of the pieces of a folder: which of them hang together, what they hold, and what is wrong. */
import { type EventRecord, NewerDataError } from '../coordinator/domain.ts';
import { COORDINATOR_DOMAIN } from '../coordinator/event-log.ts';
import type { Replica, SnapshotRecord } from '../coordinator/replica.ts';
import { lastPositionOf, type StoredBatch } from './batch.ts';
import type { DeltaItem } from './delta-scan.ts';
import type { Fault } from './fault.ts';
import { HEADER_BYTES, type SnapshotHeader } from './file-header.ts';
import { unpackValues } from './msgpack.ts';
import { firstDifference } from './state-difference.ts';
import type { FileReport, Run, RunSegment, StopMark, VerifyReport } from './verify.ts';

/** More are only counted. */
const FAULTS_MAX = 10_000;

export interface SnapshotFile {
  readonly name: string;
  readonly position: number;
  readonly bytes: number;
  readonly header: SnapshotHeader | undefined;
  readonly faults: readonly Fault[];
}

type Open<Type> = { -readonly [Key in keyof Type]: Type[Key] };
type OpenRun = Omit<Open<Run>, 'segments' | 'snapshots'> & { segments: Open<RunSegment>[]; snapshots: number[] };

export class FolderCheck {
  readonly #createReplica: () => Replica;
  /** The state that a snapshot holds; undefined: it holds none, and that has been reported. */
  readonly #restore: (snapshot: SnapshotFile) => Promise<Replica | undefined>;
  readonly #files: Open<FileReport>[] = [];
  readonly #faults: Fault[] = [];
  readonly #notes: string[] = [];
  readonly #runs: OpenRun[] = [];
  /** Sound ones by position. */
  readonly #snapshots = new Map<number, SnapshotFile>();
  #faultsBeyond = 0;
  #segment: { readonly name: string; readonly bytes: number; readonly file: Open<FileReport> } | undefined;
  #run: OpenRun | undefined;
  /** At the end of the run; undefined: nothing sound leads there. */
  #replica: Replica | undefined;
  /** What ends at the last good batch. */
  #lastCrc = 0;
  #tail: { readonly name: string; readonly offset: number } | undefined;

  constructor(createReplica: () => Replica, restore: (snapshot: SnapshotFile) => Promise<Replica | undefined>) {
    this.#createReplica = createReplica;
    this.#restore = restore;
  }

  note(note: string): void {
    this.#notes.push(note);
  }

  fault(fault: Fault): void {
    if (this.#faults.length < FAULTS_MAX) this.#faults.push(fault);
    else this.#faultsBeyond += 1;
    const file = this.#files.find(({ name }) => name === fault.file);
    if (file) file.state = 'damaged';
  }

  /** Before any delta. */
  takeSnapshot(snapshot: SnapshotFile): void {
    const { name, position, bytes, header, faults } = snapshot;
    const utcMs = header?.utcMs;
    const file = { name, kind: 'snapshot', bytes, batches: 0, records: 0, state: 'good' } as const;
    this.#files.push({ ...file, fromPosition: position, toPosition: position, fromUtcMs: utcMs, toUtcMs: utcMs });
    for (const fault of faults) this.fault(fault);
    if (faults.length === 0) this.#snapshots.set(position, snapshot);
  }

  /** False: the chunk's records can't be restored, and that has been reported. */
  restoreChunk(name: string, chunk: { offset: number; payload: Uint8Array }, replica: Replica): boolean {
    const file = this.#files.find((it) => it.name === name)!;
    try {
      for (const record of unpackValues(chunk.payload)) {
        replica.restore(record as SnapshotRecord);
        file.records += 1;
      }
      return true;
    } catch (error) {
      const kind = error instanceof NewerDataError ? 'newer_version' : 'bad_snapshot';
      const message = `its records can't be restored: ${(error as Error).message}`;
      this.fault({ file: name, offset: chunk.offset, kind, message });
      return false;
    }
  }

  async take(item: DeltaItem): Promise<void> {
    switch (item.type) {
      case 'segment':
        return this.#beginSegment(item);
      case 'batch':
        return this.#takeBatch(item.stored, item.continues);
      case 'tail':
        this.#segment!.file.state = 'torn';
        this.#tail = item;
        return this.note(
          `${item.name}: a torn batch of ${item.bytes} bytes at byte ${item.offset}, no fault; the next start cuts it`,
        );
      case 'note':
        return this.note(item.note);
      case 'fault':
        if (item.fault.kind === 'foreign_data' || item.fault.kind === 'newer_version') this.#endRun();
        if (item.missing && item.missing.to <= this.#keptFrom) {
          const { from, to } = item.missing;
          return this.note(`positions ${from} to ${to} are gone already, and two newer snapshots are there: no fault`);
        }
        return this.fault(item.fault);
    }
  }

  /** Up to here old files may be gone, and some of them be left over: two sound snapshots are newer. */
  get #keptFrom(): number {
    return [...this.#snapshots.keys()].sort((one, other) => one - other).at(-2) ?? -1;
  }

  async #beginSegment(item: Extract<DeltaItem, { type: 'segment' }>): Promise<void> {
    const { name, bytes, header, continues } = item;
    const none = { fromPosition: undefined, toPosition: undefined, fromUtcMs: undefined, toUtcMs: undefined };
    const file: Open<FileReport> = { name, kind: 'delta', bytes, ...none, batches: 0, records: 0, state: 'empty' };
    this.#files.push(file);
    this.#segment = { name, bytes, file };
    if (!header) return;
    if (!continues) this.#endRun();
    const { firstPosition, previousCrc, epoch } = header;
    if (!this.#run) await this.#beginRun(firstPosition, previousCrc);
    this.#addSegment(firstPosition, previousCrc, epoch, true);
  }

  async #beginRun(fromPosition: number, previousCrc: number): Promise<void> {
    const isFromBeginning = fromPosition === 1 && previousCrc === 0;
    this.#run = { fromPosition, toPosition: fromPosition - 1, segments: [], snapshots: [], isFromBeginning };
    this.#runs.push(this.#run);
    if (isFromBeginning) this.#replica = this.#createReplica();
    await this.#atBoundary(fromPosition - 1, previousCrc);
  }

  #endRun(): void {
    this.#run = undefined;
    this.#replica = undefined;
  }

  #addSegment(fromPosition: number, previousCrc: number, epoch: number, isFromStart: boolean): void {
    const part = { name: this.#segment!.name, fromPosition, toPosition: fromPosition - 1, previousCrc, epoch };
    this.#run!.segments.push({ ...part, isFromStart, endOffset: HEADER_BYTES });
  }

  async #takeBatch(stored: StoredBatch, continues: boolean): Promise<void> {
    const { batch, previousCrc, offset, crc } = stored;
    const { name, file } = this.#segment!;
    const last = lastPositionOf(batch);
    file.fromPosition ??= batch.position;
    file.fromUtcMs ??= batch.utcMs;
    Object.assign(file, { toPosition: last, toUtcMs: batch.utcMs, batches: file.batches + 1 });
    file.records += batch.eventCount;
    if (file.state === 'empty') file.state = 'good';

    if (!continues) this.#endRun();
    if (!this.#run) await this.#beginRun(batch.position, previousCrc);
    const run = this.#run!;
    if (!this.#applyEvents(stored)) return this.#endRun();
    if (run.segments.at(-1)?.name !== name) {
      const isFromStart = offset === HEADER_BYTES && Number.parseInt(name, 10) === batch.position;
      this.#addSegment(batch.position, previousCrc, batch.epoch, isFromStart);
    }
    const part = run.segments.at(-1)!;
    part.toPosition = last;
    part.endOffset = stored.endOffset;
    run.toPosition = last;
    this.#lastCrc = crc;
    for (const [position, snapshot] of this.#snapshots) {
      if (position >= batch.position && position < last) {
        const message = `it ends inside the batch of positions ${batch.position} to ${last}`;
        this.fault({ file: snapshot.name, offset: 0, kind: 'broken_chain', message });
      }
    }
    await this.#atBoundary(last, crc);
  }

  /** False: they make no sense here, and that has been reported. */
  #applyEvents({ batch, offset }: StoredBatch): boolean {
    const file = this.#segment!.name;
    let records: readonly unknown[];
    try {
      records = unpackValues(batch.payload);
    } catch (error) {
      const message = `its events can't be decoded: ${(error as Error).message}`;
      this.fault({ file, offset, kind: 'bad_events', message });
      return false;
    }
    if (records.length !== batch.eventCount) {
      const message = `it holds ${records.length} events, not ${batch.eventCount}`;
      this.fault({ file, offset, kind: 'bad_events', message });
      return false;
    }
    for (const [index, record] of (records as EventRecord[]).entries()) {
      if (record[0] === COORDINATOR_DOMAIN) continue;
      try {
        this.#replica?.apply(record);
      } catch (error) {
        const kind = error instanceof NewerDataError ? 'newer_version' : 'bad_events';
        const what = `the event at position ${batch.position + index} can't be applied`;
        this.fault({ file, offset, kind, message: `${what}: ${(error as Error).message}` });
        return false;
      }
    }
    return true;
  }

  /** Between two batches, the first of which has this CRC. */
  async #atBoundary(position: number, crc: number): Promise<void> {
    const snapshot = this.#snapshots.get(position);
    if (!snapshot || this.#run!.snapshots.includes(position)) return;
    const report = (kind: 'broken_chain' | 'other_state', message: string) =>
      this.fault({ file: snapshot.name, offset: 0, kind, message });
    if (snapshot.header!.batchCrc !== crc) {
      // Where it follows from the other side of a break, the fault is in this side.
      if (this.#runs.some(({ snapshots }) => snapshots.includes(position))) return;
      return report('broken_chain', `it does not follow from the batch that ends at position ${position}`);
    }
    const restored = await this.#restore(snapshot);
    if (!restored) return void this.#snapshots.delete(position);
    this.#run!.snapshots.push(position);
    const difference = this.#replica && firstDifference(this.#replica, restored);
    if (difference) {
      const { number, kind } = difference;
      report('other_state', `record ${number} (${kind}) is not what the older files give: they hold two histories`);
    }
    this.#replica = restored;
  }

  /** Everything has been read. */
  async end(): Promise<void> {
    this.#segment = undefined;
    const led = new Set(this.#runs.flatMap(({ snapshots }) => snapshots));
    for (const [index, { fromPosition, toPosition, snapshots, isFromBeginning, segments }] of this.#runs.entries()) {
      if (isFromBeginning || snapshots.length > 0) continue;
      const [first] = segments;
      if (!first) continue;
      if (toPosition <= this.#keptFrom) {
        this.note(`${first.name}: left over, no fault: two newer snapshots are there`);
      } else if (index === 0) {
        const message = `it begins at position ${fromPosition}, and nothing leads there`;
        this.fault({ file: first.name, offset: 0, kind: 'unreached', message });
      }
    }
    const lastPosition = Math.max(0, ...this.#runs.map(({ toPosition }) => toPosition));
    for (const [position, snapshot] of this.#snapshots) {
      if (led.has(position)) continue;
      const isOlder = position < this.#keptFrom;
      if (!(await this.#restore(snapshot))) this.#snapshots.delete(position);
      else if (isOlder) this.note(`${snapshot.name}: left over, no fault: two newer snapshots are there`);
      else if (this.#runs.length > 0 && !this.#faults.some(({ file }) => file === snapshot.name)) {
        const where = position > lastPosition ? `the deltas end before it, at ${lastPosition}` : 'no delta follows it';
        this.fault({ file: snapshot.name, offset: 0, kind: 'unreached', message: where });
      }
    }
  }

  compareWithStop({ position, batchCrc, lastDeltaBytes }: StopMark): void {
    const what = `though the last run stopped cleanly at position ${position}`;
    const last = this.#files.findLast(({ kind }) => kind === 'delta');
    const report = (file: string, offset: number, message: string) =>
      this.fault({ file, offset, kind: 'stop_mark', message: `${message}, ${what}` });
    if (this.#tail) return report(this.#tail.name, this.#tail.offset, 'a bad batch');
    const end = this.#runs.at(-1);
    if (end?.toPosition !== position || this.#lastCrc !== batchCrc) {
      return report(last?.name ?? 'stopped', last?.bytes ?? 0, `the deltas end at position ${end?.toPosition ?? 0}`);
    }
    if (last?.bytes !== lastDeltaBytes) {
      const offset = Math.min(last?.bytes ?? 0, lastDeltaBytes);
      report(last?.name ?? 'stopped', offset, `it has ${last?.bytes ?? 0} bytes, not ${lastDeltaBytes}`);
    }
  }

  report(): Omit<VerifyReport, 'dataId' | 'hasStopMark'> {
    const files = this.#files.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    const goodSnapshots = [...this.#snapshots.keys()].sort((one, other) => one - other);
    const runs = this.#runs.filter(({ segments }) => segments.length > 0);
    const [faults, notes] = [this.#faults, this.#notes];
    const ends = [...runs.map(({ toPosition }) => toPosition), ...goodSnapshots];
    const lastPosition = Math.max(0, ...ends);
    return { files, lastPosition, faults, faultsBeyond: this.#faultsBeyond, notes, runs, goodSnapshots };
  }
}
