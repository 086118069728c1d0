import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Replica } from '../coordinator/replica.ts';
import { nodeDisk } from '../journal/disk.ts';
import { CorruptJournalError } from '../journal/errors.ts';
import { verifyFolder } from '../journal/verify.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { jsonLines, leasehold } from '../testing/command-line.ts';
import { dataFolder, samplePool, startCoordinator } from '../testing/coordinator-process.ts';
import { copyOf, DAMAGES, flip, type Generations, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { PLANTED } from '../testing/lease-folders.ts';
import { WireClient } from '../testing/wire-client.ts';

const SECTOR = 512;

let sound: Generations;

beforeAll(async () => {
  sound = await makeGenerations(await mkdtemp(join(tmpdir(), 'leasehold-')));
});
afterAll(() => rm(sound.dir, { recursive: true, force: true }));

async function generations(): Promise<Generations> {
  return copyOf(sound, await temporaryFolder());
}

/** Names, sizes and times of change: what a reader must not touch. */
async function looks(dir: string): Promise<unknown> {
  const names = (await readdir(dir)).sort();
  return Promise.all(
    names.map(async (name) => {
      const hash = createHash('sha256').update(await readFile(join(dir, name)));
      return [name, (await stat(join(dir, name))).mtimeMs, hash.digest('hex')];
    }),
  );
}

describe('leasehold journal verify', () => {
  it('says what each file of a sound folder holds, and changes nothing', async () => {
    const files = await generations();
    await writeFile(join(files.dir, 'prepared-9.delta.tmp'), 'half');
    const before = await looks(files.dir);
    const { code, lines, stdout } = await leasehold('journal', 'verify', files.dir);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(lines[0]).toMatch(
      new RegExp(`^${files.oldSnapshot} +position 18  12 records  1,569 bytes  2026-01-05T\\S+Z  good$`),
    );
    expect(lines[1]).toMatch(
      /^\d{20}\.delta +positions 19–57 {2}39 batches, 39 events {2}20,480 bytes {2}2026-01-05T\S+Z {2}good$/,
    );
    expect(lines).toContain('note: prepared-9.delta.tmp: no fault: it is being made, or a start removes it');
    expect(lines.at(-1)).toBe(`4 deltas, 2 snapshots, up to position ${files.lastPosition}: no faults`);
    expect(stdout).not.toContain(PLANTED);
    expect(await looks(files.dir)).toEqual(before);
  });

  it.each(DAMAGES)('finds $name', async ({ damage, faults }) => {
    const files = await generations();
    await damage(files);
    const before = await looks(files.dir);
    const result = await leasehold('journal', 'verify', files.dir, '--json');
    const found = jsonLines(result).filter(({ type }) => type === 'fault');
    const sizes = new Map(jsonLines(result).map(({ name, bytes }) => [name, bytes as number]));
    // Written as minus so many bytes from the end, less one.
    const expected = faults(files).map(([file, offset, fault]) => ({
      file,
      offset: offset < 0 ? sizes.get(file)! + offset + 1 : offset,
      fault,
    }));
    expect(found).toMatchObject(expected);
    expect(found).toHaveLength(expected.length);
    expect(result.code).toBe(65);
    expect(await looks(files.dir)).toEqual(before);
  });

  it('names the good batch behind a bad one', async () => {
    const { dir, newDelta } = await generations();
    await flip(dir, newDelta, 3 * SECTOR + 60);
    const { lines, code } = await leasehold('journal', 'verify', dir);
    const found = `no good batch, and a good one at position 62 follows at byte ${4 * SECTOR}`;
    expect(lines).toContain(`fault: ${newDelta} at byte ${3 * SECTOR}: bad_batch: ${found}`);
    expect(code).toBe(65);
  });

  it('takes a torn batch at the end for the work of a crash', async () => {
    const { dir, lastDelta } = await generations();
    const bytes = await readFile(join(dir, lastDelta));
    bytes.fill(7, 2 * SECTOR, 2 * SECTOR + 20);
    await writeFile(join(dir, lastDelta), bytes);
    const { code, lines } = await leasehold('journal', 'verify', dir);
    expect(code).toBe(0);
    expect(lines).toContain(
      `note: ${lastDelta}: a torn batch of 20 bytes at byte 1024, no fault; the next start cuts it`,
    );
    expect(lines.find((line) => line.startsWith(lastDelta))).toMatch(/torn$/);
  });

  it('takes whatever stands behind the mark of a clean stop for damage', async () => {
    const { dir, lastDelta } = await makeGenerations(await temporaryFolder(), { stop: true });
    expect((await leasehold('journal', 'verify', dir)).code).toBe(0);
    const end = (await stat(join(dir, lastDelta))).size;
    await appendFile(join(dir, lastDelta), 'x');
    const result = await leasehold('journal', 'verify', dir, '--json');
    expect(jsonLines(result)).toContainEqual(
      expect.objectContaining({ type: 'fault', file: lastDelta, offset: end, fault: 'after_clean_stop' }),
    );
    expect(result.code).toBe(65);
  });

  it('looks at the folder of a coordinator that is serving', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(50));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const { client } = await WireClient.hello(coordinator.port);
    let isDone = false;
    const load = (async () => {
      while (!isDone) {
        const granted = (await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted')) as {
          lease: number;
        };
        await client.request({ type: 'release', lease: granted.lease }, 'released');
      }
    })();
    for (let round = 0; round < 3; round += 1) {
      const { code, stdout } = await leasehold('journal', 'verify', dir);
      expect({ code, stdout }).toMatchObject({ code: 0 });
    }
    isDone = true;
    await load;
    await client.close();
  });

  it('says when there is no folder, or nothing in it', async () => {
    const dir = await temporaryFolder();
    expect(await leasehold('journal', 'verify', dir)).toMatchObject({ code: 0, stdout: 'no data\n' });
    const missing = await leasehold('journal', 'verify', join(dir, 'missing'));
    expect(missing).toMatchObject({ code: 74, stdout: '' });
    expect(missing.stderr).toContain('ENOENT');
    expect((await leasehold('journal', 'verify')).code).toBe(64);
    expect((await leasehold('journal', 'varify', dir)).code).toBe(64);
    expect((await leasehold('journal', 'verify', '--help')).code).toBe(0);
  });
});

