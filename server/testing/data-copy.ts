/** Data folders as a coordinator left them, and copies of them to be damaged. */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Grant, WelcomeFrame } from '../../protocol/frames.ts';
import type { CoordinatorProcess } from './coordinator-run.ts';
import { startForCrash } from './crash-start.ts';
import { WireClient } from './wire-client.ts';

const SECTOR_BYTES = 512;
const TTL_MS = 600_000;
const SNAPSHOT_WAIT_MS = 20_000;

export interface LeftData {
  readonly dir: string;
  /** Of the session that holds `lease`. */
  readonly welcome: WelcomeFrame;
  readonly lease: number;
  /** All that is beside the data, too. */
  remove(): Promise<void>;
}

/** Runs a coordinator `runs` times, the last of which ends by `signal`; from the second on each makes a snapshot. */
export async function leftBy(signal: 'SIGTERM' | 'SIGKILL', runs = 1): Promise<LeftData> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-left-'));
  const at = { dir: join(folder, 'data'), poolFile: join(folder, 'pool.json'), transport: 'ws' };
  let coordinator: CoordinatorProcess | undefined;
  try {
    for (let run = 1; run < runs; run += 1) {
      // A changed pool file alone writes enough for a snapshot at the next start.
      coordinator = await startForCrash({ ...at, random: () => run / (10 * runs) });
      if (run > 1) await said(coordinator, 'snapshot made');
      await coordinator.kill('SIGKILL');
    }
    coordinator = await startForCrash({ ...at, random: () => 0.999 });
    if (runs > 1) await said(coordinator, 'snapshot made');
    const { client, welcome } = await WireClient.hello(coordinator.port, { resume_window_ms: 60_000 });
    const { lease } = (await client.request({ type: 'acquire', resource: 7, ttl_ms: TTL_MS }, 'granted')) as Grant;
    await coordinator.kill(signal);
    return { dir: at.dir, welcome, lease, remove: () => rm(folder, { recursive: true, force: true }) };
  } catch (error) {
    await coordinator?.kill('SIGKILL');
    throw error;
  }
}

export async function copyTo(left: LeftData, dir: string): Promise<string> {
  await cp(left.dir, dir, { recursive: true });
  return dir;
}

/** Names of one kind, `.delta` or `.snapshot`, by rising positions. */
export async function filesOf(dir: string, suffix: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith(suffix)).sort();
}

/** Name and hash of each file: what must not change where nothing may be touched. */
export async function fingerprint(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir)).sort();
  const hashes = names.map(async (name) => {
    const bytes = await readFile(join(dir, name));
    return [name, createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(hashes));
}

/** Where the zeros begin that follow the last batch: a sector's begin. */
export async function usedBytesOf(file: string): Promise<number> {
  const bytes = await readFile(file);
  let used = bytes.length;
  while (used > 0 && bytes[used - 1] === 0) used -= 1;
  return Math.ceil(used / SECTOR_BYTES) * SECTOR_BYTES;
}

/** Turns the bits of one byte. */
export async function flipByte(file: string, offset: number): Promise<void> {
  const byte = (await readFile(file))[offset]!;
  await writeAt(file, offset, Buffer.of(byte ^ 0xff));
}

export async function writeAt(file: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

async function said(coordinator: CoordinatorProcess, message: string): Promise<void> {
  for (const endMs = Date.now() + SNAPSHOT_WAIT_MS; Date.now() < endMs; ) {
    if (coordinator.output.some((line) => line.includes(message))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no "${message}" in ${SNAPSHOT_WAIT_MS} ms:\n${coordinator.output.join('\n')}`);
}
