import { link, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Replica } from '../coordinator/replica.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { copyOf, DAMAGES, flip, type Generations, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { PLANTED } from '../testing/lease-folders.ts';
import { type DiskFile, nodeDisk } from './disk.ts';
import { STOPPED_NAME } from './file-names.ts';
import { recover } from './recover.ts';
import { applyRepair, type RepairDisk } from './repair.ts';
import { planRepair } from './repair-plan.ts';
import { type StopMark, verifyFolder } from './verify.ts';

const SECTOR = 512;
const KEPT = 'damaged-20260105T000000000Z';
const disk: RepairDisk = { ...nodeDisk, link };

let sound: Generations;

beforeAll(async () => {
  sound = await makeGenerations(await mkdtemp(join(tmpdir(), 'leasehold-')));
});
afterAll(() => rm(sound.dir, { recursive: true, force: true }));

async function generations(): Promise<Generations> {
  return copyOf(sound, await temporaryFolder());
}

function createReplica(): Replica {
  return new Replica([leaseDomain]);
}

const verifying = (dir: string, readStopMark?: () => Promise<StopMark>) =>
  verifyFolder({ disk, dir, createReplica, ...(readStopMark ? { readStopMark } : {}) });

async function plannedFor(dir: string) {
  const plan = planRepair(await verifying(dir));
  if (plan.kind !== 'repair') throw new Error(`no repair: ${JSON.stringify(plan)}`);
  return plan;
}

/** The files of a folder, without the folders in it. */
async function contents(dir: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.isFile()) files.set(entry.name, await readFile(join(dir, entry.name)));
  }
  return files;
}

async function recovering(dir: string): Promise<{ position: number; state: unknown[] } | 'refused'> {
  const replica = createReplica();
  try {
    const { position } = await recover(disk, dir, replica, { cut: false });
    return { position, state: [...replica.encode()] };
  } catch {
    return 'refused';
  }
}

/** As it was recovered, before the damage, at this position. */
async function soundState(position: number): Promise<unknown[]> {
  const replica = createReplica();
  await recover(disk, sound.dir, replica, { cut: false, upTo: position });
  return [...replica.encode()];
}

describe('a repair', () => {
  it.each(DAMAGES)('of $name keeps what sound files lead to, and every original', async ({ damage, repairedTo }) => {
    const files = await generations();
    await damage(files);
    const before = await contents(files.dir);
    const plan = planRepair(await verifying(files.dir));
    if (repairedTo === 'refused') {
      expect(plan.kind).toBe('refused');
      return;
    }
    const expected = repairedTo(files);
    if (plan.kind !== 'repair') throw new Error(`no repair: ${JSON.stringify(plan)}`);
    expect(plan.lastPosition).toBe(expected);
    await applyRepair(disk, files.dir, plan, KEPT);

    expect((await verifying(files.dir)).faults).toEqual([]);
    const recovered = await recovering(files.dir);
    expect(recovered).toMatchObject({ position: expected });
    expect((recovered as { state: unknown[] }).state).toEqual(await soundState(expected));
    const [after, kept] = [await contents(files.dir), await contents(join(files.dir, KEPT))];
    for (const [name, bytes] of before) {
      expect({ name, isKept: kept.get(name)?.equals(bytes) ?? after.get(name)?.equals(bytes) }).toEqual({
        name,
        isKept: true,
      });
    }
    const changed = [...plan.setAside.map(({ name }) => name), ...plan.rewrites.map(({ segment }) => segment.name)];
    expect([...kept.keys()].sort()).toEqual(changed.sort());
    expect(planRepair(await verifying(files.dir))).toEqual({ kind: 'healthy' });
  });

  it('has nothing to do for a sound folder, or for a torn end', async () => {
    const { dir, lastDelta } = await generations();
    expect(planRepair(await verifying(dir))).toEqual({ kind: 'healthy' });
    const bytes = await readFile(join(dir, lastDelta));
    await writeFile(join(dir, lastDelta), bytes.fill(7, 2 * SECTOR, 2 * SECTOR + 20));
    expect(planRepair(await verifying(dir))).toEqual({ kind: 'healthy' });
  });

  it('makes up no state where position 0 leads to nothing', async () => {
    const { dir, oldSnapshot, newSnapshot, oldDelta, shortDelta, newDelta, lastDelta } = await generations();
    for (const name of [oldSnapshot, newSnapshot, oldDelta, shortDelta, newDelta]) await rm(join(dir, name));
    expect(planRepair(await verifying(dir)).kind).toBe('refused');
    await flip(dir, lastDelta, SECTOR + 20);
    expect(planRepair(await verifying(dir)).kind).toBe('refused');
  });

  it('sets the mark of a clean stop aside where the journal no longer ends there', async () => {
    const files = await generations();
    const last = await readFile(join(files.dir, files.lastDelta));
    const batchCrc = last.readUInt32LE(SECTOR + 48 + last.readUInt32LE(SECTOR + 4));
    await writeFile(join(files.dir, STOPPED_NAME), 'as the reader says');
    const readStopMark = () => Promise.resolve({ position: files.lastPosition, batchCrc, lastDeltaBytes: last.length });
    expect(planRepair(await verifying(files.dir, readStopMark))).toEqual({ kind: 'healthy' });
    // A bad last batch looks like a torn one; the mark says that it isn't.
    await flip(files.dir, files.lastDelta, SECTOR + 20);
    const plan = planRepair(await verifying(files.dir, readStopMark));
    if (plan.kind !== 'repair') throw new Error('no repair');
    expect(plan.setAside.map(({ name }) => name)).toEqual([STOPPED_NAME]);
    expect(plan.rewrites.map(({ segment }) => segment.name)).toEqual([files.lastDelta]);
    await applyRepair(disk, files.dir, plan, KEPT);
    expect((await verifying(files.dir, readStopMark)).faults).toEqual([]);
    expect(await recovering(files.dir)).toMatchObject({ position: files.lastPosition - 1 });
  });

  it('keeps the hash of no secret in what it says', async () => {
    const { dir, newDelta } = await generations();
    await flip(dir, newDelta, 3 * SECTOR + 60);
    expect(JSON.stringify(await plannedFor(dir))).not.toContain(PLANTED);
  });
});

