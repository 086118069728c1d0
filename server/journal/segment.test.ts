import { execFile } from 'node:child_process';
import { readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { counterReplica, JournalRun, temporaryFolder } from '../testing/journal-run.ts';
import { PROJECT_DIR } from '../testing/project.ts';
import { nodeDisk } from './disk.ts';
import { HEADER_BYTES } from './file-header.ts';
import { deltaName } from './file-names.ts';
import { recover } from './recover.ts';
import { verifyFolder } from './verify.ts';

const JOURNAL = join(PROJECT_DIR, 'dist/server/journal');

it('a segment gets its name as soon as there are descriptors again, where clients have taken all of them', async () => {
  const dir = await temporaryFolder();
  const script = `
    import { closeSync, openSync } from 'node:fs';
    import { nodeDisk } from ${JSON.stringify(join(JOURNAL, 'disk.js'))};
    import { placeSegment, prepareSegment } from ${JSON.stringify(join(JOURNAL, 'segment.js'))};
    const dir = ${JSON.stringify(dir)};
    const prepared = await prepareSegment(nodeDisk, dir, 1, 8192);
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch (error) { console.log(error.code); }
    let waits = 0;
    const setTimer = (_, callback) => {
      waits += 1;
      if (waits === 3) for (const descriptor of taken.splice(-3)) closeSync(descriptor);
      setTimeout(callback, 1);
    };
    const header = { dataId: new Uint8Array(16), firstPosition: 7, previousCrc: 0, epoch: 1 };
    await placeSegment({ disk: nodeDisk, dir, scheduler: { setTimer } }, prepared, header);
    console.log(waits);
  `;
  const command = `ulimit -n 64; exec '${process.execPath}' --input-type=module -e "$0"`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command, script]);
  expect(stdout.split('\n')).toEqual(['EMFILE', '3', '']);
  expect(await readdir(dir)).toEqual(['00000000000000000007.delta']);
});

it('where the segment that was written to has gone, or its end, recovery and verify say so, and after a crash alone they do not', async () => {
  const dir = await temporaryFolder();
  const run = await JournalRun.start(dir, { batchBytesMax: 1024, segmentBytes: 4096 });
  // Two sectors each, three of them in a segment.
  for (let batch = 0; batch < 5; batch += 1) await run.add('x'.repeat(900));
  const [first, second] = [1, 4].map((position) => join(dir, deltaName(position))) as [string, string];
  await expect.poll(async () => (await stat(first)).size).toBe(HEADER_BYTES + 3 * 1024);
  const notes = async () => {
    const { notes: told } = await recover(nodeDisk, dir, counterReplica(), { cut: false });
    const report = await verifyFolder({ disk: nodeDisk, dir, createReplica: counterReplica });
    expect(report).toMatchObject({ faults: [], notes: expect.arrayContaining([...told]) as string[] });
    return told;
  };
  expect(await notes()).toEqual([]);
  await recover(nodeDisk, dir, counterReplica());
  expect(await notes()).toEqual([]);
  // The second one gets its name while the first is read.
  let lists = 0;
  const list = async (path: string) => {
    lists += 1;
    const names = await nodeDisk.list(path);
    return lists === 1 ? names.filter((name) => name !== deltaName(4)) : names;
  };
  const live = await verifyFolder({ disk: { ...nodeDisk, list }, dir, createReplica: counterReplica });
  expect(live.notes.join()).not.toContain('no room left');
  await truncate(second, HEADER_BYTES + 1024);
  expect(await notes()).toEqual([expect.stringContaining(`${deltaName(4)} has no room left`)]);
  await rm(second);
  expect(await notes()).toEqual([expect.stringContaining(`${deltaName(1)} has no room left`)]);
  await recover(nodeDisk, dir, counterReplica());
  const next = await JournalRun.start(dir);
  await next.journal.close();
  expect(await notes()).toEqual([]);
});
