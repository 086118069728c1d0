/** The journal read for people: its batches in order, and the place in it of a moment of the past. */
import { join } from 'node:path';
import type { EventRecord } from '../coordinator/domain.ts';
import { lastPositionOf, type StoredBatch } from './batch.ts';
import { scanDeltas } from './delta-scan.ts';
import type { Disk } from './disk.ts';
import { CorruptJournalError } from './errors.ts';
import type { Fault } from './fault.ts';
import { decodeSnapshotHeader, HEADER_BYTES } from './file-header.ts';
import { listFolder } from './file-names.ts';
import { unpackValues } from './msgpack.ts';

export interface BatchRange {
  readonly fromPosition?: number | undefined;
  readonly toPosition?: number | undefined;
}

export type LookbackItem =
  | { readonly type: 'batch'; readonly name: string; readonly stored: StoredBatch }
  /** `lastPosition`: of the last good batch before it. */
  | { readonly type: 'fault'; readonly fault: Fault; readonly lastPosition: number }
  | { readonly type: 'note'; readonly note: string };

/** Batches that hold any position of the range, and what is wrong on the way; one segment in memory at a time. */
export async function* readBatches(
  disk: Disk,
  dir: string,
  { fromPosition = 1, toPosition = Infinity }: BatchRange = {},
): AsyncGenerator<LookbackItem> {
  const { deltas, snapshots } = await listFolder(disk, dir);
  // What is older than two snapshots may be going just now.
  const keptFrom = snapshots.at(-2)?.position ?? -1;
  const first = Math.max(
    0,
    deltas.findLastIndex(({ position }) => position <= fromPosition),
  );
  const wanted = deltas.slice(first).filter(({ position }) => position <= toPosition);
  let lastPosition = 0;
  for await (const item of scanDeltas(disk, dir, wanted, undefined)) {
    if (item.type === 'tail') {
      yield { type: 'note', note: `${item.name} ends in a torn batch of ${item.bytes} bytes at byte ${item.offset}` };
    } else if (item.type === 'fault') {
      if (item.fault.kind === 'padding') continue;
      const isLeftOver = item.missing !== undefined && item.missing.to <= keptFrom;
      yield isLeftOver
        ? { type: 'note', note: item.fault.message }
        : { type: 'fault', fault: item.fault, lastPosition };
    } else if (item.type === 'batch') {
      const { batch } = item.stored;
      if (batch.position > toPosition) return;
      lastPosition = lastPositionOf(batch);
      if (lastPosition >= fromPosition) yield item;
    }
  }
}

/** Throws CorruptJournalError where the batch holds no events. */
export function eventsOf(name: string, { batch, offset }: StoredBatch): readonly EventRecord[] {
  try {
    return unpackValues(batch.payload) as EventRecord[];
  } catch (error) {
    throw new CorruptJournalError(name, offset, `its events can't be decoded: ${(error as Error).message}`);
  }
}

/** A fault as the error that it is to whoever needs what is there. */
export function corruptionOf({ fault: { file, offset, message } }: Extract<LookbackItem, { type: 'fault' }>) {
  return new CorruptJournalError(file, offset, message);
}

/** What stood last in the journal at some time. */
interface Point {
  readonly position: number;
  readonly epoch: number;
  readonly clockMs: number;
  readonly utcMs: number;
  readonly isCleanStop: boolean;
}

export interface Moment {
  /** Of the last event by then; 0: before the first of all. */
  readonly position: number;
  readonly epoch: number;
  /** The coordinator's clock then; while it is down, and behind what was written last, it stands still. */
  readonly clockMs: number;
  /**
   * `running`: the same run wrote before and after. `stopped`: it had stopped cleanly. `ended`: it wrote nothing after
   * `sinceUtcMs`, and the next thing written is another run's. `unknown`: nothing was written since.
   */
  readonly coordinator: 'running' | 'stopped' | 'ended' | 'unknown' | 'not_begun';
  /** Of what was written last before, and first after, the moment. */
  readonly sinceUtcMs: number | undefined;
  readonly untilUtcMs: number | undefined;
  /** The wall clock had shown a later time before: it was set back over this moment. */
  readonly isRepeated: boolean;
}

