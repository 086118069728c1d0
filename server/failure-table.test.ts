/** What happens to the real coordinator when something happens to its disk: a `describe` a row, in the row's own words. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Grant } from '../protocol/frames.ts';
import {
  type CoordinatorProcess,
  dataFolder,
  runCoordinator,
  samplePool,
  startCoordinator,
} from './testing/coordinator-process.ts';
import {
  copyTo,
  filesOf,
  fingerprint,
  flipByte,
  type LeftData,
  leftBy,
  usedBytesOf,
  writeAt,
} from './testing/data-copy.ts';
import { DISK_FAILURES } from './testing/disk-failures.ts';
import { CHANGING_CALLS, parseTrace, straceWrapper, whyNoStrace } from './testing/faults/strace.ts';
import { isSkipped } from './testing/is-skipped.ts';
import { WireClient } from './testing/wire-client.ts';

const HEADER_BYTES = 512;
const TTL_MS = 60_000;

const cannotTrace = isSkipped('a look at system calls, for want of strace', await whyNoStrace());

/** Ended by kill -9, ended by SIGTERM, and after two snapshots ended by kill -9. */
let killed: LeftData;
let stopped: LeftData;
let withSnapshots: LeftData;
beforeAll(async () => {
  [killed, stopped, withSnapshots] = await Promise.all([leftBy('SIGKILL'), leftBy('SIGTERM'), leftBy('SIGKILL', 3)]);
}, 60_000);
afterAll(() => Promise.all([killed, stopped, withSnapshots].map((left) => left.remove())));

/** A copy that goes with the test. */
async function copyOf(left: LeftData): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-copy-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return copyTo(left, join(folder, 'data'));
}

/** Starts on `dir` and finds the lease that was granted before. */
async function expectAllThere(dir: string, { welcome, lease }: LeftData): Promise<CoordinatorProcess> {
  const coordinator = await startCoordinator(['--data-dir', dir]);
  const { session, secret } = welcome;
  const { welcome: resumed } = await WireClient.hello(coordinator.port, { resume: { session, secret } });
  expect(resumed.leases.map((grant) => grant.lease)).toEqual([lease]);
  return coordinator;
}

/** The start is refused as damage, with file and offset named, and nothing in the folder is another than before. */
async function expectRefused(dir: string, file: string): Promise<void> {
  const before = await fingerprint(dir);
  const { code, output } = await runCoordinator(['--data-dir', dir]).exited;
  expect({ code, output: output.join('\n') }).toEqual({ code: 65, output: expect.stringMatching(/ at byte \d+/) });
  expect(output.join('\n')).toContain(file);
  expect(await fingerprint(dir)).toEqual(before);
}

async function lastDelta(dir: string): Promise<{ name: string; path: string; usedBytes: number }> {
  const name = (await filesOf(dir, '.delta')).at(-1)!;
  const path = join(dir, name);
  return { name, path, usedBytes: await usedBytesOf(path) };
}

describe('the table of failures', () => {
  it.each(Object.entries(DISK_FAILURES))('has tests of: %s', (words, file) => {
    const text = readFileSync(resolve(import.meta.dirname, '..', file), 'utf8');
    const quoted = words.includes("'") ? `"${words}"` : `'${words}'`;
    const [, tests] = text.split(`(${quoted}, () => {\n  it`);
    expect(tests, `a describe(${quoted}) in ${file}`).toBeDefined();
  });
});

describe('torn tail, zeros, an empty segment prepared ahead', () => {
  it('is cut to the last valid batch and logged with its byte count, and the coordinator starts', async () => {
    const dir = await copyOf(killed);
    const { name, path, usedBytes } = await lastDelta(dir);
    // The first sectors of a batch of which the rest never came.
    const torn = Buffer.concat([(await readFile(path)).subarray(HEADER_BYTES, HEADER_BYTES + 4), Buffer.alloc(696, 1)]);
    await writeAt(path, usedBytes, torn);
    const coordinator = await expectAllThere(dir, killed);
    expect(coordinator.output.join('\n')).toContain(
      `a torn batch of ${torn.length} bytes ends ${name} at byte ${usedBytes}`,
    );
    expect(await usedBytesOf(path)).toBe(usedBytes);
  });

  it('is nothing to speak of where it is zeros, or a segment that was only prepared', async () => {
    const dir = await copyOf(killed);
    await writeFile(join(dir, 'prepared-77.delta.tmp'), Buffer.alloc(65_536));
    const coordinator = await expectAllThere(dir, killed);
    expect(coordinator.output.join('\n')).not.toContain('torn');
    expect(await filesOf(dir, '.tmp')).not.toContain('prepared-77.delta.tmp');
  });

  it.each([
    ['what follows it', (path: string, usedBytes: number) => writeAt(path, usedBytes + 512, Buffer.alloc(100, 1))],
    ['the first batch before it', (path: string) => flipByte(path, HEADER_BYTES + 60)],
  ])('after the mark of a clean stop is damage, exit 65: %s', async (_, damage) => {
    const dir = await copyOf(stopped);
    const { name, path, usedBytes } = await lastDelta(dir);
    await damage(path, usedBytes);
    await expectRefused(dir, name);
  });

  it('after the mark of a clean stop is damage, exit 65, where the mark itself is hit or cut off', async () => {
    for (const damage of [
      (path: string, usedBytes: number) => flipByte(path, usedBytes - 512 + 20),
      (path: string, usedBytes: number) => truncate(path, usedBytes - 512),
      (path: string, usedBytes: number) => truncate(path, usedBytes - 500),
    ]) {
      const dir = await copyOf(stopped);
      const { name, path, usedBytes } = await lastDelta(dir);
      await damage(path, usedBytes);
      await expectRefused(dir, name);
    }
  });
});

