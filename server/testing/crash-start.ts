import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { SEGMENT_BYTES_MIN } from '../journal/segment.ts';
import { type CoordinatorProcess, readyCoordinator, samplePool, spawnCoordinator } from './coordinator-run.ts';

/** What collectors take one address of at a time, and what one of them takes many of at once. */
export const CRASH_RESOURCES = { single: [7, 8], many: 9 };

const SNAPSHOT_BYTES_MIN = 1_048_576;
const ADDRESSES = samplePool(134, [...CRASH_RESOURCES.single, CRASH_RESOURCES.many]);
/** They serve nothing: their records only fill the journal. */
const BALLAST = samplePool(200, []).slice(-66);
/** What a load writes in some tenths of a second. */
const LEFT_BYTES_MAX = 300_000;
/** What a record takes beside its note, about. */
const RECORD_BYTES = 200;
/** Of all starts: it makes them twice as long. */
const CHANGED_SHARE = 0.4;

export interface CrashStart {
  readonly dir: string;
  readonly poolFile: string;
  readonly transport: string;
  readonly random: () => number;
  readonly build?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts a coordinator. With many of the starts its first segment is nearly full then, for the pool file has changed much:
 * so the load that follows has it rotate, and with so much written the next start has a snapshot made. Both are then
 * among what a crash hits.
 */
export async function startForCrash(options: CrashStart): Promise<CoordinatorProcess> {
  const { dir, poolFile, transport, random, build, env = {} } = options;
  if (random() < CHANGED_SHARE || !existsSync(poolFile)) await writeFile(poolFile, JSON.stringify(changedPool(random)));
  const sizes = ['--segment-bytes', String(SEGMENT_BYTES_MIN), '--snapshot-bytes', String(SNAPSHOT_BYTES_MIN)];
  const flags = ['--data-dir', dir, '--pool', poolFile, '--transport', transport, ...sizes];
  return readyCoordinator(spawnCoordinator(flags, build === undefined ? { env } : { env, build }));
}

function changedPool(random: () => number): object[] {
  const noteChars = Math.floor((SEGMENT_BYTES_MIN - random() * LEFT_BYTES_MAX) / BALLAST.length) - RECORD_BYTES;
  const note = String.fromCharCode(97 + Math.floor(random() * 26)).repeat(noteChars);
  return [...ADDRESSES, ...BALLAST.map((record) => ({ ...record, note }))];
}
