/** The reverse proxy of a whole coordinator, at the sizes that count. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { type CoordinatorProcess, dataFolder, reusablePort, startCoordinator } from '../testing/coordinator-process.ts';
import { isSkipped } from '../testing/is-skipped.ts';
import { spawnTarget, startTarget } from '../testing/reverse-run.ts';

const run = promisify(execFile);
const GIB = 1_073_741_824;
const MIB = 1_048_576;
/** What the process may grow by while a gigabyte goes through. */
const GROWTH_MAX = 96 * MIB;

const why = await run('ab', ['-V']).then(
  () => undefined,
  () => 'ab is not there (package apache2-utils)',
);
const cannotRun = isSkipped('a thousand connections at once to the reverse proxy', why);

async function serve(targets: readonly string[]): Promise<{ coordinator: CoordinatorProcess; port: number }> {
  const { dir } = await dataFolder();
  const port = await reusablePort();
  const flags = ['--data-dir', dir, '--reverse-port', `${port}`, '--targets', targets.join(',')];
  const coordinator = await startCoordinator(flags);
  return { coordinator, port };
}

it.skipIf(cannotRun)('completes 5,000 requests of 1,000 connections, none failed, spread evenly', async () => {
  const targets = await Promise.all(Array.from({ length: 5 }, () => startTarget()));
  const { port } = await serve(targets.map(({ name }) => name));
  const { stdout } = await run('ab', ['-q', '-l', '-n', '5000', '-c', '1000', `http://127.0.0.1:${port}/`]);
  const number = (label: string) => Number(new RegExp(`^${label}: +(\\d+)`, 'm').exec(stdout)?.[1] ?? 0);
  expect([number('Complete requests'), number('Failed requests'), number('Non-2xx responses')]).toEqual([5_000, 0, 0]);
  const hits = targets.map((target) => target.hits);
  expect(Math.max(...hits) - Math.min(...hits)).toBeLessThanOrEqual(20);
});

it('fails none of 10,000 requests while a target is killed and started again, again and again', async () => {
  const ports = [await reusablePort(), await reusablePort(), await reusablePort()];
  const children = await Promise.all(ports.map((port) => spawnTarget(port)));
  const { port } = await serve(ports.map((one) => `127.0.0.1:${one}`));
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const failed: string[] = [];
  let begun = 0;
  const ask = () =>
    new Promise<void>((resolve) => {
      const asked = request({ port, host: '127.0.0.1', agent }, (response) => {
        if (response.statusCode !== 200) failed.push(`${response.statusCode}`);
        response.on('error', (error) => failed.push(error.message));
        response.resume().once('close', resolve);
      });
      asked.on('error', (error) => {
        failed.push(error.message);
        resolve();
      });
      asked.end();
    });
  const client = async () => {
    while (begun < 10_000) {
      begun += 1;
      await ask();
    }
  };
  const clients = Promise.all(Array.from({ length: 50 }, client));
  let restarts = 0;
  while (begun < 9_000) {
    const place = restarts % ports.length;
    children[place]!.kill('SIGKILL');
    children[place] = await spawnTarget(ports[place]!);
    restarts += 1;
    // Until it is back, nobody else is killed.
    const seen = begun;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(begun).toBeGreaterThan(seen);
  }
  await clients;
  expect(failed).toEqual([]);
  expect(restarts).toBeGreaterThan(0);
});

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) * 1_024;
}

/** A gigabyte that nobody holds at once. */
function gigabyte(): Readable {
  const chunk = Buffer.alloc(65_536, 'x');
  let left = GIB;
  return new Readable({
    read() {
      left -= chunk.length;
      this.push(chunk);
      if (left === 0) this.push(null);
    },
  });
}

it.each(['download', 'upload'])(
  'streams a gigabyte of %s through in flat memory, however slow the other side',
  async (way) => {
    let taken = 0;
    const target = await startTarget((asked, response) => {
      if (way === 'download') {
        response.setHeader('Content-Length', GIB);
        void pipeline(gigabyte(), response).catch(() => {});
        return;
      }
      asked.on('data', (chunk: Buffer) => (taken += chunk.length));
      asked.on('end', () => response.end(`${taken}`));
      // Stands still for a while: what comes meanwhile has to wait at the client.
      asked.pause();
      setTimeout(() => asked.resume(), 2_000);
    });
    const { coordinator, port } = await serve([target.name]);
    const before = await residentBytes(coordinator.pid);
    let most = 0;
    const watch = setInterval(() => {
      void residentBytes(coordinator.pid).then((bytes) => (most = Math.max(most, bytes)));
    }, 100);
    onTestFinished(() => clearInterval(watch));
    if (way === 'download') {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      const reader = response.body!.getReader();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      for (let part = await reader.read(); !part.done; part = await reader.read()) taken += part.value.length;
    } else {
      const asked = request({ port, host: '127.0.0.1', method: 'POST', headers: { 'Content-Length': GIB } });
      const answered = new Promise<string>((resolve, reject) => {
        asked.on('error', reject);
        asked.on('response', (response) => {
          let text = '';
          response.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
        });
      });
      await pipeline(gigabyte(), asked);
      expect(await answered).toBe(`${GIB}`);
    }
    expect(taken).toBe(GIB);
    expect(most - before).toBeLessThan(GROWTH_MAX);
  },
);
