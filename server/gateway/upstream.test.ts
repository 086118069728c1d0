import { execFile } from 'node:child_process';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { Upstream } from '../health/upstream.ts';
import { realClock } from '../testing/forward-run.ts';
import { pauseProcess } from '../testing/pause-process.ts';
import { PROJECT_DIR } from '../testing/project.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { type OpenOptions, openThrough } from './upstream.ts';

const GATEWAY = join(PROJECT_DIR, 'dist/server/gateway');

it('a machine that is out of descriptors blames no address', async () => {
  const script = `
    import { openSync } from 'node:fs';
    import { openThrough } from ${JSON.stringify(join(GATEWAY, 'upstream.js'))};
    try { for (;;) openSync('/dev/null', 'r'); } catch (error) { console.log(error.code); }
    const upstream = { scheme: 'http', host: '127.0.0.1', port: 9, credentials: undefined };
    const scheduler = { setTimer: () => () => {}, defer: setImmediate };
    const { signal } = new AbortController();
    const clock = { nowMs: () => performance.now() };
    const opened = await openThrough(upstream, undefined, { timeoutMs: 10_000, clock, scheduler, signal });
    console.log(opened.fault.reason, opened.fault.fault);
  `;
  const command = `ulimit -n 64; exec '${process.execPath}' --input-type=module -e "$0"`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command, script]);
  expect(stdout.split('\n')).toEqual(['EMFILE', 'overloaded undefined', '']);
});

/** On loopback. */
async function silentPort(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function open(upstream: Partial<Upstream>, options: Partial<OpenOptions>) {
  const { signal } = new AbortController();
  const address = { scheme: 'http', host: '127.0.0.1', port: 9, credentials: undefined, ...upstream } as const;
  return openThrough(address, undefined, {
    timeoutMs: 50,
    clock: realClock,
    scheduler: realScheduler,
    signal,
    ...options,
  });
}

it('a pause of the process is no silence of an address that took the connection meanwhile', async () => {
  const opening = open({ port: await silentPort() }, {});
  pauseProcess(100);
  const opened = await opening;
  expect(opened.type).toBe('open');
  if (opened.type === 'open') opened.socket.destroy();
});

it('an address that is silent is out at once, but not where the timer was late', async () => {
  // It takes connections and says nothing, so that TLS doesn't begin.
  const upstream = { scheme: 'https', port: await silentPort() } as const;
  expect(await open(upstream, {})).toMatchObject({ fault: { reason: 'upstream_timeout', fault: 'timeout' } });
  const reads = [0, 2_000];
  const clock = { ...realClock, nowMs: () => reads.shift()! };
  expect(await open(upstream, { clock })).toMatchObject({ fault: { reason: 'upstream_timeout', fault: 'failed' } });
});

it('an address is not silent whose name nobody has resolved in time', async () => {
  const atOnce: Scheduler = {
    setTimer: (_ms, callback) => {
      queueMicrotask(callback);
      return () => {};
    },
    defer: (callback) => callback(),
  };
  const port = await silentPort();
  const opened = await open({ host: 'localhost', port }, { scheduler: atOnce });
  expect(opened).toMatchObject({ fault: { reason: 'upstream_timeout', fault: 'dns' } });
  expect(await open({ port }, { scheduler: atOnce })).toMatchObject({ fault: { fault: 'timeout' } });
  // Resolved, but silent.
  const named = open({ scheme: 'https', host: 'localhost', port }, {});
  expect(await named).toMatchObject({ fault: { reason: 'upstream_timeout', fault: 'timeout' } });
});
