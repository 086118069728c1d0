import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { runLoad } from './run-load.ts';

/** Speaks as Redis does, and answers each request after so long. Infinity: not even the greeting. */
async function slowRedis(answerMs: number): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      if (answerMs === Infinity) return;
      if (text.includes('LOAD')) {
        const script = text.split('\r\n').at(-2)!;
        socket.write(`$40\r\n${createHash('sha1').update(script).digest('hex')}\r\n`);
        return;
      }
      const answer = text.includes('EVALSHA') ? ':1\r\n' : '+OK\r\n';
      setTimeout(() => socket.write(answer), answerMs);
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

it('takes a window in which nothing was answered for a failure', async () => {
  const port = await slowRedis(400);
  const task = { speaks: 'redis', port, sessions: 2, inFlight: 1, warmUpMs: 20, measureMs: 100 } as const;
  await expect(runLoad(task, () => {})).rejects.toThrow('nothing was answered');
});

it('counts what was answered in the window', async () => {
  const port = await slowRedis(5);
  const task = { speaks: 'redis', port, sessions: 2, inFlight: 1, warmUpMs: 20, measureMs: 300 } as const;
  expect((await runLoad(task, () => {})).operations).toBeGreaterThan(0);
});

it('waits for no peer that says nothing', { timeout: 20_000 }, async () => {
  const port = await slowRedis(Infinity);
  const task = { speaks: 'redis', port, sessions: 2, inFlight: 1, warmUpMs: 20, measureMs: 300 } as const;
  await expect(runLoad(task, () => {})).rejects.toThrow('a peer has not greeted within 10 s');
});
