import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { JournalRun, snapshotsOf, temporaryFolder } from '../testing/journal-run.ts';
import { type Disk, nodeDisk } from './disk.ts';
import { deltaName, snapshotName } from './file-names.ts';
import type { JournalOptions } from './journal.ts';
import { NO_REST, type SnapshotRequest, type TakeSnapshot } from './snapshot-rotation.ts';

/** The name of a counter, of which a batch and what a snapshot says of it take some 900 KB. */
const BIG = 'x'.repeat(900_000);

it('a snapshot is due after a quarter as many bytes of events, fewer where the last one is large, and not before a sixteenth of it', async () => {
  const { dir, run } = await started({ snapshotBytes: 20_000_000 });
  for (let batch = 0; batch < 9; batch += 1) {
    await run.add(`${batch}${BIG}`);
    if (batch === 5) await expect.poll(() => snapshotsIn(dir)).toEqual([snapshotName(6)]);
  }
  // Of the quarter, five megabytes, those of the snapshot leave half: three are enough.
  await expect.poll(() => snapshotsIn(dir)).toEqual([6, 9].map(snapshotName));
  await run.add(`9${BIG}`);
  await run.journal.snapshotNow();
  expect(await snapshotsIn(dir)).toEqual([9, 10].map(snapshotName));
  // Now there are nine, which leave nothing of it: half a megabyte of events it is.
  for (let batch = 0; batch < 5; batch += 1) await run.add(BIG.slice(0, 100_000));
  expect(await snapshotsIn(dir)).toHaveLength(2);
  await run.add(BIG.slice(0, 100_000));
  await expect.poll(() => snapshotsIn(dir)).toEqual([10, 16].map(snapshotName));
});

it('a snapshot is due by what small batches take of the disk', async () => {
  // A sector each, of which the event is a small part; what the segment begins with is one more.
  const { dir, run } = await started({ snapshotBytes: 50 * 512 });
  for (let batch = 0; batch < 49; batch += 1) await run.add('a');
  expect(await snapshotsIn(dir)).toEqual([]);
  await run.add('a');
  await expect.poll(() => snapshotsIn(dir)).toEqual([snapshotName(50)]);
});

it('a start begins with the size of the snapshot that it finds', async () => {
  const { dir, run } = await started({ snapshotBytes: 400_000_000 });
  for (let batch = 0; batch < 10; batch += 1) await run.add(`${batch}${BIG}`);
  await run.journal.snapshotNow();
  await run.journal.close();
  const again = await started({ snapshotBytes: 20_000_000 }, dir);
  await again.run.add(BIG);
  await expect.poll(() => snapshotsIn(dir)).toEqual([10, 12].map(snapshotName));
});

it('a snapshot rests less and less as events pile up behind it, and no more at a thirty-second of `snapshotBytes`', async () => {
  const { requests, fail, takeSnapshot } = heldSnapshots();
  const { run } = await started({ snapshotBytes: 128_000_000, takeSnapshot });
  await run.add('a');
  const taking = run.journal.snapshotNow().catch((error: Error) => error.message);
  await expect.poll(() => requests).toHaveLength(1);
  const seen = [requests[0]!.hurryPercent[0]];
  for (let batch = 0; batch < 6; batch += 1) {
    await run.add(BIG);
    seen.push(requests[0]!.hurryPercent[0]);
  }
  fail();
  expect(await taking).toBe('enough');
  expect(seen).toEqual([0, 0, 0, 35, 80, NO_REST, NO_REST]);
});

it('a snapshot of what had piled up before, twice as much as makes one due, does not rest', async () => {
  const { requests, begunWith, fail, takeSnapshot } = heldSnapshots();
  const { run } = await started({ snapshotBytes: 4_000_000, takeSnapshot });
  for (const batches of [1, 2]) {
    for (let batch = 0; batch < batches; batch += 1) await run.add(BIG);
    const taking = run.journal.snapshotNow().catch((error: Error) => error.message);
    await expect.poll(() => requests).toHaveLength(batches);
    fail();
    // No other is asked for by what comes behind it, for as long as that is waited for.
    expect(await taking).toBe('enough');
  }
  expect(begunWith).toEqual([0, NO_REST]);
});

it('old snapshots are gone for good before the deltas that lead on from them', async () => {
  const steps: string[] = [];
  const noted = (step: string, path: string) => {
    if (!path.includes('prepared-')) steps.push(`${step} ${basename(path)}`);
  };
  const disk: Disk = {
    ...nodeDisk,
    remove: (path) => nodeDisk.remove(path).then(() => noted('remove', path)),
    rename: (from, to) => nodeDisk.rename(from, to).then(() => noted('rename', from)),
    syncFolder: (dir) => nodeDisk.syncFolder(dir).then(() => noted('sync', '')),
  };
  // Deltas of two batches take three sectors: two of them are more than may lie between two snapshots.
  const { dir, run } = await started({ disk, snapshotBytes: 1_800, snapshotsKept: 3 });
  for (let made = 0; made < 4; made += 1) {
    await run.add('a');
    await run.add('b');
    steps.splice(0);
    await run.journal.snapshotNow();
  }
  const removals = steps.slice(steps.indexOf(`rename ${snapshotName(2)}`));
  expect(removals).toEqual([`rename ${snapshotName(2)}`, 'sync ', `remove ${deltaName(3)}`, 'sync ']);
  expect(await snapshotsIn(dir)).toEqual([4, 6, 8].map(snapshotName));
});

it('what came behind a snapshot while it was made makes the next one due, without another event', async () => {
  let begunCount = 0;
  let goOn = () => undefined as void;
  const isHeld = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const dir = await temporaryFolder();
  const { takeSnapshot } = snapshotsOf(dir);
  const { run } = await started(
    {
      snapshotBytes: 8_000_000,
      takeSnapshot: (request) => {
        begunCount += 1;
        return isHeld.then(() => takeSnapshot(request));
      },
    },
    dir,
  );
  await run.add('a');
  const taking = run.journal.snapshotNow();
  await expect.poll(() => begunCount).toBe(1);
  for (let batch = 0; batch < 4; batch += 1) await run.add(`${batch}${BIG}`);
  goOn();
  await taking;
  await expect.poll(() => snapshotsIn(dir)).toEqual([1, 5].map(snapshotName));
});

/** Snapshots that are not made, and fail when they are told to. */
function heldSnapshots() {
  const requests: SnapshotRequest[] = [];
  /** The `hurryPercent` of each. */
  const begunWith: number[] = [];
  let fail = () => undefined as void;
  const takeSnapshot: TakeSnapshot = (request) => {
    requests.push(request);
    begunWith.push(request.hurryPercent[0]!);
    return new Promise((_, reject) => {
      fail = () => reject(new Error('enough'));
    });
  };
  return { requests, begunWith, fail: () => fail(), takeSnapshot };
}

/** Two snapshots are kept. */
async function started(options: Partial<JournalOptions>, dir?: string) {
  const folder = dir ?? (await temporaryFolder());
  const run = await JournalRun.start(folder, { ...snapshotsOf(folder), snapshotsKept: 2, ...options });
  return { dir: folder, run };
}

async function snapshotsIn(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.snapshot')).sort();
}
