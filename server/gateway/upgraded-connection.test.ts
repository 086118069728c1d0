import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  answerTo,
  deadPort,
  hangingTarget,
  serveReverse,
  startTarget,
  type TargetRun,
} from '../testing/reverse-run.ts';

async function startUpgrading(
  take: (socket: Duplex, head: Buffer) => void,
  handler?: RequestListener,
): Promise<TargetRun> {
  const target = await startTarget(handler);
  const sockets = new Set<Duplex>();
  target.server.on('upgrade', (_, socket, head) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\nX-A: 1\r\n\r\n');
    take(socket, head);
    // Read by whoever takes it, or by nobody.
    if (socket.listenerCount('data') === 0) socket.on('end', () => socket.end()).resume();
  });
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  return target;
}

const ASK = 'GET /lines HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n';

/** An upgraded connection, and what came behind the head of the answer. */
async function upgraded(port: number): Promise<{ socket: Socket; head: string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(ASK));
  onTestFinished(() => void socket.destroy());
  let head = '';
  while (!head.includes('\r\n\r\n')) head += String((await once(socket, 'data'))[0]);
  return { socket, head };
}

it('passes a WebSocket through, both ways, and its close', async () => {
  const target = await startTarget();
  const server = new WebSocketServer({ server: target.server });
  server.on('connection', (socket, request) => {
    socket.send(`${request.url} ${String(request.headers['x-forwarded-for'])}`);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const { port, line } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws?a=b`);
  expect(String((await once(client, 'message'))[0])).toBe('/ws?a=b 127.0.0.1');
  const large = Buffer.alloc(1_000_000, 7);
  client.send(large);
  expect(large.equals((await once(client, 'message'))[0] as Buffer)).toBe(true);
  client.close(4_001, 'done');
  expect((await once(client, 'close'))[0]).toBe(4_001);
  expect(await line({ message: 'request' })).toMatchObject({ status: 101, target: target.name, path: '/ws' });
});

it('lets each direction end for itself', async () => {
  const target = await startUpgrading((socket) => {
    let said = '';
    socket.on('data', (chunk) => (said += chunk));
    socket.on('end', () => socket.end(`you said ${said}`));
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const { socket, head } = await upgraded(port);
  expect(head).toMatch(/^HTTP\/1.1 101 [^]*Connection: Upgrade/);
  socket.end('all');
  expect(String((await once(socket, 'data'))[0])).toBe('you said all');
  await once(socket, 'end');
});

it('cuts one side where the other breaks off', async () => {
  let ofTarget: Duplex | undefined;
  const target = await startUpgrading((socket) => (ofTarget = socket));
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const first = await upgraded(port);
  const closed = once(first.socket, 'close');
  first.socket.resume();
  ofTarget!.destroy();
  first.socket.on('end', () => first.socket.end());
  await closed;
  const second = await upgraded(port);
  const gone = once(ofTarget!, 'close');
  second.socket.resetAndDestroy();
  await gone;
});

it.each([
  ['refuses', deadPort],
  ['hangs', hangingTarget],
])('asks the next target where one %s', async (_, bad) => {
  const target = await startUpgrading((socket) => socket.write('hi'));
  const run = await serveReverse({
    routes: [{ targets: [await bad(), target.name], connect_timeout_ms: 100, probe_interval_ms: 60_000 }],
  });
  const { socket } = await upgraded(run.port);
  socket.destroy();
  expect(await run.line({ message: 'request' })).toMatchObject({ status: 101, retries: 1, target: target.name });
});

it('passes on an answer that is no upgrade, and closes', async () => {
  const target = await startTarget((_, response) => response.writeHead(426, { 'X-Why': 'old' }).end('not here'));
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const answer = await answerTo(port, ASK);
  expect(answer).toMatch(/^HTTP\/1.1 426 [^]*X-Why: old[^]*Connection: close[^]*not here/);
});

it('answers like a request where no target is left, where no route matches, and where too many are under way', async () => {
  const target = await startUpgrading(() => {});
  const { port, url } = await serveReverse({
    routes: [
      { path: '/lines', targets: [target.name], in_flight_max: 1, all_down_status: 500, all_down_text: 'All is off' },
    ],
  });
  const { socket } = await upgraded(port);
  expect(await answerTo(port, ASK)).toMatch(/^HTTP\/1.1 503 [^]*overloaded/);
  expect((await fetch(`${url}/lines`)).status).toBe(503);
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
  await target.stop();
  expect(await answerTo(port, ASK.replace('/lines', '/other'))).toMatch(/^HTTP\/1.1 404 /);
  let answer = '';
  while (!answer.includes('All is off')) answer = await answerTo(port, ASK);
  expect(answer).toMatch(/^HTTP\/1.1 500 /);
});
