/** The rows of the table of failures that take tools of the system: see failure-table.test.ts for the others. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CoordinatorFrame, Grant, WelcomeFrame } from '../protocol/frames.ts';
import { deltaName } from './journal/file-names.ts';
import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { attachStrace, ONE_FILE_THREAD, parseTrace, whyNoStrace } from './testing/faults/strace.ts';
import { isSkipped } from './testing/is-skipped.ts';
import { WireClient } from './testing/wire-client.ts';

const TTL_MS = 600_000;
const FULL = { timeout: 120_000 };
const acquire = (fields: object = {}) => ({ type: 'acquire', resource: 7, ttl_ms: TTL_MS, ...fields });

const cannotTrace = isSkipped('faults of the disk, for want of strace', await whyNoStrace());
const cannotMount = isSkipped('a full disk', process.getuid?.() === 0 ? undefined : 'only root mounts');

/** A coordinator with one session, and how to let its next call of a name fail. */
async function serve(transport: string) {
  const { dir, poolFile } = await dataFolder(samplePool(200));
  const flags = ['--data-dir', dir, '--pool', poolFile, '--transport', transport];
  const coordinator = await startCoordinator(flags, ONE_FILE_THREAD);
  const { client, welcome } = await WireClient.hello(coordinator.port);
  const trace = `${dir}.trace`;
  const callsSince = async () => parseTrace(await readFile(trace, 'utf8'));
  const inject = async (how: string) => {
    // Commits go to the run's first segment; the folder is for the calls that look at the free space.
    const on = { calls: ['pwrite64', 'statfs'], paths: [join(dir, deltaName(1)), dir] };
    const tracer = await attachStrace(coordinator.pid, { trace, ...on, inject: `pwrite64:${how}:when=1` });
    onTestFinished(() => void tracer.kill('SIGKILL'));
    // The thread that writes looks at the free space once a second: where that is seen, the next write is, too.
    await expect.poll(callsSince, { timeout: 10_000 }).toContainEqual(expect.objectContaining({ call: 'statfs' }));
  };
  const restart = () => startCoordinator(flags);
  return { coordinator, client, welcome, inject, restart, callsSince };
}

async function resume({ port }: CoordinatorProcess, { session, secret }: WelcomeFrame) {
  return await WireClient.hello(port, { resume: { session, secret } });
}

async function answerOf(client: WireClient, frame: Record<string, unknown>): Promise<CoordinatorFrame> {
  const id = client.send(frame);
  return await client.next((it) => 'id' in it && it.id === id, JSON.stringify(frame));
}

describe('a restored copy, an unmounted volume', () => {
  it('starts with tokens above all earlier ones', async () => {
    const { dir, poolFile } = await dataFolder(samplePool(100));
    const flags = ['--data-dir', dir, '--pool', poolFile];
    const tokens: number[] = [];
    const grantSome = async () => {
      const coordinator = await startCoordinator(flags);
      const { client } = await WireClient.hello(coordinator.port);
      for (let count = 0; count < 10; count += 1) {
        const acquire = { type: 'acquire', resource: 7, ttl_ms: TTL_MS };
        tokens.push(((await client.request(acquire, 'granted')) as Grant).lease);
      }
      await client.terminate();
      await coordinator.kill('SIGKILL');
      // A run without the last one's data counts its tokens from the second in which it starts.
      await sleep(1_000);
    };
    await grantSome();
    const copy = `${dir}-copy`;
    await cp(dir, copy, { recursive: true });
    await grantSome();
    await rm(dir, { recursive: true });
    await grantSome();
    await rm(dir, { recursive: true });
    await cp(copy, dir, { recursive: true });
    await grantSome();
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
  });
});

describe.skipIf(cannotTrace)('fsync or write fails (EIO)', () => {
  it.each(['uws', 'ws'])(
    'ends with exit 74, nothing acknowledged after it and no retry, over %s',
    async (transport) => {
      const { coordinator, client, welcome, inject, restart, callsSince } = await serve(transport);
      const { lease } = (await client.request(acquire(), 'granted')) as Grant;
      await inject('error=EIO');
      await expect(client.request(acquire(), 'granted')).rejects.toThrow('closed while waiting');
      const { code, output } = await coordinator.exited;
      expect(code).toBe(74);
      expect(output.join('\n')).toContain('EIO');
      const writes = (await callsSince()).filter(({ call }) => call === 'pwrite64');
      expect(writes.map(({ result }) => result)).toEqual([expect.stringContaining('(INJECTED)')]);
      const { welcome: resumed } = await resume(await restart(), welcome);
      expect(resumed.leases.map((held) => held.lease)).toEqual([lease]);
    },
  );
});

