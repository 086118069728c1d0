import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMAND, jsonLines, leasehold } from '../testing/command-line.ts';
import { flip, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { makeHistory, makeTraffic, PLANTED } from '../testing/lease-folders.ts';

const SECTOR = 512;

describe('leasehold journal dump', () => {
  it('prints every event by name, and no credential nor the hash of a secret', async () => {
    const dir = await temporaryFolder();
    const { run, tokens } = await makeHistory(dir);
    const result = await leasehold('journal', 'dump', dir);
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    const events = jsonLines(result);
    expect(events.map(({ position }) => position)).toEqual(
      Array.from({ length: run.position }, (_, index) => index + 1),
    );
    const staged = events.find(({ event }) => event === 'PoolStaged')!;
    expect(staged).toMatchObject({
      epoch: 1,
      domain: 'lease',
      version: 1,
      utc: '2026-01-05T00:00:00.000Z',
      clock_ms: 1_000,
    });
    expect((staged['fields'] as { changes: unknown[] }).changes).toEqual([
      {
        change: 'add',
        address_id: 1,
        record: { address: 'http://***@10.0.0.1:8080', country: 'US', rpw: 1, resource_ids: [7, 8] },
      },
      {
        change: 'add',
        address_id: 2,
        record: {
          address: '***@10.0.0.2:8080',
          country: 'CA',
          rpw: 2,
          resource_ids: [7],
          upstream: { via: ['socks5://***@10.1.0.2:1080'] },
          password: '***',
        },
      },
      {
        change: 'add',
        address_id: 3,
        record: { address: '10.0.0.3:8080', country: 'DE', rpw: 3, resource_ids: [7], note: '***@10.2.0.3' },
      },
    ]);
    expect(events.filter(({ event }) => event === 'LeaseEnded').map(({ fields }) => fields)).toEqual([
      { lease: tokens.released, end: 'released', at_ms: 12_000 },
      { lease: tokens.revoked, end: 'revoked', at_ms: 13_000, reason: 'operator' },
      { lease: tokens.expired, end: 'expired', at_ms: 22_000 },
      { lease: tokens.lost, end: 'session_lost', at_ms: 24_000 },
    ]);
    expect(result.stdout).not.toContain(PLANTED);
  });

  it('prints the oldest snapshot and what follows it, or a range', async () => {
    const { dir, lastPosition } = await makeGenerations(await temporaryFolder());
    const whole = await leasehold('journal', 'dump', dir, '--snapshot');
    const lines = jsonLines(whole);
    const kinds = lines.flatMap(({ record }) => (record === undefined ? [] : [record]));
    expect(new Set(kinds)).toEqual(new Set(['meta', 'resource', 'address', 'session', 'lease', 'ended']));
    expect(lines.slice(0, kinds.length)).toEqual(lines.filter(({ snapshot }) => snapshot === 18));
    const positions = lines.slice(kinds.length).map(({ position }) => position);
    expect(positions).toEqual(Array.from({ length: lastPosition - 18 }, (_, index) => 19 + index));
    expect(whole.stdout).not.toContain(PLANTED);

    const some = await leasehold('journal', 'dump', dir, '--from', '57', '--to', '60');
    expect(jsonLines(some).map(({ position }) => position)).toEqual([57, 58, 59, 60]);
    expect(await leasehold('journal', 'dump', dir, '--from', '1', '--to', '3')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'nothing is kept from before position 19\n',
    });
    expect((await leasehold('journal', 'dump', dir, '--from', '0')).code).toBe(64);
  });

  it('ends at damage, and goes on behind it when asked to', async () => {
    const { dir, newDelta, lastDelta } = await makeGenerations(await temporaryFolder());
    await flip(dir, newDelta, 3 * SECTOR + 60);
    const { code, stderr, lines } = await leasehold('journal', 'dump', dir);
    expect(code).toBe(65);
    expect(stderr).toContain(`${newDelta} is corrupt at byte ${3 * SECTOR}: no good batch`);
    expect((JSON.parse(lines.at(-1)!) as { position: number }).position).toBe(60);
    const behind = await leasehold('journal', 'dump', dir, '--from', '62');
    expect({ code: behind.code, count: behind.lines.length }).toEqual({ code: 0, count: 37 });
    const bytes = await readFile(join(dir, lastDelta));
    await writeFile(join(dir, lastDelta), bytes.fill(7, 2 * SECTOR, 2 * SECTOR + 20));
    const torn = await leasehold('journal', 'dump', dir, '--from', '62');
    expect(torn).toMatchObject({ code: 0, stderr: `${lastDelta} ends in a torn batch of 20 bytes at byte 1024\n` });
  });

  it('ends quietly when whoever reads it has seen enough', async () => {
    const dir = await temporaryFolder();
    const { run } = await makeHistory(dir);
    // More than a pipe holds, so that it is still writing when the pipe is closed.
    await makeTraffic(run, 400);
    const child = spawn('sh', [
      '-c',
      `"$0" "$1" journal dump "$2" --from 1 | head -n 2; echo done`,
      process.execPath,
      COMMAND,
      dir,
    ]);
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => output.push(data));
    await once(child, 'close');
    const lines = Buffer.concat(output).toString().trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.at(-1)).toBe('done');
    const piped = spawn(process.execPath, [COMMAND, 'journal', 'dump', dir], { stdio: ['ignore', 'pipe', 'pipe'] });
    piped.stdout.once('data', () => piped.stdout.destroy());
    const complaints: Buffer[] = [];
    piped.stderr.on('data', (data: Buffer) => complaints.push(data));
    const [code] = (await once(piped, 'close')) as [number | null];
    expect({ code, complaints: Buffer.concat(complaints).toString() }).toEqual({ code: 0, complaints: '' });
  });

  it('says that its output could not be written, and ends as a failed disk does', async () => {
    const dir = await temporaryFolder();
    await makeHistory(dir);
    const child = spawn('sh', ['-c', `"$0" "$1" journal dump "$2" > /dev/full`, process.execPath, COMMAND, dir]);
    const complaints: Buffer[] = [];
    child.stderr.on('data', (data: Buffer) => complaints.push(data));
    const [code] = (await once(child, 'close')) as [number | null];
    const text = Buffer.concat(complaints).toString();
    expect({ code, text }).toEqual({ code: 74, text: 'ENOSPC: no space left on device, write\n' });
  });
});
