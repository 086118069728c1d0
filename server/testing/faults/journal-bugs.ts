import { type Bug, bug } from '../plant.ts';

const BATCH = 'server/journal/batch.ts';
const EVENTS = 'server/lease/events.ts';
const GRANTS = 'server/lease/grants.ts';
const JOURNAL = 'server/journal/journal.ts';
const READER = 'server/journal/delta-reader.ts';
const RECOVER = 'server/journal/recover.ts';
const ROTATION = 'server/journal/snapshot-rotation.ts';
const SEGMENT = 'server/journal/segment.ts';
const SNAPSHOT = 'server/journal/snapshot.ts';

/** Ways in which a journal loses what it has acknowledged, that what a power cut leaves must show. */
export const CRASH_BUGS: readonly Bug[] = [
  bug('a batch is acknowledged before it is on disk', [
    SEGMENT,
    'await this.#file.write(frame, this.#usedBytes);',
    'this.#file.write(Buffer.from(frame), this.#usedBytes).catch(() => undefined);',
  ]),
  bug('a segment is not opened with O_DSYNC', [
    SEGMENT,
    "disk.open(path, 'createDurable')",
    "disk.open(path, 'create')",
  ]),
  bug("a segment's name is not synced", [
    SEGMENT,
    'await disk.rename(prepared.path, join(dir, name));\n  await onceThereAreDescriptors(scheduler, () => disk.syncFolder(dir));',
    'await disk.rename(prepared.path, join(dir, name));',
  ]),
  bug('a segment gets its header behind its name', [
    SEGMENT,
    '  await prepared.file.write(encodeDeltaHeader(header), 0);\n  await disk.rename(prepared.path, join(dir, name));\n  await onceThereAreDescriptors(scheduler, () => disk.syncFolder(dir));\n',
    '  await disk.rename(prepared.path, join(dir, name));\n  await onceThereAreDescriptors(scheduler, () => disk.syncFolder(dir));\n  await prepared.file.write(encodeDeltaHeader(header), 0);\n',
  ]),
  bug('the next segment is named before the batch before it is complete', [
    JOURNAL,
    '      await this.#segment.write(this.#frame, bytes.length);\n',
    '      const written = this.#segment.write(Buffer.from(this.#frame), bytes.length);\n      this.#position = lastPositionOf(batch);\n      this.#batchCrc = crc;\n      if (!this.#segment.fits(2 * bytes.length)) await this.#rotate();\n      await written;\n',
  ]),
  bug('a failed write is synced once more and taken for durable', [
    SEGMENT,
    'await this.#file.write(frame, this.#usedBytes);',
    'await this.#file.write(frame, this.#usedBytes).catch(() => this.#file.sync());',
  ]),
  bug("a snapshot's name is not synced", [
    SNAPSHOT,
    '    throw error;\n  }\n  await disk.syncFolder(dir);',
    '    throw error;\n  }',
  ]),
  bug('a snapshot is not synced', [SNAPSHOT, '    await file.sync();\n  } catch', '  } catch']),
  bug('a failed sync of a snapshot is tried again', [
    SNAPSHOT,
    '    await file.sync();\n  } catch',
    '    await file.sync().catch(() => file.sync());\n  } catch',
  ]),
  bug('the older snapshot goes with what it made needless', [
    ROTATION,
    '!kept.includes(snapshot) && (snapshot.position < keptFrom',
    'snapshot !== snapshots.at(-1) && (snapshot.position <= keptFrom',
  ]),
  bug('deltas go that the older snapshot needs', [
    ROTATION,
    '(deltas[index + 1]?.position ?? Infinity) <= ',
    '(deltas[index + 1]?.position ?? Infinity) <= snapshots.at(-1)!.position + 1 || 0 > ',
  ]),
  bug('the good part of the last segment is not written anew', [
    RECOVER,
    'if (last && !hasStopped) await writeAnew',
    'if (last && reader.tornTail) await writeAnew',
  ]),
  bug('the last segment is cut in its own place', [
    RECOVER,
    'const temporary = join(dir, name + TEMPORARY_SUFFIX);',
    'const temporary = join(dir, name);',
  ]),
  bug('what is written anew is not synced', [
    RECOVER,
    '    await file.write(bytes, 0);\n    await file.sync();',
    '    await file.write(bytes, 0);',
  ]),
  bug('the end of a recovery is not synced', [
    RECOVER,
    'await writeAnew(disk, dir, last.name, last.goodBytes);\n  await disk.syncFolder(dir);',
    'await writeAnew(disk, dir, last.name, last.goodBytes);',
  ]),
  bug('the CRC of a batch is not checked', [
    BATCH,
    'if (crc !== crc32(bytes.subarray(offset, crcOffset))) return undefined;',
    '',
  ]),
  bug('tokens are reserved in memory only', [
    EVENTS,
    "    case 'ExpiryNoticed':\n    case 'WaitersMatched':",
    "    case 'TokensReserved':\n    case 'ExpiryNoticed':\n    case 'WaitersMatched':",
  ]),
  bug('tokens are reserved once they have been granted', [
    GRANTS,
    'if (lastToken > state.reservedToken) events',
    'if (state.lastToken > state.reservedToken) events',
  ]),
];

