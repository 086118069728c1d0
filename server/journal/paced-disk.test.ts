import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../testing/journal-run.ts';
import { nodeDisk } from './disk.ts';
import { pacedDisk } from './paced-disk.ts';

it('a paced disk does what the disk does, and holds up each read and write for twice the work before it, but for the first', async () => {
  let nowMs = 0;
  const pauses: number[] = [];
  const disk = pacedDisk(nodeDisk, {
    headStartMs: 5,
    restPerWork: () => 2,
    nowMs: () => nowMs,
    pause: async (ms) => {
      pauses.push(ms);
      nowMs += ms;
    },
  });
  const file = await disk.open(join(await temporaryFolder(), 'file'), 'create');
  nowMs += 10;
  await file.write(Buffer.from('some'), 0);
  nowMs += 3;
  await file.sync();
  const bytes = Buffer.alloc(4);
  expect(await file.read(bytes, 0)).toBe(4);
  expect(bytes.toString()).toBe('some');
  nowMs += 60_000;
  await file.read(bytes, 0);
  await file.close();
  expect(pauses).toEqual([10, 6, 2_000]);
});

it('a paced disk counts as work, too, what is done while it holds up a read that was begun ahead', async () => {
  const path = join(await temporaryFolder(), 'file');
  const asked: number[] = [];
  const pause = (ms: number) => {
    asked.push(ms);
    return setTimeout<void>(ms);
  };
  const disk = pacedDisk(nodeDisk, { headStartMs: 0, restPerWork: () => 2, nowMs: () => performance.now(), pause });
  const file = await disk.open(path, 'create');
  const ahead = file.read(Buffer.alloc(1), 0);
  const untilMs = performance.now() + 100;
  while (performance.now() < untilMs);
  await ahead;
  await file.close();
  expect(asked.reduce((sum, ms) => sum + ms)).toBeGreaterThan(180);
});
