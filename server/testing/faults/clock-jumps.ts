import { access, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { samplePool } from '../coordinator-run.ts';
import { Random } from '../simulation/random.ts';
import { WireClient } from '../wire-client.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { expiredEarly, held, livesOn, messageOf } from './pauses.ts';
import { withCoordinator } from './with-coordinator.ts';

const LONG_MS = 600_000;
const JUMP_MAX_S = 3 * 24 * 3_600;
/** Debian's package `faketime`; by architecture. */
const LIBRARY_DIR = '/usr/lib';
const LIBRARY = 'faketime/libfaketime.so.1';

/** Why the wall clock of a process can't be set here; undefined: it can. */
export async function whyNoFakeTime(): Promise<string | undefined> {
  return (await fakeTimeLibrary()) === undefined ? 'libfaketime is not installed (package faketime)' : undefined;
}

/** The wall clock is set, forth and back, by seconds to days, while leases live: none ends early, none late. */
export const clockJumps: FaultRun = async ({ seed, cases, onProgress }) => {
  const random = new Random(seed);
  const library = await fakeTimeLibrary();
  if (library === undefined) throw new Error(await whyNoFakeTime());
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-clock-'));
  const findings: string[] = [];
  let doneCount = 0;
  try {
    const wall = new Wall(join(folder, 'offset'));
    await wall.set(0);
    const env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: wall.file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    await withCoordinator({ pool: samplePool(3), env }, async (coordinator) => {
      const { client } = await WireClient.hello(coordinator.port);
      const kept = await held(client, { ttl_ms: LONG_MS });
      while (doneCount < cases && findings.length === 0) {
        const jumpS = Math.round(random.magnitude(1, JUMP_MAX_S)) * (random.chance(0.5) ? 1 : -1);
        const found = await jumped(client, kept.lease, () => wall.set(jumpS)).catch(messageOf);
        if (found !== undefined) findings.push(finding('clock-jumps', seed, `to ${jumpS} s off: ${found}`));
        doneCount += 1;
        onProgress?.(doneCount);
      }
      // What the process says of the time is by the wall clock: it has seen the jumps.
      const { output } = await coordinator.kill('SIGTERM');
      const lastMs = Date.parse((JSON.parse(output.at(-1)!) as { time: string }).time);
      const offMs = lastMs - Date.now() - wall.offsetS * 1_000;
      if (Math.abs(offMs) > 60_000) throw new Error(`the clock was never set: it is ${offMs} ms off`);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { cases: doneCount, findings };
};

async function jumped(client: WireClient, kept: number, jump: () => Promise<void>): Promise<string | undefined> {
  const short = await held(client);
  await jump();
  await client.request({ type: 'ping' }, 'pong');
  const found = (await expiredEarly(client, short)) ?? (await livesOn(client, short));
  if (found !== undefined) return found;
  const { ttl_ms: ttlMs } = (await client.request({ type: 'renew', lease: kept }, 'renewed')) as { ttl_ms: number };
  return ttlMs === LONG_MS ? undefined : `a lease for ${LONG_MS} ms is renewed for ${ttlMs} ms`;
}

/** The offset that libfaketime reads at every look at the clock. */
class Wall {
  readonly file: string;
  offsetS = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** Whole at any time: an empty file would be no offset at all. */
  async set(offsetS: number): Promise<void> {
    await writeFile(`${this.file}.new`, `${offsetS < 0 ? '' : '+'}${offsetS}`);
    await rename(`${this.file}.new`, this.file);
    this.offsetS = offsetS;
  }
}

async function fakeTimeLibrary(): Promise<string | undefined> {
  for (const entry of await readdir(LIBRARY_DIR).catch(() => [])) {
    const library = join(LIBRARY_DIR, entry, LIBRARY);
    const isThere = await access(library).then(
      () => true,
      () => false,
    );
    if (isThere) return library;
  }
  return undefined;
}
