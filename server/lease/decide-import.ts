import type { AddressRecord } from '../../protocol/frames.ts';
import type { Decision, DecisionContext } from '../coordinator/domain.ts';
import type { ImportPool, ImportProgress, LeaseAnswer, LeaseCommand, LeaseNotice, Rejected } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseEvent } from './events.ts';
import { tooManyResources } from './resources-bound.ts';
import type { LeaseState, PoolChange } from './state.ts';
import { isShort, storageFull } from './storage.ts';

/** Records looked at in one decision. */
const SLICE_RECORDS = 2_000;
/** JSON characters of the changes that one event carries, so that a batch (1 MB) always holds it. */
const SLICE_CHARACTERS = 200_000;
/** Ids of addresses looked at in one decision, for those that no record names. */
const SLICE_IDS = 20_000;

type ImportDecision = Decision<LeaseCommand, LeaseEvent, LeaseAnswer, LeaseNotice>;

/**
 * Brings the pool to what the records say, slice by slice: each slice stages its changes, the last one commits them all,
 * so that nobody ever sees half an import, a restart in its midst included.
 *
 * What is there is preferred: an address keeps its id, its leases and its count of requests. `rpw` is taken only where
 * the record's own figure is another than the last time. What was changed by hand, or by an import since, stays so while
 * the pool file of the start says of it what it said before.
 */
export function decideImport(state: LeaseState, command: ImportPool, { utcMs }: DecisionContext): ImportDecision {
  const progress = command.progress ?? {
    stage: undefined,
    offset: 0,
    present: new Set<string>(),
    sweep: undefined,
    changed: 0,
    counts: { added: 0, updated: 0, removed: 0, unchanged: 0 },
    resources: new Set<number>(),
  };
  const slice =
    progress.offset < command.records.length
      ? recordsSlice(state, command, progress)
      : removalsSlice(state, command, progress);
  if (slice.changes.length > 0 && isShort(state)) return refused(progress, storageFull().answer);
  const excess = tooManyResources(state, slice.resources, command.resourcesMax, {
    withoutPool: command.replace,
  });
  if (excess) return refused(progress, excess);
  if (slice.changed > (command.changesMax ?? Infinity)) return refused(progress, tooManyChanges(command.changesMax!));
  const stage = slice.changes.length > 0 ? (progress.stage ?? state.lastStage + 1) : progress.stage;
  const { changes, ...reached } = slice;
  const events: LeaseEvent[] = [];
  if (changes.length > 0) events.push({ type: 'PoolStaged', stage: stage!, changes });
  const remain = slice.offset < command.records.length || (command.replace && !isSwept(slice));
  if (remain) return { events, next: { ...command, progress: { ...reached, stage } } };
  // The file's figures count as of the day on which they are seen.
  if (stage !== undefined)
    events.push(...dayEvents(state, utcMs), { type: 'PoolCommitted', stage, source: command.source ?? 'import' });
  return { events, answer: { type: 'imported', counts: slice.counts } };
}

/** What was staged of it goes with it. */
function refused({ stage }: ImportProgress, answer: Rejected): ImportDecision {
  return { events: stage === undefined ? [] : [{ type: 'PoolDropped', stage }], answer };
}

function tooManyChanges(changesMax: number): Rejected {
  const message = `the import would change more than ${changesMax} at once: each address counts one, and one more for each resource that it serves`;
  return { type: 'rejected', code: 'too_many', message };
}

interface Slice extends ImportProgress {
  readonly changes: readonly PoolChange[];
}

function recordsSlice(state: LeaseState, command: ImportPool, progress: ImportProgress): Slice {
  const { records, source, replace, resourcesMax } = command;
  const changes: PoolChange[] = [];
  const counts = { ...progress.counts };
  const resources = new Set(progress.resources);
  let { changed } = progress;
  let addressId = state.lastAddressId;
  let characters = 0;
  let offset = progress.offset;
  const end = Math.min(records.length, offset + SLICE_RECORDS);
  for (; offset < end && characters < SLICE_CHARACTERS; offset += 1) {
    const record = records[offset]!;
    if (resourcesMax !== undefined) for (const id of record.resource_ids) resources.add(id);
    // Nobody else has it, and whoever decides this again puts the same in.
    if (replace) progress.present.add(record.address);
    const isOverruled = source === 'file' && state.overruled.get(record.address) !== undefined;
    if (isOverruled && state.overruled.has(record)) {
      counts.unchanged += 1;
      continue;
    }
    const knownId = state.addressIds.get(record.address);
    if (knownId === undefined) {
      addressId += 1;
      counts.added += 1;
      changes.push(['add', addressId, record]);
      changed += sizeOf(record);
    } else {
      const known = state.addresses.get(knownId)!;
      const isSame = JSON.stringify(record) === JSON.stringify(known.record) && !known.removed;
      counts[isSame ? 'unchanged' : 'updated'] += 1;
      // The file has come round to what was said by hand: from here on it is the file's word again.
      if (isSame && !isOverruled) continue;
      changes.push(['update', knownId, record, record.rpw !== known.record.rpw]);
      changed += Math.max(sizeOf(record), sizeOf(known.record));
    }
    characters += JSON.stringify(record).length;
  }
  return { ...progress, changes, counts, changed, offset, resources };
}

function removalsSlice(state: LeaseState, command: ImportPool, progress: ImportProgress): Slice {
  const { present, counts } = progress;
  // What others bring in from here on isn't looked at.
  const begun = progress.sweep ?? { nextId: 1, endId: command.replace ? state.lastAddressId + 1 : 1 };
  const { endId } = begun;
  let { nextId } = begun;
  let { changed } = progress;
  const changes: PoolChange[] = [];
  const stopId = Math.min(endId, nextId + SLICE_IDS);
  for (; nextId < stopId; nextId += 1) {
    const known = state.addresses.get(nextId);
    if (!known || known.removed || present.has(known.address)) continue;
    if (changes.length === SLICE_RECORDS) break;
    changes.push(['remove', nextId]);
    changed += sizeOf(known.record);
  }
  const removed = counts.removed + changes.length;
  return { ...progress, changes, counts: { ...counts, removed }, changed, sweep: { nextId, endId } };
}

function isSwept({ sweep }: Slice): boolean {
  return sweep !== undefined && sweep.nextId === sweep.endId;
}

/** What a change of it costs when it is committed: its own indexes, and those of each resource. */
function sizeOf({ resource_ids }: AddressRecord): number {
  return 1 + resource_ids.length;
}