/** Ways in which damage goes unnoticed, that damage must show. */
export const DAMAGE_BUGS: readonly Bug[] = [
  bug('the CRC of a chunk of a snapshot is not checked', [
    SNAPSHOT,
    'if (crc32(payload) === crc) yield',
    'if (crc === crc) yield',
  ]),
  bug('batches are not held to the chain', [
    READER,
    'if (batch.position !== this.#end.position + 1 || previousCrc !== this.#end.batchCrc) {',
    'if (batch.position === 0 && previousCrc === 1) {',
  ]),
  bug(
    'neither segments nor batches are held to the chain',
    [
      READER,
      '} else if (header.firstPosition !== this.#end.position + 1 || header.previousCrc !== this.#end.batchCrc) {',
      '} else if (header.firstPosition === 0) {',
    ],
    [
      READER,
      'if (batch.position !== this.#end.position + 1 || previousCrc !== this.#end.batchCrc) {',
      'if (batch.position === 0 && previousCrc === 1) {',
    ],
  ),
  bug('nothing is looked for behind a torn end', [READER, 'if (later) {', 'if (later && later.offset === 0) {']),
  bug('deltas may begin anywhere', [READER, 'if (oldest && firstIndex < 0) {', 'if (oldest && firstIndex < -1) {']),
];

/**
 * Flags of run-crash-states.js that show a bug at once, where the first state doesn't: all within what the gate looks at.
 * Only hints: one that no longer does costs a look at all of it.
 */
export const FOUND_AT: ReadonlyMap<string, string> = new Map([
  ['a batch is acknowledged before it is on disk', '--lives 1000000 --state 10'],
  ['a segment gets its header behind its name', '--lives 1000000 --state 3'],
  ['the next segment is named before the batch before it is complete', '--lives 1000003 --state 614'],
  ['a failed write is synced once more and taken for durable', '--lives 1000001 --state 70'],
  ["a snapshot's name is not synced", '--lives 1000005 --state 3302'],
  ['a snapshot is not synced', '--lives 1000000 --state 1103'],
  ['a failed sync of a snapshot is tried again', '--lives 1000000 --state 2968'],
  ['the older snapshot goes with what it made needless', '--lives 1000004 --state 2468'],
  ['deltas go that the older snapshot needs', '--lives 1000001 --state 1770'],
  ['the good part of the last segment is not written anew', '--lives 1000000 --state 2107'],
  ['the last segment is cut in its own place', '--lives 1000000 --state 16'],
  ['what is written anew is not synced', '--lives 1000000 --state 10'],
  ['the end of a recovery is not synced', '--lives 1000002 --state 743'],
  ['the CRC of a batch is not checked', '--lives 1000002 --state 429'],
  ['tokens are reserved once they have been granted', '--lives 1000000 --state 38'],
  ['the CRC of a chunk of a snapshot is not checked', '--corruption --seed 1 --damage 8912'],
  ['batches are not held to the chain', '--corruption --seed 1 --damage 216'],
  ['neither segments nor batches are held to the chain', '--corruption --seed 1 --damage 216'],
  ['nothing is looked for behind a torn end', '--corruption --seed 1 --damage 215'],
  ['deltas may begin anywhere', '--corruption --seed 1 --damage 586'],
]);
