import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../testing/journal-run.ts';
import { PROJECT_DIR } from '../testing/project.ts';

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