/** Every change to the disk is counted; the one with this number, and all after it, fail. */
function failingDisk(failAt: number): { disk: RepairDisk; readonly changes: { count: number } } {
  const changes = { count: 0 };
  const change = async <Result>(make: () => Promise<Result>): Promise<Result> => {
    changes.count += 1;
    if (changes.count >= failAt) throw new Error('cut off');
    return make();
  };
  const failing: RepairDisk = {
    ...disk,
    async open(path, mode) {
      if (mode === 'read') return disk.open(path, mode);
      const file = await change(() => disk.open(path, mode));
      const writing: DiskFile = {
        sizeBytes: () => file.sizeBytes(),
        read: (into, offset) => file.read(into, offset),
        write: (bytes, offset) =>
          change(() => file.write(bytes, offset)).catch(async (error: unknown) => {
            // Some of it is there.
            await file.write(bytes.subarray(0, bytes.length / 2), offset);
            throw error;
          }),
        truncate: (size) => change(() => file.truncate(size)),
        sync: () => change(() => file.sync()),
        close: () => file.close(),
      };
      return writing;
    },
    rename: (from, to) => change(() => disk.rename(from, to)),
    remove: (path) => change(() => disk.remove(path)),
    makeFolder: (folder) => change(() => disk.makeFolder(folder)),
    syncFolder: (folder) => change(() => disk.syncFolder(folder)),
    link: (existing, name) => change(() => disk.link(existing, name)),
  };
  return { disk: failing, changes };
}

describe('a repair that is cut off', () => {
  const repairable = DAMAGES.filter(({ repairedTo }) => repairedTo !== 'refused');

  it.each(repairable)('of $name loses nothing at any step, and a second one completes it', async ({ damage }) => {
    const damaged = await generations();
    await damage(damaged);
    const originals = await contents(damaged.dir);
    const { lastPosition } = await plannedFor(damaged.dir);
    for (let failAt = 1; ; failAt += 1) {
      const { dir } = await copyOf(damaged, await temporaryFolder());
      const failing = failingDisk(failAt);
      const outcome = await applyRepair(failing.disk, dir, await plannedFor(dir), KEPT).catch((error: Error) => error);
      const isCutOff = outcome instanceof Error;
      if (isCutOff) expect(outcome.message).toBe('cut off');

      const [now, kept] = [await contents(dir), await contents(join(dir, KEPT)).catch(() => new Map<string, Buffer>())];
      for (const [name, bytes] of originals) {
        const isThere = now.get(name)?.equals(bytes) || kept.get(name)?.equals(bytes);
        expect({ failAt, name, isThere }).toEqual({ failAt, name, isThere: true });
      }
      const state = await recovering(dir);
      // The damage may be of a kind that a start gets by: then the state is all there, before and after.
      if (state !== 'refused') expect({ failAt, position: state.position }).toEqual({ failAt, position: lastPosition });

      const report = await verifying(dir);
      const plan = planRepair(report);
      if (!isCutOff) expect(plan.kind).toBe('healthy');
      if (plan.kind === 'repair') await applyRepair(disk, dir, plan, `${KEPT}-2`);
      expect({ failAt, faults: (await verifying(dir)).faults }).toEqual({ failAt, faults: [] });
      expect(await recovering(dir)).toMatchObject({ position: lastPosition });
      await rm(dir, { recursive: true, force: true });
      if (!isCutOff) break;
    }
  });
});
