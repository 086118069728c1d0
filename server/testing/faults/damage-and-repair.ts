/**
 * Damages a data folder at random and holds verify, recovery and repair against each other and against the history that
 * is known to be right:
 *
 * - where recovery refuses, verify has a fault; where verify has none, recovery comes to a state that there once was;
 * - a repair loses nothing that a start would keep, leaves a sound folder, and leads to a state that there once was;
 * - every original is still there.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Replica } from '../../coordinator/replica.ts';
import { lastPositionOf } from '../../journal/batch.ts';
import type { Disk } from '../../journal/disk.ts';
import { readBatches } from '../../journal/lookback.ts';
import { recover } from '../../journal/recover.ts';
import { applyRepair } from '../../journal/repair.ts';
import { planRepair } from '../../journal/repair-plan.ts';
import { verifyFolder } from '../../journal/verify.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import { makeGenerations } from '../damaged-folders.ts';
import { readFolder } from '../memory-folder.ts';
import { seededRandom } from '../seeded-random.ts';
import { writableDisk } from '../writable-folder.ts';
import type { FaultRun } from './fault-run.ts';

const DIR = '/data';
const KEPT = 'damaged';
const DAMAGES_MAX = 4;
const FINDINGS_MAX = 10;
const PROGRESS_CASES = 200;
/** The cases of one seed are not those of the next. */
const CASES_PER_SEED = 1_000_000;

export const damageAndRepair: FaultRun = async ({ seed, cases, onProgress }) => {
  const sound = await soundFolder();
  const states = await statesOf(sound);
  const findings: string[] = [];
  for (let index = 0; index < cases; index += 1) {
    const random = seededRandom(seed * CASES_PER_SEED + index);
    const files = new Map(sound);
    const damages = Array.from({ length: 1 + Math.floor(random() * DAMAGES_MAX) }, () => damage(files, random));
    const finding = await judge(files, states);
    if (finding) {
      findings.push(`${finding}, after: ${damages.join('; ')} (seed ${seed}, case ${index})`);
      if (findings.length === FINDINGS_MAX) return { cases: index + 1, findings };
    }
    if ((index + 1) % PROGRESS_CASES === 0) onProgress?.(index + 1);
  }
  return { cases, findings };
};

async function soundFolder(): Promise<Map<string, Buffer>> {
  const dir = await mkdtemp(join(tmpdir(), 'leasehold-'));
  try {
    await makeGenerations(dir);
    return await readFolder(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The state behind each batch, by position. */
async function statesOf(files: ReadonlyMap<string, Buffer>): Promise<Map<number, string>> {
  const disk = writableDisk(new Map(files));
  const states = new Map<number, string>();
  for await (const item of readBatches(disk, DIR)) {
    if (item.type !== 'batch') continue;
    const position = lastPositionOf(item.stored.batch);
    states.set(position, (await recovering(disk, position))!.state);
  }
  const first = Math.min(...states.keys()) - 1;
  return states.set(first, (await recovering(disk, first))!.state);
}

async function recovering(disk: Disk, upTo?: number): Promise<{ position: number; state: string } | undefined> {
  const replica = createReplica();
  try {
    const { position } = await recover(disk, DIR, replica, { cut: false, ...(upTo === undefined ? {} : { upTo }) });
    return { position, state: JSON.stringify([...replica.encode()]) };
  } catch {
    return undefined;
  }
}

function createReplica(): Replica {
  return new Replica([leaseDomain]);
}

/** Does one thing to one file, and says what. */
function damage(files: Map<string, Buffer>, random: () => number): string {
  const draw = (count: number) => Math.floor(random() * count);
  const names = [...files.keys()].sort();
  const name = names[draw(names.length)];
  if (name === undefined) return 'nothing left';
  const bytes = Buffer.from(files.get(name)!);
  const offset = draw(bytes.length);
  const kind = draw(10);
  if (kind === 0) {
    files.delete(name);
    return `${name} removed`;
  }
  if (kind === 1) {
    files.set(name, bytes.subarray(0, offset));
    return `${name} cut at ${offset}`;
  }
  if (kind <= 3) {
    const sector = offset - (offset % 512);
    const count = 512 * (1 + draw(4));
    files.set(name, bytes.fill(0, sector, Math.min(bytes.length, sector + count)));
    return `${name} zeroed from ${sector} on, ${count} bytes`;
  }
  if (bytes.length > 0) bytes[offset]! ^= 1 << draw(8);
  files.set(name, bytes);
  return `${name} flipped at ${offset}`;
}

/** What is wrong about what the tools make of it. */
async function judge(damaged: ReadonlyMap<string, Buffer>, states: ReadonlyMap<number, string>) {
  const files = new Map(damaged);
  const disk = writableDisk(files);
  const verifying = () => verifyFolder({ disk, dir: DIR, createReplica });
  const recovered = await recovering(disk);
  const isTrue = (it: { position: number; state: string }) =>
    // No data at all is a new folder.
    it.position === 0 || states.get(it.position) === it.state;
  const report = await verifying();
  const plan = planRepair(report);
  if (recovered && !isTrue(recovered)) return `recovery makes up a state at position ${recovered.position}`;
  if (plan.kind === 'healthy') return recovered ? undefined : 'verify finds nothing where recovery refuses';
  if (plan.kind === 'refused')
    return recovered?.position ? `repair refuses what a start takes: ${plan.reason}` : undefined;

  if (recovered && recovered.position > plan.lastPosition) {
    return `the repair keeps ${plan.lastPosition}, a start ${recovered.position}`;
  }
  await applyRepair(disk, DIR, plan, KEPT);
  const repaired = await recovering(disk);
  if (repaired?.position !== plan.lastPosition) return `repaired to ${repaired?.position}, not to ${plan.lastPosition}`;
  if (!isTrue(repaired)) return `the repair makes up a state at position ${repaired.position}`;
  const [left] = (await verifying()).faults;
  if (left) return `a fault is left: ${left.file} at ${left.offset}: ${left.message}`;
  for (const [name, bytes] of damaged) {
    const isThere = files.get(name)?.equals(bytes) || files.get(`${KEPT}/${name}`)?.equals(bytes);
    if (!isThere) return `the original of ${name} is gone`;
  }
  return undefined;
}
