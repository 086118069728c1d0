import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { NewerDataError } from '../coordinator/domain.ts';
import { Replica } from '../coordinator/replica.ts';
import { counterDomain } from '../testing/counter-domain.ts';
import { counterReplica, countersOf, JournalRun, snapshotsOf, temporaryFolder } from '../testing/journal-run.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { buildSnapshot } from './build-snapshot.ts';
import { nodeDisk } from './disk.ts';
import { CorruptJournalError } from './errors.ts';
import { HEADER_BYTES } from './file-header.ts';
import { deltaName, snapshotName } from './file-names.ts';
import type { JournalOptions } from './journal.ts';
import { packValue } from './msgpack.ts';
import { recover } from './recover.ts';

/** Makes a batch of some 900 KB: four fill a segment of the smallest size. */
const BIG = 'x'.repeat(900_000);

describe('snapshot', () => {
  it('with the deltas behind it gives the state that all deltas give', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    // More than one chunk of records, and a counter that goes on behind the snapshot.
    for (let batch = 0; batch < 20; batch += 1) await run.add(`${'n'.repeat(20_000)}${batch}`, 3);
    await run.add('on both sides', 5);
    await run.journal.snapshotNow();
    await run.add('on both sides', 5);
    await run.add('behind', 1);

    const fromSnapshot = await recovering(dir);
    expect(fromSnapshot.recovered.snapshotPosition).toBe(65);
    await nodeDisk.remove(join(dir, snapshotName(65)));
    const fromDeltas = await recovering(dir);
    expect(fromDeltas.recovered.snapshotPosition).toBeUndefined();
    expect(fromSnapshot.counters).toEqual(fromDeltas.counters);
    expect(fromSnapshot.counters['on both sides']).toEqual([10, 10]);
    const { position, epoch, clockMs, utcMs, lastBatchCrc, dataId } = fromDeltas.recovered;
    expect(fromSnapshot.recovered).toMatchObject({ position, epoch, clockMs, utcMs, lastBatchCrc, dataId });
  });

  it('carries position, clock and data id where no delta follows', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    await run.add('a', 3);
    await run.journal.snapshotNow();
    for (const name of await readdir(dir)) if (name.endsWith('.delta')) await nodeDisk.remove(join(dir, name));
    const { counters, recovered } = await recovering(dir);
    expect(counters).toEqual({ a: [3, 3] });
    expect(recovered).toMatchObject({ position: 3, epoch: 1, clockMs: 1.5, utcMs: 1_750_000_000_001 });
    expect(recovered.notes).toEqual([expect.stringContaining(`no delta follows ${snapshotName(3)}`)]);
    const next = await JournalRun.start(dir);
    await next.add('a');
    expect((await recovering(dir)).counters).toEqual({ a: [4, 4] });
  });

  it('of which a chunk is sound and of another one is passed over, whatever that chunk says', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    await run.add('a', 3);
    await run.journal.snapshotNow();
    const path = join(dir, snapshotName(3));
    const bytes = await readFile(path);
    const payload = packValue(['nobody', 1]);
    const chunk = Buffer.alloc(8 + payload.length);
    chunk.writeUInt32LE(payload.length, 0);
    chunk.writeUInt32LE(crc32(payload), 4);
    chunk.set(payload, 8);
    await writeFile(path, Buffer.concat([bytes.subarray(0, HEADER_BYTES), chunk, bytes.subarray(-16)]));
    const { counters, recovered } = await recovering(dir);
    expect(counters).toEqual({ a: [3, 3] });
    expect(recovered.badSnapshots).toEqual([snapshotName(3)]);
  });

  it('of which a domain takes no record, though all is sound, is refused with its place, as events are', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    await run.add('a', 3);
    await run.journal.snapshotNow();
    await run.add('b');
    const refusing = (part: Partial<typeof counterDomain>) =>
      recover(nodeDisk, dir, new Replica([{ ...counterDomain, ...part }]), { cut: false });
    const refuse = () => {
      throw new Error('a counter too many');
    };
    await expect(refusing({ restore: refuse })).rejects.toThrow(
      `${snapshotName(3)} is corrupt at byte ${HEADER_BYTES}: its records can't be restored: a counter too many`,
    );
    await expect(refusing({ apply: refuse })).rejects.toThrow(
      `${deltaName(4)} is corrupt at byte 512: its events can't be applied: a counter too many`,
    );
    const isNewer = () => {
      throw new NewerDataError('counter');
    };
    await expect(refusing({ restore: isNewer })).rejects.toThrow(NewerDataError);
    const hasNoMemory = () => {
      throw new RangeError('Array buffer allocation failed');
    };
    await expect(refusing({ restore: hasNoMemory })).rejects.toThrow(RangeError);
  });

  it('that is damaged is passed over for the one before it, never for less than was there', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    await run.add('a', 3);
    await run.journal.snapshotNow();
    await run.add('b', 3);
    await truncate(join(dir, snapshotName(3)), 600);
    const { counters, recovered } = await recovering(dir);
    expect(counters).toEqual({ a: [3, 3], b: [3, 3] });
    expect(recovered.badSnapshots).toEqual([snapshotName(3)]);
    expect(recovered.notes[0]).toContain(snapshotName(3));

    // The deltas up to it are gone from the tail on: without this rule that would look like a torn batch.
    await nodeDisk.remove(join(dir, deltaName(4)));
    const bytes = await readFile(join(dir, deltaName(1)));
    await writeFile(join(dir, deltaName(1)), bytes.subarray(0, 520));
    await expect(recovering(dir)).rejects.toThrow(CorruptJournalError);
  });

  it('is refused for a position that no batch ends at, or that is not there yet', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir);
    await run.add('a', 3);
    for (const position of [2, 4]) {
      await expect(buildSnapshot(nodeDisk, dir, counterReplica(), position)).rejects.toThrow('only lead to');
    }
    expect(await namesOf(dir, '.snapshot')).toEqual([]);
  });

  it('is refused by deltas that tell another history', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    await run.add('a', 3);
    await run.journal.snapshotNow();
    const other = await temporaryFolder();
    const otherRun = await JournalRun.start(other, snapshotsOf(other));
    await otherRun.add('b', 3);
    await otherRun.journal.snapshotNow();
    await writeFile(join(dir, snapshotName(3)), await readFile(join(other, snapshotName(3))));
    await expect(recovering(dir)).rejects.toThrow(CorruptJournalError);
  });
});