describe.skipIf(cannotTrace)('a hanging disk', () => {
  it('answers overloaded past the backlog bound, and serves when the disk answers', { timeout: 60_000 }, async () => {
    const { coordinator, client, inject } = await serve('uws');
    const { client: other } = await WireClient.hello(coordinator.port);
    await inject('delay_enter=6000000');
    const first = client.request(acquire(), 'granted');
    let isAnswered = false;
    void first.then(() => {
      isAnswered = true;
    });
    // What came before the bound waits with the first; the last one is turned away while that still hangs.
    const others: number[] = [];
    const isOverloaded = (frame: CoordinatorFrame) => frame.type === 'error' && frame.code === 'overloaded';
    while (!other.frames.some(isOverloaded)) {
      others.push(other.send(acquire()));
      await sleep(100);
    }
    expect(isAnswered).toBe(false);
    await expect(WireClient.hello(coordinator.port)).rejects.toThrow('overloaded');
    expect(isAnswered).toBe(false);
    await first;
    const answers = await Promise.all(others.map((id) => other.next((frame) => 'id' in frame && frame.id === id)));
    const rank = ({ type }: CoordinatorFrame) => ['granted', 'error'].indexOf(type);
    expect(answers.map(rank)).toEqual(answers.map(rank).sort((one, another) => one - another));
    expect(answers.filter(({ type }) => type === 'granted').length).toBeGreaterThan(0);
    await client.request(acquire(), 'granted');
  });

  it('ends with exit 74 after 30 s, and nothing that hung is acknowledged', { timeout: 120_000 }, async () => {
    const { coordinator, client, welcome, inject, restart } = await serve('ws');
    const { lease } = (await client.request(acquire(), 'granted')) as Grant;
    // The process waits for its threads at its end: the code comes when the call that is held returns.
    await inject('delay_enter=33000000');
    client.send(acquire());
    const { code, output } = await coordinator.exited;
    expect(code).toBe(74);
    expect(output.join('\n')).toContain('has hung for 30000 ms');
    expect(client.frames).toEqual([]);
    const { welcome: resumed } = await resume(await restart(), welcome);
    expect(resumed.leases.map((held) => held.lease)).toContain(lease);
  });
});

describe.skipIf(cannotMount)('no space', () => {
  it('takes nothing new, keeps what ends and is renewed, and grants again without a restart', FULL, async () => {
    const disk = await smallDisk(32);
    const { poolFile } = await dataFolder(samplePool(200));
    const flags = ['--data-dir', join(disk, 'data'), '--pool', poolFile, '--segment-bytes', '4194304'];
    const coordinator = await startCoordinator(flags);
    const { client, welcome } = await WireClient.hello(coordinator.port, { notice_ms: 0 });
    const take = async (ttlMs: number) =>
      ((await client.request(acquire({ ttl_ms: ttlMs }), 'granted')) as Grant).lease;
    const [kept, released, renewed, expiring] = [
      await take(TTL_MS),
      await take(TTL_MS),
      await take(TTL_MS),
      await take(5_000),
    ];

    const count = { type: 'count', counter: 'pages', by: 1 };
    await client.request(count, 'counted');

    await fill(join(disk, 'filler'));
    await untilFull(client);
    expect(await answerOf(client, acquire({ count: 2 }))).toMatchObject({ type: 'error', code: 'storage_full' });
    expect(await answerOf(client, count)).toMatchObject({ type: 'error', code: 'storage_full' });
    await expect(WireClient.hello(coordinator.port)).rejects.toThrow('storage_full');
    await client.request({ type: 'release', lease: released }, 'released');
    await client.request({ type: 'renew', lease: renewed, ttl_ms: 2 * TTL_MS }, 'renewed');
    expect((await client.push('expired')).lease).toBe(expiring);

    // What ended and what was renewed while there was no room is so after a crash in the midst of it.
    await coordinator.kill('SIGKILL');
    const second = await startCoordinator(flags);
    const { client: back, welcome: resumed } = await resume(second, welcome);
    const left = new Map(resumed.leases.map((held) => [held.lease, held.ttl_ms]));
    expect([left.has(kept), left.has(released), left.has(expiring)]).toEqual([true, false, false]);
    expect(left.get(renewed)).toBeGreaterThan(TTL_MS);

    // The start has given back what the crash left half done.
    await fill(join(disk, 'more'));
    await untilFull(back);
    await rm(join(disk, 'filler'));
    await rm(join(disk, 'more'));
    await expect.poll(async () => (await answerOf(back, acquire())).type, { timeout: 10_000 }).toBe('granted');
    expect(await back.request(count, 'counted')).toMatchObject({ value: 2 });
    await WireClient.hello(second.port);
  });
});

/** The free space is looked at once a second. */
async function untilFull(client: WireClient): Promise<void> {
  const full = { type: 'error', code: 'storage_full' };
  await expect.poll(() => answerOf(client, acquire()), { timeout: 10_000, interval: 200 }).toMatchObject(full);
}

/** A file system in memory of `sizeMib` that goes with the test. */
async function smallDisk(sizeMib: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-full-'));
  const disk = join(folder, 'disk');
  await mkdir(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'leasehold-test', disk]);
  onTestFinished(async () => {
    // Not before whatever serves from it is gone: finished last, since it was begun first.
    execFileSync('umount', ['--lazy', disk]);
    await rm(folder, { recursive: true, force: true });
  });
  return disk;
}

/** Writes until not a byte more fits. */
async function fill(file: string): Promise<void> {
  const handle = await open(file, 'w');
  for (let bytes = 1_048_576; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    const piece = Buffer.alloc(bytes, 1);
    while (
      await handle.write(piece).then(
        ({ bytesWritten }) => bytesWritten === bytes,
        () => false,
      )
    );
  }
  await handle.close();
}
