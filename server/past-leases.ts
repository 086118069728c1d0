/** A part of replay: the state of a past time, of the files of a folder that may be in use. */
import type { Replica } from './coordinator/replica.ts';
import type { Disk } from './journal/disk.ts';
import type { CorruptJournalError } from './journal/errors.ts';
import { corruptionOf, eventsOf, findMoment, type Moment, readBatches } from './journal/lookback.ts';
import { recover } from './journal/recover.ts';
import { onUnmovedFolder } from './journal/verify.ts';
import type { Fields } from './lease/described.ts';
import { type HeldLease, type HistoryFilter, LeaseHistory, utcText } from './lease/history.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import type { LeaseState } from './lease/state.ts';

export interface PastData {
  readonly disk: Disk;
  readonly dir: string;
  /** A new one, at the beginning of all data; nothing is decided over it. */
  readonly createReplica: () => Replica;
  readonly upToPosition?: number;
}

export interface PastLeases {
  readonly moment: Moment;
  readonly leases: readonly HeldLease[];
  /** There are more than the filter's limit. */
  readonly hasMore: boolean;
  /** Of the last event kept. */
  readonly endPosition: number;
  /** Damage behind the moment: how leases ended may be missing. */
  readonly faults: readonly CorruptJournalError[];
}

/** The time is before what is kept; undefined: nothing is kept at all. */
export interface NothingKept {
  readonly keptFromUtcMs: number | undefined;
}

/**
 * Who held what when the wall clock showed `utcMs`, from the newest snapshot kept before it on; nothing behind
 * `upToPosition` is looked at. Throws CorruptJournalError where damage stands before the moment, or the moment lies in it.
 */
export function lookBack(
  { disk, dir, createReplica, upToPosition = Infinity }: PastData,
  utcMs: number,
  filter: HistoryFilter,
): Promise<PastLeases | NothingKept> {
  return onUnmovedFolder(async () => {
    const found = await findMoment(disk, dir, utcMs, upToPosition);
    if (!found.found) return { keptFromUtcMs: found.keptFromUtcMs };
    const { moment, endPosition } = found;
    const replica = createReplica();
    const recovered = await recover(disk, dir, replica, { cut: false, upTo: moment.position });
    if (recovered.position !== moment.position) {
      throw new Error(`position ${moment.position} was found, and the files lead to ${recovered.position}`);
    }
    const history = new LeaseHistory(replica.state(leaseDomain.name) as LeaseState, moment.clockMs, filter);
    const faults: CorruptJournalError[] = [];
    for await (const item of readBatches(disk, dir, { toPosition: upToPosition })) {
      if (item.type === 'fault' && item.lastPosition >= moment.position) {
        const isWithin = item.lastPosition === moment.position && utcMs > (moment.sinceUtcMs ?? utcMs);
        if (isWithin) throw corruptionOf(item);
        faults.push(corruptionOf(item));
      }
      if (item.type !== 'batch') continue;
      const { position, utcMs: batchUtcMs } = item.stored.batch;
      for (const [index, record] of eventsOf(item.name, item.stored).entries()) {
        if (!history.concerns(record)) continue;
        history.saw(leaseDomain.decodeEvent(record), position + index, batchUtcMs);
      }
    }
    return { moment, leases: history.held(), hasMore: history.hasMore, endPosition, faults };
  });
}

/** When that was, for JSON. */
export function describePast(utcMs: number, { moment, endPosition }: PastLeases): Fields {
  return {
    utc: utcText(utcMs),
    position: moment.position,
    end_position: endPosition,
    epoch: moment.epoch,
    coordinator: moment.coordinator,
    since_utc: moment.sinceUtcMs === undefined ? null : utcText(moment.sinceUtcMs),
    until_utc: moment.untilUtcMs === undefined ? null : utcText(moment.untilUtcMs),
    clock_set_back: moment.isRepeated,
  };
}