describe('bad batch with a good one after it; bad newest snapshot without an older one and all deltas', () => {
  it('ends with exit 65, no file touched, the file and offset of the batch named', async () => {
    const dir = await copyOf(killed);
    const { name, path } = await lastDelta(dir);
    await flipByte(path, HEADER_BYTES + 60);
    await expectRefused(dir, name);
  });

  it('ends with exit 65, no file touched, the snapshot named', async () => {
    const dir = await copyOf(withSnapshots);
    const [older, newest] = await filesOf(dir, '.snapshot');
    await rm(join(dir, older!));
    await flipByte(join(dir, newest!), HEADER_BYTES + 100);
    await expectRefused(dir, newest!);
  });

  it('ends with exit 65 where a delta behind the older snapshot is missing', async () => {
    const dir = await copyOf(withSnapshots);
    const [, newest] = await filesOf(dir, '.snapshot');
    await flipByte(join(dir, newest!), HEADER_BYTES + 100);
    const [first] = await filesOf(dir, '.delta');
    await rm(join(dir, first!));
    await expectRefused(dir, newest!);
  });
});

describe('bad newest snapshot, older one and all deltas there (two generations are kept)', () => {
  it('starts from those and says so', async () => {
    const dir = await copyOf(withSnapshots);
    const snapshots = await filesOf(dir, '.snapshot');
    expect(snapshots).toHaveLength(2);
    await flipByte(join(dir, snapshots[1]!), HEADER_BYTES + 100);
    const coordinator = await expectAllThere(dir, withSnapshots);
    expect(coordinator.output.join('\n')).toContain(`${snapshots[1]} was passed over`);
    expect(coordinator.output.join('\n')).toContain(`"snapshotPosition":${Number.parseInt(snapshots[0]!, 10)}`);
  });
});

describe("deltas that don't start at position 0, with no snapshot reaching them", () => {
  it('end the start with exit 65 and no file touched: it never starts empty', async () => {
    const dir = await copyOf(withSnapshots);
    for (const name of await filesOf(dir, '.snapshot')) await rm(join(dir, name));
    const [first] = await filesOf(dir, '.delta');
    await expectRefused(dir, first!);
  });
});

describe('kill -9, restart mid-TTL', () => {
  it('restores the lease with its remaining time and its token', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(1));
    const flags = ['--data-dir', dir, '--pool', poolFile];
    const coordinator = await startCoordinator(flags);
    const { client, welcome } = await WireClient.hello(coordinator.port);
    const sentMs = performance.now();
    const { lease } = (await client.request({ type: 'acquire', resource: 7, ttl_ms: TTL_MS }, 'granted')) as Grant;
    // The clock is on disk once a second.
    await sleep(1_500);
    await coordinator.kill('SIGKILL');
    const { port } = await startCoordinator(flags);
    const { session, secret } = welcome;
    const { welcome: resumed } = await WireClient.hello(port, { resume: { session, secret } });
    expect(resumed.leases.map((held) => held.lease)).toEqual([lease]);
    const remainingMs = resumed.leases[0]!.ttl_ms;
    expect(remainingMs).toBeLessThan(TTL_MS - 500);
    expect(remainingMs).toBeGreaterThanOrEqual(TTL_MS - (performance.now() - sentMs));
  });
});

describe('two coordinators on one folder', () => {
  it('end the second with exit 75', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(1));
    await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const { code, output } = await runCoordinator(['--data-dir', dir, '--pool', poolFile]).exited;
    expect(code).toBe(75);
    expect(output.join('\n')).toContain('in use by another coordinator');
  });

  it.skipIf(cannotTrace)('and it has opened nothing for writing, and changed no name', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(1));
    await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    const trace = `${dir}.trace`;
    const wrapper = straceWrapper({ trace, calls: [...CHANGING_CALLS, 'open', 'link', 'rmdir', 'chmod', 'fchmod'] });
    const { code } = await runCoordinator(['--data-dir', dir, '--pool', poolFile], {}, { wrapper }).exited;
    expect(code).toBe(75);
    const calls = parseTrace(await readFile(trace, 'utf8')).filter(
      (call) => call.arguments.includes(dir) && !call.result?.startsWith('-1'),
    );
    const changing = calls.filter(
      ({ call, arguments: given }) => !/^(openat|open)$/.test(call) || /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(given),
    );
    expect(changing).toEqual([]);
    expect(calls.map(({ arguments: given }) => given)).toContainEqual(expect.stringMatching(/O_DIRECTORY/));
  });
});