describe('snapshot rotation', () => {
  it('keeps two snapshots and the deltas since the older one, and nothing before', async () => {
    const dir = await temporaryFolder();
    const run = await JournalRun.start(dir, snapshotsOf(dir));
    const kept: string[][] = [];
    for (let round = 0; round < 4; round += 1) {
      await run.add('a', 10);
      await run.journal.snapshotNow();
      kept.push((await namesOf(dir, '')).filter((name) => !name.endsWith('.tmp')));
    }
    expect(kept).toEqual([
      [deltaName(1), snapshotName(10), deltaName(11)],
      [snapshotName(10), deltaName(11), snapshotName(20), deltaName(21)],
      [snapshotName(20), deltaName(21), snapshotName(30), deltaName(31)],
      [snapshotName(30), deltaName(31), snapshotName(40), deltaName(41)],
    ]);
    expect((await recovering(dir)).counters).toEqual({ a: [40, 40] });
  });

  it('does not count a damaged snapshot as a generation', async () => {
    const dir = await temporaryFolder();
    const first = await JournalRun.start(dir, snapshotsOf(dir));
    for (let round = 0; round < 2; round += 1) {
      await first.add('a', 10);
      await first.journal.snapshotNow();
    }
    await truncate(join(dir, snapshotName(20)), 600);
    const second = await JournalRun.start(dir, snapshotsOf(dir));
    await second.add('a', 10);
    await second.journal.snapshotNow();
    await truncate(join(dir, snapshotName(30)), 600);
    expect((await recovering(dir)).counters).toEqual({ a: [30, 30] });
  });

  it('does not count one either that is damaged while the journal runs, and says so', async () => {
    const dir = await temporaryFolder();
    const warnings: string[] = [];
    const log = { info: () => {}, warn: (_: object, message: string) => void warnings.push(message) };
    const run = await JournalRun.start(dir, { ...snapshotsOf(dir), log });
    for (let round = 0; round < 2; round += 1) {
      await run.add('a', 10);
      await run.journal.snapshotNow();
    }
    await truncate(join(dir, snapshotName(20)), 600);
    await run.add('a', 10);
    await run.journal.snapshotNow();
    expect(await namesOf(dir, '.snapshot')).toEqual([10, 20, 30].map(snapshotName));
    expect(warnings).toEqual([expect.stringContaining(`${snapshotName(20)} was passed over`)]);
    await truncate(join(dir, snapshotName(30)), 600);
    expect((await recovering(dir)).counters).toEqual({ a: [30, 30] });
  });

  it('begins by itself once enough has been written, and starts from what earlier runs left', async () => {
    const dir = await temporaryFolder();
    const made: number[] = [];
    const { takeSnapshot } = snapshotsOf(dir);
    const options: Partial<JournalOptions> = {
      snapshotBytes: 24_000_000,
      takeSnapshot: (request) => {
        made.push(request.upToPosition);
        return takeSnapshot(request);
      },
    };
    const first = await JournalRun.start(dir, options);
    for (let batch = 0; batch < 6; batch += 1) await first.add(BIG);
    await first.journal.close();
    expect(made).toEqual([]);
    const second = await JournalRun.start(dir, options);
    // In the middle of a segment.
    await second.add(BIG);
    await expect.poll(() => namesOf(dir, '.snapshot')).toEqual([snapshotName(8)]);
    for (let batch = 0; batch < 6; batch += 1) await second.add(BIG);
    expect(made).toEqual([8]);
    await second.add(BIG);
    await expect.poll(() => namesOf(dir, '.snapshot')).toEqual([snapshotName(8), snapshotName(15)]);
  });

  it('that fails is logged, leaves every file, and is tried again at the next rotation', async () => {
    const dir = await temporaryFolder();
    const messages: string[] = [];
    const { takeSnapshot } = snapshotsOf(dir);
    let attempts = 0;
    const run = await JournalRun.start(dir, {
      snapshotBytes: 4_000_000,
      log: { info: (_, message) => void messages.push(message), warn: (_, message) => void messages.push(message) },
      takeSnapshot: (request) => {
        attempts += 1;
        return attempts === 1 ? Promise.reject(new Error('no worker')) : takeSnapshot(request);
      },
    });
    const failure = 'snapshot failed: the files stay, and it is tried again in 30 s or at the next rotation';
    for (let batch = 0; batch < 2; batch += 1) await run.add(BIG);
    await expect.poll(() => messages).toEqual(['snapshot begun', failure]);
    // All that fits in the segment that begins behind it.
    for (let batch = 0; batch < 4; batch += 1) await run.add(BIG);
    expect(messages).toEqual(['snapshot begun', failure]);
    expect(await namesOf(dir, '.snapshot')).toEqual([]);
    await run.add(BIG);
    // The last event alone, beside what is there, makes the next one due.
    const removed = 'files that 2 snapshots make superfluous removed';
    const twice = ['snapshot begun', 'snapshot made', 'snapshot begun', 'snapshot made', removed];
    await expect.poll(() => messages.slice(2)).toEqual(twice);
    expect(await namesOf(dir, '.snapshot')).toEqual([6, 7].map(snapshotName));
  });

  it('that is asked for by hand and fails is tried again after 30 s, however little there is to it', async () => {
    const dir = await temporaryFolder();
    const { takeSnapshot } = snapshotsOf(dir);
    const timers: { readonly delayMs: number; readonly run: () => void }[] = [];
    let attempts = 0;
    const run = await JournalRun.start(dir, {
      scheduler: {
        ...realScheduler,
        setTimer: (delayMs, callback) => {
          timers.push({ delayMs, run: callback });
          return () => undefined;
        },
      },
      takeSnapshot: (request) => {
        attempts += 1;
        return attempts === 1 ? Promise.reject(new Error('no worker')) : takeSnapshot(request);
      },
    });
    await run.add('a');
    await expect(run.journal.snapshotNow()).rejects.toThrow('no worker');
    timers.find(({ delayMs }) => delayMs === 30_000)!.run();
    await expect.poll(() => namesOf(dir, '.snapshot')).toEqual([snapshotName(1)]);
    expect(attempts).toBe(2);
  });

  it('begins no second one at the rotations that come while one is being made', async () => {
    const dir = await temporaryFolder();
    const { takeSnapshot } = snapshotsOf(dir);
    const made: number[] = [];
    let goOn = () => undefined as void;
    const held = new Promise<void>((done) => {
      goOn = done;
    });
    const run = await JournalRun.start(dir, {
      snapshotBytes: 12_000_000,
      takeSnapshot: async (request) => {
        made.push(request.upToPosition);
        await held;
        return takeSnapshot(request);
      },
    });
    for (let batch = 0; batch < 13; batch += 1) await run.add(BIG);
    expect(made).toEqual([4]);
    goOn();
    // All that came meanwhile goes into the next one, what was not sealed yet included.
    await expect.poll(() => namesOf(dir, '.snapshot')).toEqual([snapshotName(4), snapshotName(13)]);
    expect(made).toEqual([4, 13]);
  });

  it('never makes two at a time, and is called off by the close', async () => {
    const dir = await temporaryFolder();
    let running = 0;
    const run = await JournalRun.start(dir, {
      takeSnapshot: async ({ signal }) => {
        running += 1;
        expect(running).toBe(1);
        await new Promise((called) => signal.addEventListener('abort', called, { once: true }));
        running -= 1;
        throw new Error('called off');
      },
    });
    await run.add('a');
    const first = run.journal.snapshotNow().catch((error: Error) => error.message);
    await expect.poll(() => running).toBe(1);
    const same = run.journal.snapshotNow().catch((error: Error) => error.message);
    await run.add('a');
    const second = run.journal.snapshotNow().catch((error: Error) => error.message);
    await run.journal.close();
    expect(await first).toBe('called off');
    expect(await same).toBe('called off');
    expect(await second).toContain('abort');
    expect(running).toBe(0);
    expect((await recovering(dir)).recovered).toMatchObject({ cleanStop: true, position: 3 });
  });
});

async function recovering(dir: string) {
  const replica = counterReplica();
  const recovered = await recover(nodeDisk, dir, replica, { cut: false });
  return { counters: countersOf(replica), recovered };
}

async function namesOf(dir: string, ending: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith(ending)).sort();
}