export type FoundMoment =
  | { readonly found: true; readonly moment: Moment; readonly endPosition: number }
  /** Nothing is kept from then. */
  | { readonly found: false; readonly keptFromUtcMs: number | undefined };

/**
 * Where the journal stood when the wall clock showed `utcMs`: behind the last batch, in the order of positions, that was
 * written at or before it. So a moment that a clock set back showed twice is taken as it was shown last. Nothing behind
 * `toPosition` is looked at.
 */
export async function findMoment(
  disk: Disk,
  dir: string,
  utcMs: number,
  toPosition: number = Infinity,
): Promise<FoundMoment> {
  let [last, next]: [Point | undefined, Point | undefined] = [undefined, undefined];
  let first: Point | undefined;
  let hasBeenLater = false;
  let isRepeated = false;
  let endPosition = 0;
  for await (const point of points(disk, dir, toPosition)) {
    first ??= point;
    endPosition = point.position;
    if (point.utcMs <= utcMs) {
      last = point;
      next = undefined;
      isRepeated = hasBeenLater;
    } else {
      hasBeenLater = true;
      next ??= point;
    }
  }
  const base = await oldestBase(disk, dir);
  if (last && last.position >= base.position) {
    return { found: true, moment: { ...momentAt(utcMs, last, next), isRepeated }, endPosition };
  }
  if (first && base.position > 0) return { found: false, keptFromUtcMs: base.utcMs };
  const sinceUtcMs = undefined;
  const nothing = { position: 0, epoch: 0, clockMs: 0, coordinator: 'not_begun', sinceUtcMs } as const;
  return { found: true, moment: { ...nothing, untilUtcMs: first?.utcMs, isRepeated: false }, endPosition };
}

function momentAt(utcMs: number, last: Point, next: Point | undefined): Omit<Moment, 'isRepeated'> {
  const { position, epoch } = last;
  const times = { sinceUtcMs: last.utcMs, untilUtcMs: next?.utcMs };
  if (last.isCleanStop) return { position, epoch, clockMs: last.clockMs, coordinator: 'stopped', ...times };
  if (next && next.epoch !== epoch) return { position, epoch, clockMs: last.clockMs, coordinator: 'ended', ...times };
  if (!next) return { position, epoch, clockMs: last.clockMs, coordinator: 'unknown', ...times };
  const clockMs = Math.min(last.clockMs + (utcMs - last.utcMs), next.clockMs);
  return { position, epoch, clockMs, coordinator: 'running', ...times };
}

/** What snapshots and batches say of their time, in the order of positions. */
async function* points(disk: Disk, dir: string, toPosition: number): AsyncGenerator<Point> {
  const { snapshots, deltas } = await listFolder(disk, dir);
  const firstPosition = deltas[0]?.position ?? Infinity;
  for (const { name, position } of snapshots) {
    if (position >= firstPosition) continue;
    const header = await readSnapshotHeader(disk, join(dir, name), name);
    if (header?.position === position) yield { ...header, isCleanStop: false };
  }
  for await (const item of readBatches(disk, dir, { toPosition })) {
    if (item.type !== 'batch') continue;
    const { batch, isCleanStop } = item.stored;
    const { epoch, clockMs, utcMs } = batch;
    yield { position: lastPositionOf(batch), epoch, clockMs, utcMs, isCleanStop };
  }
}

async function readSnapshotHeader(disk: Disk, path: string, name: string) {
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    await file.read(bytes, 0);
    return decodeSnapshotHeader(bytes, name);
  } finally {
    await file.close();
  }
}

/** The oldest position of which the state is known. */
async function oldestBase(disk: Disk, dir: string): Promise<{ position: number; utcMs: number | undefined }> {
  const { deltas, snapshots } = await listFolder(disk, dir);
  const [oldest] = snapshots;
  if (deltas[0]?.position === 1 || !oldest) return { position: 0, utcMs: undefined };
  const header = await readSnapshotHeader(disk, join(dir, oldest.name), oldest.name);
  return { position: oldest.position, utcMs: header?.utcMs };
}
