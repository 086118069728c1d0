import type { AddressRecord } from '../../protocol/frames.ts';
import type { Decision, DecisionContext } from '../coordinator/domain.ts';
import type { ImportPool, ImportProgress, LeaseAnswer, LeaseCommand, LeaseNotice } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseEvent } from './events.ts';
import type { LeaseState, PoolChange } from './state.ts';
import { isShort, storageFull } from './storage.ts';

/** Records looked at in one decision. */
const SLICE_RECORDS = 2_000;
/** JSON characters of the changes that one event carries, so that a batch (1 MB) always holds it. */
const SLICE_CHARACTERS = 200_000;

type ImportDecision = Decision<LeaseCommand, LeaseEvent, LeaseAnswer, LeaseNotice>;

/**
 * Brings the pool to what the records say, slice by slice: each slice stages its changes, the last one commits them all,
 * so that nobody ever sees half an import, a restart in its midst included.
 *
 * What is there is preferred: an address keeps its id, its leases and its count of requests. `rpw` is taken only where
 * the record's own figure is another than the last time.
 */
export function decideImport(state: LeaseState, command: ImportPool, { utcMs }: DecisionContext): ImportDecision {
  const progress = command.progress ?? {
    stage: undefined,
    offset: 0,
    removals: undefined,
    counts: { added: 0, updated: 0, removed: 0, unchanged: 0 },
  };
  const slice =
    progress.offset < command.records.length
      ? recordsSlice(state, command.records, progress)
      : removalsSlice(state, command, progress);
  if (slice.changes.length > 0 && isShort(state)) return storageFull();
  const stage = slice.changes.length > 0 ? (progress.stage ?? state.lastStage + 1) : progress.stage;
  const events: LeaseEvent[] = [];
  if (slice.changes.length > 0) events.push({ type: 'PoolStaged', stage: stage!, changes: slice.changes });
  const next = { stage, offset: slice.offset, removals: slice.removals, counts: slice.counts };
  const remain = slice.offset < command.records.length || (command.replace && slice.removals?.length !== 0);
  if (remain) return { events, next: { ...command, progress: next } };
  // The file's figures count as of the day on which they are seen.
  if (stage !== undefined) events.push(...dayEvents(state, utcMs), { type: 'PoolCommitted', stage });
  return { events, answer: { type: 'imported', counts: slice.counts } };
}

interface Slice extends Omit<ImportProgress, 'stage'> {
  readonly changes: readonly PoolChange[];
}

function recordsSlice(state: LeaseState, records: readonly AddressRecord[], progress: ImportProgress): Slice {
  const changes: PoolChange[] = [];
  const counts = { ...progress.counts };
  let addressId = state.lastAddressId;
  let characters = 0;
  let offset = progress.offset;
  const end = Math.min(records.length, offset + SLICE_RECORDS);
  for (; offset < end && characters < SLICE_CHARACTERS; offset += 1) {
    const record = records[offset]!;
    const knownId = state.addressIds.get(record.address);
    if (knownId === undefined) {
      addressId += 1;
      counts.added += 1;
      changes.push(['add', addressId, record]);
    } else {
      const known = state.addresses.get(knownId)!;
      const text = JSON.stringify(record);
      if (text === JSON.stringify(known.record) && !known.removed) {
        counts.unchanged += 1;
        continue;
      }
      counts.updated += 1;
      changes.push(['update', knownId, record, record.rpw !== known.record.rpw]);
    }
    characters += JSON.stringify(record).length;
  }
  return { changes, counts, offset, removals: undefined };
}

function removalsSlice(state: LeaseState, command: ImportPool, progress: ImportProgress): Slice {
  const removals = progress.removals ?? (command.replace ? absent(state, command.records) : []);
  const slice = removals.slice(0, SLICE_RECORDS);
  return {
    changes: slice.map((id) => ['remove', id] as const),
    counts: { ...progress.counts, removed: progress.counts.removed + slice.length },
    offset: progress.offset,
    removals: removals.slice(SLICE_RECORDS),
  };
}

function absent(state: LeaseState, records: readonly AddressRecord[]): number[] {
  const present = new Set(records.map((record) => record.address));
  const ids: number[] = [];
  for (const { id, address, removed } of state.addresses.values()) if (!removed && !present.has(address)) ids.push(id);
  return ids;
}
