/** What two readers could understand in two ways, over a raw socket: refused, or seen by the target as by nobody else. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { answerTo, serveReverse, startTarget } from '../testing/reverse-run.ts';

async function serve() {
  const seen: string[] = [];
  const target = await startTarget((asked, response) => {
    let body = '';
    asked.on('data', (chunk) => (body += chunk));
    asked.on('end', () => {
      seen.push(`${asked.method} ${asked.url} ${asked.headers.host} ${body}`);
      response.end('seen');
    });
  });
  const secret = await startTarget((_, response) => response.end('secret'));
  const run = await serveReverse({
    routes: [
      { path: '/', targets: [target.name] },
      { host: 'inner.example', targets: [secret.name] },
      { path: '/inner', targets: [secret.name] },
    ],
  });
  return { ...run, seen, target, secret };
}

const END = 'Connection: close\r\n\r\n';
const NEXT = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

describe('the reverse proxy refuses', () => {
  it.each([
    ['two Host headers', `GET / HTTP/1.1\r\nHost: a\r\nHost: inner.example\r\n${END}`, 400],
    ['no Host', `GET / HTTP/1.1\r\n${END}`, 400],
    ['a Host that is none', `GET / HTTP/1.1\r\nHost: a/b\r\n${END}`, 400],
    ['a Host with user information', `GET / HTTP/1.1\r\nHost: b@inner.example\r\n${END}`, 400],
    [
      'a length beside a transfer coding',
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
      400,
    ],
    [
      'a transfer coding beside a length',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${NEXT}`,
      400,
    ],
    ['two lengths', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\n${NEXT}`, 400],
    ['a length with a sign', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n${NEXT}`, 400],
    ['a list of lengths', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 4\r\n\r\n${NEXT}`, 400],
    ['another coding', `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${NEXT}`, 400],
    [
      'a coding on two lines',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
      400,
    ],
    [
      'a coding twice',
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${NEXT}`,
      400,
    ],
    ['a folded line', `GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Y: 2\r\n${END}`, 400],
    ['a folded coding', `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${NEXT}`, 400],
    ['a space before the colon', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n${NEXT}`, 400],
    ['a bare CR', `GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n${END}`, 400],
    ['a chunk of no size', `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`, undefined],
    ['CONNECT', `CONNECT inner.example:80 HTTP/1.1\r\nHost: inner.example:80\r\n${END}`, 405],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\nHost: a\r\n${END}`, 400],
    ['a URL of another scheme', `GET ftp://inner.example/ HTTP/1.1\r\nHost: a\r\n${END}`, 400],
    ['a URL with user information', `GET http://b@inner.example/ HTTP/1.1\r\nHost: a\r\n${END}`, 400],
    ['another expectation', `GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n${END}`, 417],
    ['headers without end', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n${END}`, 431],
    [
      'an upgrade with a body',
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\n${NEXT}`,
      400,
    ],
  ])('%s', async (_, text, status) => {
    const { port, seen, secret } = await serve();
    const answer = await answerTo(port, text);
    if (status === undefined) expect(answer).toBe('');
    else expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.match(/HTTP\/1.1/g)?.length ?? 1).toBe(1);
    expect(seen).toEqual([]);
    expect(secret.hits).toBe(0);
  });

  it('more requests ahead of their turn than a few, and lives on', async () => {
    const { port, url } = await serve();
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1_000)));
    await new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    expect((await fetch(url)).status).toBe(200);
  });
});

describe('the reverse proxy', () => {
  it('goes by the authority of a URL, not by Host, and says it to the target', async () => {
    const { port, seen } = await serve();
    const get = (url: string, host: string) => answerTo(port, `GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${END}`);
    expect(await get('http://inner.example/', 'a')).toMatch(/secret$/);
    expect(await get('http://a.example/x?y', 'inner.example')).toMatch(/seen$/);
    expect(seen).toEqual(['GET /x?y a.example ']);
  });

  it.each(['/inner', '/inner/', '/%69nner/x', '/a/../inner', '/a/%2e%2e/inner', '/./inner'])(
    'sends %s to whom /inner belongs',
    async (path) => {
      const { port } = await serve();
      expect(await answerTo(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${END}`)).toMatch(/secret$/);
    },
  );

  it('sends a chunked body with framing of its own', async () => {
    const { port, seen } = await serve();
    const head = 'POST /x HTTP/1.1\r\nHost: a\r\nConnection: close, Transfer-Encoding, Content-Length, Host\r\n';
    await answerTo(port, `${head}Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n`);
    expect(seen).toEqual(['POST /x a abc']);
  });

  it('sends the body of a GET as its body, and nothing of it as another request', async () => {
    const { port, seen } = await serve();
    await answerTo(port, `GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${NEXT.length}\r\n${END}${NEXT}`);
    expect(seen).toEqual([`GET /x a ${NEXT}`]);
  });

  it('takes no upgrade to HTTP/2, and answers all the same', async () => {
    const { port, seen } = await serve();
    const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n';
    expect(await answerTo(port, `GET /x HTTP/1.1\r\nHost: a\r\n${upgrade}`)).toMatch(/^HTTP\/1.1 200 [^]*seen$/);
    expect(seen).toEqual(['GET /x a ']);
  });

  it('logs neither queries nor cookies nor credentials', async () => {
    const { port, lines } = await serve();
    await answerTo(
      port,
      `GET http://a/x?secret1 HTTP/1.1\r\nHost: a\r\nCookie: secret2\r\nAuthorization: secret3\r\n${END}`,
    );
    await answerTo(port, `GET http://b:secret4@a/ HTTP/1.1\r\nHost: secret5@a\r\n${END}`);
    expect(lines.filter(({ message }) => message === 'request').length).toBe(2);
    expect(JSON.stringify(lines)).not.toMatch(/secret\d/);
  });
});
