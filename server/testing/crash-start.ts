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

export interface CrashStart {
  readonly dir: string;
  readonly poolFile: string;
  readonly transport: string;
  readonly random: () => number;
  readonly build?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts a coordinator whose first segment is nearly full, for its pool file has changed much: so the load that follows
 * has it rotate, and with so much written each start has a snapshot made. Both are then among what a crash hits.
 */
export async function startForCrash({
  dir,
  poolFile,
  transport,
  random,
  build,
  env = {},
}: CrashStart): Promise<CoordinatorProcess> {
  const noteChars = Math.floor((SEGMENT_BYTES_MIN - random() * LEFT_BYTES_MAX) / BALLAST.length) - 200;
  const note = String.fromCharCode(97 + Math.floor(random() * 26)).repeat(noteChars);
  await writeFile(poolFile, JSON.stringify([...ADDRESSES, ...BALLAST.map((record) => ({ ...record, note }))]));
  const sizes = ['--segment-bytes', String(SEGMENT_BYTES_MIN), '--snapshot-bytes', String(SNAPSHOT_BYTES_MIN)];
  const flags = ['--data-dir', dir, '--pool', poolFile, '--transport', transport, ...sizes];
  return readyCoordinator(spawnCoordinator(flags, build === undefined ? { env } : { env, build }));
}
