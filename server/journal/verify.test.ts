import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Replica } from '../coordinator/replica.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { makeGenerations } from '../testing/damaged-folders.ts';
import { counterReplica, JournalRun, snapshotsOf, temporaryFolder } from '../testing/journal-run.ts';
import { readFolder, readOnlyDisk } from '../testing/memory-folder.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { Disk } from './disk.ts';
import { recover } from './recover.ts';
import { planRepair } from './repair-plan.ts';
import { verifyFolder } from './verify.ts';

const SEED = 20_260_105;
const CASES = 800;

const createReplica = () => new Replica([leaseDomain]);

async function recoveredFrom(disk: Disk): Promise<{ position: number; state: string } | undefined> {
  const replica = createReplica();
  try {
    const { position } = await recover(disk, 'dir', replica, { cut: false });
    return { position, state: JSON.stringify([...replica.encode()]) };
  } catch {
    return undefined;
  }
}

describe('verify beside recovery', () => {
  it(`has a fault wherever recovery refuses, and none only where it comes to the same (seed ${SEED})`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'leasehold-'));
    await makeGenerations(folder);
    const files = await readFolder(folder);
    await rm(folder, { recursive: true });
    const sound = (await recoveredFrom(readOnlyDisk(files)))!;
    const random = seededRandom(SEED);
    const names = [...files.keys()].filter((name) => /^\d/.test(name));
    let faulty = 0;
    for (let index = 0; index < CASES; index += 1) {
      const name = names[Math.floor(random() * names.length)]!;
      const bytes = Buffer.from(files.get(name)!);
      const offset = Math.floor(random() * bytes.length);
      const isCut = index % 5 === 0;
      if (!isCut) bytes[offset]! ^= 1 << Math.floor(random() * 8);
      const disk = readOnlyDisk(new Map([...files, [name, isCut ? bytes.subarray(0, offset) : bytes]]));
      const report = await verifyFolder({ disk, dir: 'dir', createReplica });
      const recovered = await recoveredFrom(disk);
      const where = { seed: SEED, index, name, offset, isCut };
      if (!recovered) expect({ ...where, faults: report.faults.length }).not.toMatchObject({ faults: 0 });
      if (report.faults.length > 0) faulty += 1;
      else if (!report.notes.some((note) => note.includes('torn'))) {
        // A cut may fall on the border of a batch: then the end is missing, as after a crash.
        const isShorter = isCut && recovered!.position < sound.position;
        expect({ ...where, same: isShorter || recovered!.state === sound.state }).toEqual({ ...where, same: true });
      }
      const plan = planRepair(report);
      if (plan.kind === 'repair' && recovered) {
        expect({ ...where, position: plan.lastPosition }).toEqual({ ...where, position: recovered.position });
      }
    }
    expect(faulty).toBeGreaterThan(CASES / 4);
  });

  it('takes what an unfinished removal of old files leaves for no fault', async () => {
    const dir = await temporaryFolder();
    // Each run begins a segment, so that several go at once.
    for (let index = 0; index < 3; index += 1) await (await JournalRun.start(dir)).add('a', 2);
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    let removals = 0;
    for (let round = 0; round < 3; round += 1) {
      await run.add('a');
      const before = await readFolder(dir);
      await run.journal.snapshotNow();
      const after = await readFolder(dir);
      const removed = [...before.keys()].filter((name) => !after.has(name));
      removals += removed.length;
      for (let subset = 0; subset < 2 ** removed.length; subset += 1) {
        const gone = removed.filter((_, index) => (subset & (1 << index)) !== 0);
        const left = new Map([...before, ...after].filter(([name]) => !gone.includes(name)));
        const report = await verifyFolder({ disk: readOnlyDisk(left), dir, createReplica: counterReplica });
        expect({ round, gone, faults: report.faults }).toEqual({ round, gone, faults: [] });
      }
    }
    expect(removals).toBeGreaterThan(4);
  });
});
