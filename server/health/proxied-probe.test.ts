import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Server as ProxyServer } from 'proxy-chain';
import { expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../testing/certificates.ts';
import { openSocksServer } from '../testing/socks-server.ts';
import { probeThrough } from './proxied-probe.ts';
import { parseUpstream } from './upstream.ts';

const never = new AbortController().signal;

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise((resolve) => void server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

/** Answers 200, or 500 below `/broken`. */
async function openSite(): Promise<URL> {
  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/broken' ? 500 : 200).end();
  });
  return new URL(`http://127.0.0.1:${await listening(server)}/`);
}

/** An HTTP proxy; with `login`, for nobody else. */
async function openProxy(login?: string) {
  const paths: string[] = [];
  const proxy = new ProxyServer({
    port: 0,
    host: '127.0.0.1',
    prepareRequestFunction: ({ request, username, password }) => {
      paths.push(`${request.method} ${request.url}`);
      return { requestAuthentication: login !== undefined && `${username}:${password}` !== login };
    },
  });
  await proxy.listen();
  onTestFinished(() => proxy.close(true));
  return { port: proxy.port, paths };
}

function probe(address: string, url: URL, signal = never) {
  return probeThrough(parseUpstream(address)!, { url, expect: [200] }, signal);
}

it('asks an HTTP proxy in absolute form, with its credentials', async () => {
  const site = await openSite();
  const { port, paths } = await openProxy('user:p@ss');
  expect(await probe(`http://user:p%40ss@127.0.0.1:${port}`, site)).toEqual({ ok: true });
  expect(paths).toEqual([`GET ${site.href}`]);
  expect(await probe(`127.0.0.1:${port}`, site)).toEqual({ ok: false, reason: 'status_407' });
  const broken = new URL('/broken', site);
  expect(await probe(`http://user:p%40ss@127.0.0.1:${port}`, broken)).toEqual({ ok: false, reason: 'status_500' });
});

it('has a tunnel made for https, and speaks TLS through it', async () => {
  const { cert, key } = makeCertificate();
  const port = await listening(https.createServer({ cert, key }, (_, response) => response.end()));
  const proxy = await openProxy('user:pass');
  const url = new URL(`https://127.0.0.1:${port}/`);
  // Nobody vouches for the certificate: that it is looked at shows that the tunnel leads there.
  expect(await probe(`http://user:pass@127.0.0.1:${proxy.port}`, url)).toEqual({ ok: false, reason: 'tls' });
  expect(proxy.paths).toEqual([`CONNECT 127.0.0.1:${port}`]);
  expect(await probe(`127.0.0.1:${proxy.port}`, url)).toEqual({ ok: false, reason: 'status_407' });
});

it('goes through a SOCKS5 proxy, with credentials and without', async () => {
  const site = await openSite();
  const open = await openSocksServer();
  const closed = await openSocksServer({ user: 'user', password: 'p@ss' });
  onTestFinished(() => Promise.all([open.close(), closed.close()]).then(() => {}));
  expect(await probe(`socks5://127.0.0.1:${open.port}`, site)).toEqual({ ok: true });
  expect(open.destinations).toEqual([site.host]);
  expect(await probe(`socks5h://user:p%40ss@127.0.0.1:${closed.port}`, site)).toEqual({ ok: true });
  expect(await probe(`socks5://user:wrong@127.0.0.1:${closed.port}`, site)).toEqual({ ok: false, reason: 'proxy' });
  const broken = new URL('/broken', site);
  expect(await probe(`socks5://127.0.0.1:${open.port}`, broken)).toEqual({ ok: false, reason: 'status_500' });
});

it.each(['http', 'https', 'socks5'])('says that nobody listens where a %s proxy should be', async (scheme) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const url = new URL('http://127.0.0.1:1/');
  expect(await probe(`${scheme}://127.0.0.1:${port}`, url)).toEqual({ ok: false, reason: 'refused' });
});

it.each([
  ['http', 'http'],
  ['http', 'https'],
  ['https', 'http'],
  ['socks5', 'http'],
])('gives up on a silent %s proxy and closes the connection', async (scheme, urlScheme) => {
  let accepted = () => {};
  const isAccepted = new Promise<void>((resolve) => (accepted = resolve));
  let closed = () => {};
  const isClosed = new Promise<void>((resolve) => (closed = resolve));
  const silent = createServer((socket) => {
    accepted();
    socket
      .resume()
      .on('error', () => {})
      .on('close', closed);
  });
  const port = await listening(silent);
  const abort = new AbortController();
  const result = probe(`${scheme}://127.0.0.1:${port}`, new URL(`${urlScheme}://127.0.0.1:1/`), abort.signal);
  await isAccepted;
  abort.abort();
  expect(await result).toEqual({ ok: false, reason: 'timeout' });
  await isClosed;
});
