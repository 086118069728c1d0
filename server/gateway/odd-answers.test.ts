/** Whatever targets and sites answer, the gateway goes on: an answer that can't be passed on is one that broke. */
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openUpstream, rawAnswer, runForwardProxy } from '../testing/forward-run.ts';
import { answerTo, serveReverse, startTarget } from '../testing/reverse-run.ts';

/** The port of somebody who answers whatever it is told with `text`. */
async function openRaw(text: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(text, 'latin1'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const BODY = 'Content-Length: 2\r\n\r\nok';
/** No answers that could be passed on. */
const ODD = [
  `HTTP/1.1 000 Odd\r\n${BODY}`,
  `HTTP/1.1 099 Odd\r\n${BODY}`,
  'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  `HTTP/1.1 20 OK\r\n${BODY}`,
  'nothing of the kind\r\n\r\n',
  '',
];
/** A reason that node reads, and would not write. */
const CONTROL = `HTTP/1.1 200 O\x01K\r\n${BODY}`;
const CLOSE = 'Connection: close\r\n\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: lines\r\n\r\n';

describe('the reverse proxy', () => {
  it.each(ODD.map((text) => [text]))('moves on from a target that answers %j', async (text) => {
    const target = await startTarget();
    const targets = [`127.0.0.1:${await openRaw(text)}`, target.name];
    const { port } = await serveReverse({ routes: [{ targets }] });
    expect(await answerTo(port, `GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}`)).toContain('Hello, world!');
    expect(target.hits).toBe(1);
  });

  it.each(ODD.filter((text) => !text.includes(' 101 ')).map((text) => [text]))(
    'answers 502 to an upgrade and a POST that a target answers with %j',
    async (text) => {
      const { port } = await serveReverse({ routes: [{ targets: [`127.0.0.1:${await openRaw(text)}`] }] });
      const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n`;
      expect(await answerTo(port, `${post}${CLOSE}`)).toMatch(/^HTTP\/1\.1 50[23] /);
      expect(await answerTo(port, `${post}${UPGRADE}`)).toMatch(/^HTTP\/1\.1 50[23] /);
    },
  );

  it('passes on what has a reason that could not be written', async () => {
    const { port } = await serveReverse({ routes: [{ targets: [`127.0.0.1:${await openRaw(CONTROL)}`] }] });
    for (const rest of [CLOSE, UPGRADE]) {
      expect(await answerTo(port, `GET / HTTP/1.1\r\nHost: a\r\n${rest}`)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*ok$/);
    }
  });
});

describe('the forward proxy', () => {
  const USER = `Proxy-Authorization: Basic ${Buffer.from('user-resource-7:').toString('base64')}\r\n`;

  async function ask(text: string, rest = CLOSE) {
    const upstream = await openUpstream();
    const settings = { retries: 0 };
    const { proxy, leases } = await runForwardProxy([upstream.address], {
      settings,
      destinations: { allow: ['127.0.0.1'] },
    });
    const site = `http://127.0.0.1:${await openRaw(text)}/`;
    const answer = await rawAnswer(proxy.port, `GET ${site} HTTP/1.1\r\nHost: a\r\n${USER}${rest}`);
    expect(leases.leased).toEqual([]);
    return answer;
  }

  it.each([...ODD, `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok`].map((text) => [text]))(
    'answers 502 where a site answers %j, and hands its lease back',
    async (text) => {
      expect((await ask(text)).head).toMatch(/^HTTP\/1\.1 502 [^]*X-Leasehold-Error: upstream_broken/);
    },
  );

  it('passes on what has a reason that could not be written', async () => {
    const { status, body } = await ask(CONTROL);
    expect([status, body]).toEqual([200, 'ok']);
  });
});