describe('the mark of a clean stop, as verify reads it', () => {
  const verifying = (dir: string, mark: { position: number; batchCrc: number; lastDeltaBytes: number } | Error) =>
    verifyFolder({
      disk: nodeDisk,
      dir,
      createReplica: () => new Replica([leaseDomain]),
      readStopMark: () => (mark instanceof Error ? Promise.reject(mark) : Promise.resolve(mark)),
    });

  it('is held against the end of the deltas', async () => {
    const { dir, lastDelta, lastPosition } = await generations();
    await writeFile(join(dir, 'stopped'), 'as the reader says');
    const bytes = await readFile(join(dir, lastDelta));
    const size = bytes.length;
    const batchCrc = bytes.readUInt32LE(SECTOR + 48 + bytes.readUInt32LE(SECTOR + 4));
    const good = { position: lastPosition, batchCrc, lastDeltaBytes: size };
    expect((await verifying(dir, good)).faults).toEqual([]);
    const faultAt = async (mark: typeof good | Error) =>
      (await verifying(dir, mark)).faults.map(({ kind, file, offset }) => [kind, file, offset]);
    expect(await faultAt({ ...good, position: lastPosition + 1 })).toEqual([['stop_mark', lastDelta, size]]);
    expect(await faultAt({ ...good, batchCrc: batchCrc + 1 })).toEqual([['stop_mark', lastDelta, size]]);
    expect(await faultAt({ ...good, lastDeltaBytes: size - 512 })).toEqual([['stop_mark', lastDelta, size - 512]]);
    expect(await faultAt(new CorruptJournalError('stopped', 0, 'damaged'))).toEqual([['stop_mark', 'stopped', 0]]);
    bytes.fill(7, 2 * SECTOR, 2 * SECTOR + 20);
    await writeFile(join(dir, lastDelta), bytes);
    expect(await faultAt(good)).toEqual([['stop_mark', lastDelta, 2 * SECTOR]]);
  });
});
