/** What a client can do to others by one connection or one URL: nothing. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { answerTo, serveReverse, startTarget } from '../testing/reverse-run.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** A target that keeps its answers to itself until it is told. */
async function startSlow() {
  let asked = () => {};
  const whenAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const target = await startTarget((request, response) => {
    if (request.url === '/slow') asked();
    else response.end('Hello, world!');
  });
  return { target, whenAsked };
}

describe('behind a request that is not answered yet', () => {
  it.each([
    ['an upgrade', 'GET /b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['an upgrade to h2c', 'GET /b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['an upgrade with two Hosts', 'GET /b HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['a tunnel', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'],
  ])('%s cuts the connection, and is taken for no answer', async (_what, text) => {
    const { target, whenAsked } = await startSlow();
    const { port, line } = await serveReverse({ routes: [{ targets: [target.name] }] });
    const first = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n';
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(first));
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.on('error', () => {});
    await whenAsked;
    const closed = once(socket, 'close');
    socket.write(text);
    await closed;
    expect(answer).toBe('');
    expect(await line({ message: 'request', path: '/slow' })).toMatchObject({ status: 499 });
    expect(await answerTo(port, GET)).toContain('Hello, world!');
    // The same, sent in one packet.
    expect(await answerTo(port, `${first}${text}`).catch(() => '')).toBe('');
    expect(await answerTo(port, GET)).toContain('Hello, world!');
  });
});

describe('a request with more than a thousand headers', () => {
  const many = 'a:b\r\n'.repeat(1_500);

  it.each([
    ['a length', 'Content-Length: 5\r\n\r\nhello'],
    ['a coding', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ])('keeps its body by %s at the end', async (_what, end) => {
    const bodies: string[] = [];
    const target = await startTarget((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
      request.on('end', () => response.end());
    });
    target.server.maxHeadersCount = 0;
    const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
    const answer = await answerTo(port, `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many}${end}`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(bodies.join('')).toBe('hello');
  });

  it('is refused where it has a second Host behind them', async () => {
    const target = await startTarget();
    const { port, line } = await serveReverse({ routes: [{ targets: [target.name] }] });
    expect(await answerTo(port, `GET /x HTTP/1.1\r\nHost: a\r\n${many}Host: b\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
    expect(target.hits).toBe(0);
    expect(await line({ message: 'request' })).toMatchObject({ via: 'reverse', path: '/x', reason: 'bad_request' });
  });
});

it('takes no target out for one URL whose answers have too long a head, or none', async () => {
  const targets = await Promise.all(
    [0, 1].map(() =>
      startTarget((request, response) => {
        if (request.url === '/long') response.writeHead(200, { 'x-long': 'a'.repeat(20_000) }).end();
        else if (request.url === '/none' && request.headers['x-first'] === undefined) request.socket.destroy();
        else response.end('Hello, world!');
      }),
    ),
  );
  const routes = [{ targets: targets.map(({ name }) => name), eject_after: 3, probe_interval_ms: 60_000 }];
  const { port } = await serveReverse({ routes });
  for (let round = 0; round < 8; round += 1) {
    const answer = await answerTo(port, 'GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
  }
  // One that breaks off everywhere is held against the first that it was sent to, not against all.
  expect(await answerTo(port, 'GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 503 /,
  );
  expect(await answerTo(port, GET)).toContain('Hello, world!');
  expect(await answerTo(port, GET)).toContain('Hello, world!');
});

it.each([
  [
    'a coding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n',
  ],
])('refuses %s, and closes', async (_what, text) => {
  const target = await startTarget();
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  expect(await answerTo(port, text)).toMatch(/^HTTP\/1\.1 400 /);
  expect(target.hits).toBe(0);
});

it('speaks no HTTP/2 where that is one of several upgrades', async () => {
  const target = await startTarget();
  const upgrades: string[] = [];
  target.server.on('upgrade', (request, socket) => {
    upgrades.push(String(request.headers.upgrade));
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const text = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo, h2c\r\n\r\n';
  expect(await answerTo(port, text)).toMatch(/^HTTP\/1\.1 200 [^]*Hello, world!/);
  expect(upgrades).toEqual([]);
});

it('gives an answer without a body no length', async () => {
  const target = await startTarget((request) => {
    request.socket.end('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n');
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const answer = await answerTo(port, GET);
  expect(answer).toMatch(/^HTTP\/1\.1 204 No Content\r\nX-A: 1\r\n/i);
  expect(answer.toLowerCase()).not.toContain('content-length');
});
