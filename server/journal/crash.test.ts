import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { compileForChild } from '../testing/compile.ts';
import { counterReplica, countersOf, temporaryFolder } from '../testing/journal-run.ts';
import { nodeDisk } from './disk.ts';
import { lockFolder } from './folder-lock.ts';
import { recover } from './recover.ts';

const KILLS = 12;

let child: Awaited<ReturnType<typeof compileForChild>>;
beforeAll(async () => {
  child = await compileForChild('server/testing/journal-child.ts');
});
afterAll(() => child.remove());

describe('folder lock', () => {
  it('keeps a second process off the folder, and a second lock of the same process', async () => {
    const dir = await temporaryFolder();
    const lock = lockFolder(dir);
    if (lock === 'held') throw new Error('nobody else knows this folder');
    expect(lockFolder(dir)).toBe('held');
    const other = start(dir);
    expect(await other.nextLine()).toBe('held');
    expect((await other.exited)[0]).toBe(75);
    lock.release();
    expect(await start(dir).nextLine()).toBe('locked');
  });

  it('is free once its holder was killed with kill -9', async () => {
    const dir = await temporaryFolder();
    const holder = start(dir);
    expect(await holder.nextLine()).toBe('locked');
    expect(lockFolder(dir)).toBe('held');
    holder.process.kill('SIGKILL');
    await holder.exited;
    expect(lockFolder(dir)).not.toBe('held');
  });

  it('says what is missing where there is no folder', () => {
    expect(() => lockFolder('/nonexistent/leasehold')).toThrow('ENOENT');
  });
});

describe('kill -9 under load', () => {
  it(`loses nothing acknowledged over ${KILLS} kills, rotations and snapshots among them`, async () => {
    const dir = await temporaryFolder();
    let snapshotPosition: number | undefined;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const run = start(dir);
      expect(await run.nextLine()).toBe('locked');
      for (let appends = 0; appends < kill * 20; appends += 1) await run.nextLine();
      run.process.kill('SIGKILL');
      await run.exited;
      const acknowledged = run.lastPosition();

      const replica = counterReplica();
      const recovered = await recover(nodeDisk, dir, replica, { cut: false });
      const { position } = recovered;
      expect(position).toBeGreaterThanOrEqual(acknowledged);
      expect(countersOf(replica)).toEqual({ positions: [(position * (position + 1)) / 2, position] });
      expect(recovered.epoch).toBe(kill);
      expect(recovered.cleanStop).toBe(false);
      snapshotPosition = recovered.snapshotPosition;
    }
    expect(snapshotPosition).toBeGreaterThan(0);
  });
});

function start(dir: string) {
  const started: ChildProcess = spawn(process.execPath, [child.file, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void started.kill('SIGKILL'));
  let last = 0;
  const lines = createInterface({ input: started.stdout! });
  lines.on('line', (line) => {
    last = Number(line);
  });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    process: started,
    /** Code and signal, once all it said has been read. */
    exited: Promise.all([once(started, 'exit'), once(lines, 'close')]).then(([exit]) => exit as unknown[]),
    nextLine: async () => (await iterator.next()).value as string | undefined,
    /** The last that it acknowledged, read here or not. */
    lastPosition: () => last,
  };
}
