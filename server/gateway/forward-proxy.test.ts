import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { ProxyAgent, request } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../testing/certificates.ts';
import {
  basic,
  bodyOf,
  deadAddress,
  type ForwardRun,
  openSite,
  openUpstream,
  rawAnswer,
  runForwardProxy,
} from '../testing/forward-run.ts';
import { openSocksServer } from '../testing/socks-server.ts';

const run = promisify(execFile);

async function curl(...parameters: string[]): Promise<string> {
  return (await run('curl', ['-sS', '--max-time', '20', ...parameters])).stdout;
}

function agentOf(forward: ForwardRun, user?: string): ProxyAgent {
  const agent = new ProxyAgent({ uri: forward.proxyUrl(user, 'x'), proxyTunnel: false });
  onTestFinished(() => agent.close());
  return agent;
}

describe('a plain request', () => {
  it('goes through a leased address by curl, and the lease is handed back with how it went', async () => {
    const site = await openSite((incoming, response) => response.end(`${incoming.method} ${incoming.url}`));
    const upstream = await openUpstream();
    const { leases, proxyUrl, logged, reports } = await runForwardProxy([upstream.address]);
    const text = await curl('-x', proxyUrl('user-resource-7-country-us'), `http://site.test:${site}/a?b=c`);
    expect(text).toBe('GET /a?b=c');
    expect(leases.asks).toEqual([
      { owner: { kind: 'ip', ip: '127.0.0.1' }, resource: 7, where: { country: { eq: 'us' } } },
    ]);
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'ok', requests: 1 }]);
    // The name was resolved here.
    expect(upstream.asked).toEqual([`CONNECT 127.0.0.1:${site}`]);
    expect(reports).toEqual(['1 ok']);
    expect(logged).toMatchObject([
      { fields: { via: 'forward', method: 'GET', path: `http://site.test:${site}/a`, status: 200, retries: 0 } },
    ]);
  });

  it('reaches the site as it was meant for it, and nothing of the way with it', async () => {
    let rawHeaders: string[] = [];
    const site = await openSite((incoming, response) => {
      ({ rawHeaders } = incoming);
      response.setHeader('X-Leasehold-Error', 'none_available');
      response.setHeader('X-Site', 'yes');
      response.end();
    });
    const { address } = await openUpstream({ user: 'exit', password: 'p@ss word' });
    const { proxy } = await runForwardProxy([address]);
    const { head } = await rawAnswer(
      proxy.port,
      `GET http://site.test:${site}/ HTTP/1.1\r\nHost: elsewhere.test\r\n${basic('user-resource-7')}X-Own: 1\r\nx-own: 2\r\n` +
        'Connection: close, X-Hop\r\nX-Hop: 1\r\nProxy-Connection: keep-alive\r\n\r\n',
    );
    expect(rawHeaders).toEqual(['Host', `site.test:${site}`, 'X-Own', '1', 'x-own', '2', 'Connection', 'close']);
    expect(head).toContain('X-Site: yes');
    expect(head.toLowerCase()).not.toContain('x-leasehold-error');
  });

  it('streams bodies both ways, with a length or in chunks', async () => {
    const site = await openSite((incoming, response) => incoming.pipe(response));
    const { address } = await openUpstream();
    const forward = await runForwardProxy([address]);
    const dispatcher = agentOf(forward);
    const url = `http://site.test:${site}/`;
    const sized = await request(url, { dispatcher, method: 'POST', body: 'x'.repeat(300_000) });
    expect((await sized.body.text()).length).toBe(300_000);
    async function* pieces() {
      for (let piece = 0; piece < 100; piece += 1) yield Buffer.alloc(5_000, 'y');
    }
    const chunked = await request(url, { dispatcher, method: 'POST', body: Readable.from(pieces()) });
    expect((await chunked.body.text()).length).toBe(500_000);
  });

  it.each(['POST', 'PUT', 'GET', 'DELETE'])('sends %s without a body as one without a body', async (method) => {
    let seen: unknown;
    const site = await openSite((incoming, response) => {
      const { 'content-length': length, 'transfer-encoding': coding } = incoming.headers;
      seen = { length, coding };
      response.end('done');
    });
    const { address } = await openUpstream();
    const { proxyUrl } = await runForwardProxy([address]);
    expect(await curl('-x', proxyUrl(), '-X', method, `http://site.test:${site}/`)).toBe('done');
    const isWrite = method === 'POST' || method === 'PUT';
    expect(seen).toEqual({ length: isWrite ? '0' : undefined, coding: undefined });
  });

  it('answers HEAD, 204 and 304 without a body, and serves the next on the same connection', async () => {
    const site = await openSite((incoming, response) => {
      const [, status = '200'] = /^\/(\d+)$/.exec(incoming.url ?? '') ?? [];
      response.writeHead(Number(status), incoming.method === 'HEAD' ? { 'Content-Length': 77 } : {});
      response.end(status === '200' && incoming.method === 'GET' ? 'body' : undefined);
    });
    const { address } = await openUpstream();
    // They come at once.
    const { proxy } = await runForwardProxy([address, address, address, address]);
    const one = (method: string, path: string, more = '') =>
      `${method} http://site.test:${site}${path} HTTP/1.1\r\nHost: a\r\n${basic('user-resource-7')}${more}\r\n`;
    const socket = connect(proxy.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let all = '';
    socket.on('data', (chunk) => {
      all += String(chunk);
    });
    socket.write(
      one('HEAD', '/200') + one('GET', '/204') + one('GET', '/304') + one('GET', '/200', 'Connection: close\r\n'),
    );
    await once(socket, 'close');
    expect(all.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 304', 'HTTP/1.1 200']);
    expect(all).toContain('Content-Length: 77');
    expect(all.match(/body/g)).toHaveLength(1);
  });

  it('cuts an answer that breaks off, so that nobody takes it for whole', async () => {
    const site = await openSite((_incoming, response) => {
      response.writeHead(200, { 'Content-Length': 1_000 });
      response.write('half', () => response.destroy());
    });
    const { address } = await openUpstream();
    const { leases, proxyUrl } = await runForwardProxy([address]);
    await expect(curl('-x', proxyUrl(), `http://site.test:${site}/`)).rejects.toThrow(/transfer closed|Recv failure/);
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'failed', requests: 1 }]);
  });

  it('frees its lease at once where the client goes away', async () => {
    const arrived = deferred();
    const site = await openSite(() => arrived.resolve());
    const { address } = await openUpstream();
    const { leases, proxy, logged } = await runForwardProxy([address]);
    const socket = connect(proxy.port, '127.0.0.1', () =>
      socket.write(`GET http://site.test:${site}/ HTTP/1.1\r\nHost: a\r\n${basic('user-resource-7')}\r\n`),
    );
    await arrived.promise;
    const released = new Promise<void>((resolve) => {
      leases.onRelease = resolve;
    });
    expect(leases.leased).toEqual([1]);
    socket.destroy();
    await released;
    expect(leases.released).toEqual([{ addressId: 1, outcome: undefined, requests: 1 }]);
    await expect.poll(() => logged.at(-1)?.fields).toMatchObject({ status: 499 });
  });

  it('reports a ban where the site answers as configured', async () => {
    const site = await openSite((_incoming, response) => response.writeHead(429).end());
    const { address } = await openUpstream();
    const { leases, proxyUrl } = await runForwardProxy([address], { settings: { banStatuses: [403, 429] } });
    await curl('-x', proxyUrl(), `http://site.test:${site}/`);
    expect(leases.released).toEqual([{ addressId: 1, outcome: 'banned', requests: 1 }]);
  });

  it('is answered 502 where its lease is revoked before there is an answer, and cut behind the head of one', async () => {
    let paths: (string | undefined)[] = [];
    const site = await openSite((incoming, response) => {
      paths.push(incoming.url);
      if (incoming.url === '/begun') response.write('begun');
    });
    const { address } = await openUpstream();
    const forward = await runForwardProxy([address]);
    const silent = request(`http://site.test:${site}/silent`, { dispatcher: agentOf(forward) });
    await expect.poll(() => paths).toEqual(['/silent']);
    forward.leases.revoke(1, 'unhealthy');
    const { statusCode, headers, body } = await silent;
    expect([statusCode, headers['x-leasehold-error']]).toEqual([502, 'lease_revoked']);
    expect(await body.json()).toMatchObject({ code: 502, reason: 'lease_revoked' });
    paths = [];
    const begun = await request(`http://site.test:${site}/begun`, { dispatcher: agentOf(forward) });
    forward.leases.revoke(1, 'operator');
    await expect(begun.body.text()).rejects.toThrow();
  });
});

