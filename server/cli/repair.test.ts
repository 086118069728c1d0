import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { leasehold } from '../testing/command-line.ts';
import { dataFolder, samplePool, startCoordinator } from '../testing/coordinator-process.ts';
import { flip, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { WireClient } from '../testing/wire-client.ts';

const SECTOR = 512;

/** Of what a repair is about: the run that made the folder was never stopped, and may still be making room ahead. */
async function contents(dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.isFile() && !entry.name.endsWith('.tmp'))
      files.set(entry.name, await readFile(join(dir, entry.name), 'base64'));
  }
  return files;
}

describe('leasehold journal repair', () => {
  it('says what it would do, does it when told to, keeps the originals, and a coordinator starts on what is left', async () => {
    const { dir, newDelta, lastDelta, lastPosition } = await makeGenerations(await temporaryFolder());
    await flip(dir, newDelta, 3 * SECTOR + 60);
    const before = await contents(dir);

    const planned = await leasehold('journal', 'repair', dir);
    const damage = 'no good batch, and a good one at position 62 follows at byte 2048';
    const kept = Number.parseInt(newDelta, 10) + 1;
    const times = '2026-01-05T00:00:30.000Z – 2026-01-05T00:00:30.000Z';
    expect(planned.lines).toEqual([
      `${lastDelta} would be set aside: it stands behind the damage`,
      `${newDelta} would be written anew, up to its last good batch, which ends at byte ${endOf(before, newDelta, 2)}: ${damage}`,
      `kept: all up to position ${kept}`,
      `lost: whatever stood behind position ${kept}; 37 events of it can be read, positions 62–${lastPosition}, ${times}`,
      'leases granted behind that are forgotten: until their TTLs are over, new ones may overlap them',
      'nothing was changed; --apply does it, and keeps the originals',
    ]);
    expect(planned.code).toBe(65);
    expect(await contents(dir)).toEqual(before);

    const applied = await leasehold('journal', 'repair', dir, '--apply');
    expect(applied.lines.at(-1)).toBe('repaired: the folder is sound now');
    expect(applied.code).toBe(0);
    const keptIn = (await readdir(dir)).find((name) => name.startsWith('damaged-'))!;
    expect(keptIn).toMatch(/^damaged-\d{8}T\d{9}Z$/);
    expect(applied.lines).toContain(`the originals are in ${keptIn}`);
    const originals = await contents(join(dir, keptIn));
    expect([...originals.keys()].sort()).toEqual([newDelta, lastDelta]);
    for (const [name, bytes] of originals) expect(bytes).toBe(before.get(name));

    const again = await leasehold('journal', 'repair', dir, '--apply');
    expect(again).toMatchObject({ code: 0, stdout: 'the folder is sound: nothing is to be repaired\n' });
    expect((await leasehold('journal', 'verify', dir)).code).toBe(0);
    const coordinator = await startCoordinator(['--data-dir', dir]);
    expect(coordinator.output.join('\n')).toContain(`"position":${kept}`);
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
  });

  it('leaves a folder alone that a coordinator uses, and one that it can do nothing for', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(3));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const { client } = await WireClient.hello(coordinator.port);
    await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
    expect(await leasehold('journal', 'repair', dir, '--apply')).toMatchObject({ code: 75, stdout: '' });
    await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
    await coordinator.kill('SIGKILL');

    const [delta] = (await readdir(dir)).filter((name) => name.endsWith('.delta'));
    await flip(dir, delta!, 20);
    await flip(dir, delta!, SECTOR + 20);
    const before = await contents(dir);
    const { code, stdout } = await leasehold('journal', 'repair', dir, '--apply');
    expect({ code, stdout }).toMatchObject({ code: 65 });
    expect(stdout).toContain('not repaired, nothing was changed: neither a sound snapshot nor the beginning');
    expect(await contents(dir)).toEqual(before);
  });
});

/** Where the batch with this number, from 1, ends. */
function endOf(files: ReadonlyMap<string, string>, name: string, number: number): number {
  const bytes = Buffer.from(files.get(name)!, 'base64');
  return number * SECTOR + 48 + bytes.readUInt32LE(number * SECTOR + 4) + 4;
}