describe('the way', () => {
  it('leads over HTTP and HTTPS proxies with their credentials, and over SOCKS5 with a password and without', async () => {
    const tls = makeCertificate();
    const site = await openSite((_incoming, response) => response.end('through'));
    const http = await openUpstream({ user: 'exit', password: 'p@ss word' });
    const https = await openUpstream({ user: 'exit', password: 'secret', tls });
    const socks = await openSocksServer();
    const locked = await openSocksServer({ user: 'exit', password: 'p@ss' });
    onTestFinished(async () => void (await Promise.all([socks.close(), locked.close()])));
    const addresses = [
      http.address,
      https.address,
      `socks5://127.0.0.1:${socks.port}`,
      `socks5h://exit:p%40ss@127.0.0.1:${locked.port}`,
    ];
    const { leases, proxyUrl, reports } = await runForwardProxy(addresses, { ca: tls.cert });
    for (const _ of addresses) expect(await curl('-x', proxyUrl(), `http://site.test:${site}/`)).toBe('through');
    for (const _ of addresses) expect(await curl('-p', '-x', proxyUrl(), `http://site.test:${site}/`)).toBe('through');
    // A tunnel is over a moment after its client is.
    await expect
      .poll(() => leases.released.map(({ addressId }) => addressId).sort((a, b) => a - b))
      .toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect(reports).toEqual([1, 2, 3, 4, 1, 2, 3, 4].map((id) => `${id} ok`));
    expect([...socks.destinations, ...locked.destinations]).toEqual(
      Array.from({ length: 4 }, () => `127.0.0.1:${site}`),
    );
  });

  it('hands names on where upstreams are to resolve them, and sends HTTP proxies the request itself', async () => {
    const site = await openSite((incoming, response) => response.end(`${incoming.headers.host}${incoming.url}`));
    const http = await openUpstream({ user: 'exit', password: 'x' });
    const socks = await openSocksServer({ resolve: () => '127.0.0.1' });
    onTestFinished(() => socks.close());
    const options = { destinations: { resolve: 'upstream', allow: ['127.0.0.1', 'localhost'] } } as const;
    const { proxyUrl } = await runForwardProxy([http.address, `socks5://127.0.0.1:${socks.port}`], options);
    expect(await curl('-x', proxyUrl(), `http://localhost:${site}/a`)).toBe(`localhost:${site}/a`);
    expect(await curl('-x', proxyUrl(), `http://site.example:${site}/b`)).toBe(`site.example:${site}/b`);
    expect(http.asked).toEqual([`GET http://localhost:${site}/a`]);
    expect(socks.destinations).toEqual([`site.example:${site}`]);
  });

  it('goes on over another address where one refuses, and says so without its credentials', async () => {
    const site = await openSite((incoming, response) => void bodyOf(incoming).then((body) => response.end(body)));
    const dead = `http://exit:hidden@${deadAddress()}`;
    const { address } = await openUpstream();
    const { leases, proxyUrl, logged, reports } = await runForwardProxy([dead, address]);
    // Nothing of it had been sent, so it may be anything.
    expect(await curl('-x', proxyUrl(), '-d', 'once', `http://site.test:${site}/`)).toBe('once');
    expect(leases.released).toEqual([
      { addressId: 1, outcome: 'failed', requests: 1 },
      { addressId: 2, outcome: 'ok', requests: 1 },
    ]);
    expect(reports).toEqual(['1 refused', '2 ok']);
    expect(logged[0]).toMatchObject({
      level: 'warn',
      fields: { from: dead.replace('exit:hidden', '***'), to: address, reason: 'upstream_unreachable', retry: 1 },
    });
    expect(logged[1]).toMatchObject({ fields: { status: 200, retries: 1, target: address } });
    expect(JSON.stringify(logged)).not.toContain('hidden');
  });

  it('says what was wrong with the last address where no other one helped', async () => {
    const locked = await openUpstream({ user: 'exit', password: 'right' });
    const wrong = locked.address.replace('right', 'wrong');
    const { leases, proxyUrl, reports } = await runForwardProxy([deadAddress(), wrong]);
    const text = await curl('-i', '-x', proxyUrl(), 'http://site.test:1/');
    expect(text).toMatch(/^HTTP\/1.1 502 Bad Gateway/);
    expect(text).toContain('X-Leasehold-Error: upstream_auth');
    expect(text.toLowerCase()).not.toContain('proxy-authenticate');
    expect(text).not.toContain('wrong');
    expect(leases.leased).toEqual([]);
    expect(reports).toEqual(['1 refused', '2 proxy']);
  });

  it('tries no more addresses than it may', async () => {
    const dead = [1, 2, 3, 4].map(() => deadAddress());
    const { leases, proxyUrl } = await runForwardProxy(dead, { settings: { retries: 1 } });
    expect(await curl('-x', proxyUrl(), 'http://site.test:1/')).toContain('upstream_unreachable');
    expect(leases.released.map(({ addressId }) => addressId)).toEqual([1, 2]);
  });

  it('repeats what is idempotent where a connection breaks before the answer, and nothing else', async () => {
    const methods: (string | undefined)[] = [];
    const site = await openSite((incoming) => {
      methods.push(incoming.method);
      incoming.socket.destroy();
    });
    const upstreams = await Promise.all([1, 2].map(() => openUpstream()));
    const { proxyUrl } = await runForwardProxy(
      upstreams.map(({ address }) => address),
      { settings: { retries: 1 } },
    );
    const url = `http://site.test:${site}/`;
    expect(await curl('-x', proxyUrl(), url)).toContain('upstream_broken');
    expect(methods).toEqual(['GET', 'GET']);
    expect(await curl('-x', proxyUrl(), '-d', 'x', url)).toContain('upstream_broken');
    expect(methods).toEqual(['GET', 'GET', 'POST']);
  });

  it('gives up on an address that stays silent, and on a site that does', async () => {
    const site = await openSite(() => {});
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const { address } = await openUpstream();
    const settings = { connectTimeoutMs: 100, responseTimeoutMs: 100, retries: 0 };
    for (const [scheme, reports] of [
      // It took the connection, and it may be the destination that both wait for.
      ['http', []],
      ['socks4', []],
      // It doesn't even say how it is to be asked.
      ['socks5', ['1 failed']],
    ] as const) {
      const one = await runForwardProxy([`${scheme}://127.0.0.1:${port}`], { settings });
      expect(await curl('-i', '-x', one.proxyUrl(), 'http://site.test:1/')).toMatch(/^HTTP\/1.1 504 /);
      expect(one.reports).toEqual(reports);
    }
    silent.close();
    const two = await runForwardProxy([address], { settings });
    const text = await curl('-i', '-x', two.proxyUrl(), `http://site.test:${site}/`);
    expect(text).toContain('HTTP/1.1 504 Gateway Timeout');
    expect(text).toContain('X-Leasehold-Error: upstream_timeout');
  });
});

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
