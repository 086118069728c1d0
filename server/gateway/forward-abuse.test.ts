/** What must not get through the forward proxy, over raw sockets: no client library would send it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Access } from '../clients/access.ts';
import { newKey } from '../clients/api-key.ts';
import { createClientsState } from '../clients/state.ts';
import { basic, openSite, openUpstream, rawAnswer, realClock, runForwardProxy } from '../testing/forward-run.ts';

const USER = basic('user-resource-7');
const CLOSE = 'Connection: close\r\n';

/** A proxy that allows nothing that isn't public, with an address that would take anything. */
async function strict(options: Parameters<typeof runForwardProxy>[1] = {}) {
  const upstream = await openUpstream();
  const lookup = () => Promise.resolve([{ address: '127.0.0.1' }]);
  const destinations = { allow: [], lookup, ...options.destinations };
  return { upstream, ...(await runForwardProxy([upstream.address], { ...options, destinations })) };
}

describe('the forward proxy refuses', () => {
  it.each([
    // The machine itself and the networks behind it, however they are spelled.
    '127.0.0.1:22',
    'localhost:22',
    '[::1]:22',
    '0.0.0.0:22',
    '10.0.0.1:80',
    '192.168.1.1:80',
    '172.16.0.1:80',
    '100.64.0.1:80',
    '224.0.0.1:80',
    '[fe80::1]:80',
    '[fc00::1]:80',
    '2130706433:80',
    '0x7f000001:80',
    '0177.1:80',
    '[::ffff:127.0.0.1]:80',
    '[64:ff9b::7f00:1]:80',
    '[2002:7f00:1::]:80',
    'rebinds.example:443',
    // Metadata of clouds.
    '169.254.169.254:80',
    '[fd00:ec2::254]:80',
    '[::ffff:169.254.169.254]:80',
    '0xa9fea9fe:80',
    // Mail.
    '93.184.216.34:25',
  ])('a tunnel to %s', async (authority) => {
    const { proxy, upstream, leases } = await strict();
    const { status, head, body } = await rawAnswer(
      proxy.port,
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${USER}\r\n`,
    );
    expect(status).toBe(403);
    expect(head).toContain('X-Leasehold-Error: destination_forbidden');
    expect(JSON.parse(body)).toMatchObject({ code: 403, reason: 'destination_forbidden' });
    expect(upstream.asked).toEqual([]);
    expect(leases.asks).toEqual([]);
  });

  it.each(['127.0.0.1', 'localhost', '[::1]', '169.254.169.254', '0x7f.1', '[::ffff:a9fe:a9fe]'])(
    'a request to http://%s/',
    async (host) => {
      const { proxy, leases } = await strict();
      const request = `GET http://${host}/latest/meta-data/ HTTP/1.1\r\nHost: public.example\r\n${USER}${CLOSE}\r\n`;
      const { status, head } = await rawAnswer(proxy.port, request);
      expect([status, leases.asks]).toEqual([403, []]);
      expect(head).toContain('X-Leasehold-Error: destination_forbidden');
    },
  );

  it('to be asked through itself, by any name, even where loopback is allowed', async () => {
    const own = new Set<number>();
    const { proxy } = await strict({ destinations: { allow: ['127.0.0.0/8', 'localhost'], ownPorts: () => own } });
    own.add(proxy.port);
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', 'self.example']) {
      const target = `${host}:${proxy.port}`;
      const plain = await rawAnswer(proxy.port, `GET http://${target}/ HTTP/1.1\r\nHost: a\r\n${USER}${CLOSE}\r\n`);
      const tunnel = await rawAnswer(proxy.port, `CONNECT ${target} HTTP/1.1\r\nHost: a\r\n${USER}\r\n`);
      expect([plain.status, tunnel.status]).toEqual([403, 403]);
    }
  });

  const PLAIN = 'GET http://site.test/ HTTP/1.1\r\n';
  it.each([
    ['two Host headers', `${PLAIN}Host: a\r\nHost: b\r\n${USER}`, 400],
    ['two Host headers of a tunnel', `CONNECT site.test:80 HTTP/1.1\r\nHost: a\r\nHost: a\r\n${USER}`, 400],
    [
      'a length beside a transfer coding',
      `POST http://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`,
      400,
    ],
    [
      'two lengths',
      `POST http://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}Content-Length: 5\r\nContent-Length: 6\r\n`,
      400,
    ],
    ['a folded header line', `${PLAIN}Host: a\r\n${USER}X-A: 1\r\n  2\r\n`, 400],
    ['a space before a colon', `${PLAIN}Host: a\r\n${USER}X-A : 1\r\n`, 400],
    ['a bare line feed in a header', `${PLAIN}Host: a\r\n${USER}X-A: 1\n2\r\n`, 400],
    ['no Host', `${PLAIN}${USER}`, 400],
    ['a path alone', `GET / HTTP/1.1\r\nHost: a\r\n${USER}`, 400],
    ['https without a tunnel', `GET https://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}`, 400],
    ['credentials in the URL', `GET http://u:p@site.test/ HTTP/1.1\r\nHost: a\r\n${USER}`, 400],
    ['a tunnel to nowhere', `CONNECT site.test HTTP/1.1\r\nHost: a\r\n${USER}`, 400],
    ['a transfer coding beside another', `${PLAIN}Host: a\r\n${USER}Transfer-Encoding: gzip, chunked\r\n`, 400],
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 400],
    ['headers that are too long', `${PLAIN}Host: a\r\nX-A: ${'a'.repeat(100_000)}\r\n`, 431],
    ['another expectation', `${PLAIN}Host: a\r\n${USER}Expect: wonders\r\n`, 417],
    ['a WebSocket without a tunnel', `${PLAIN}Host: a\r\n${USER}Upgrade: websocket\r\n`, 501],
    ['no credentials', `${PLAIN}Host: a\r\n`, 407],
    ['credentials that are none', `${PLAIN}Host: a\r\nProxy-Authorization: Basic ?\r\n`, 407],
    ['a parameter that it does not know', `${PLAIN}Host: a\r\n${basic('user-resource-7-planet-mars')}`, 400],
    ['a resource that is not there', `${PLAIN}Host: a\r\n${basic('user-resource-8')}`, 400],
  ])('%s', async (_what, head, status) => {
    const { proxy, leases } = await runForwardProxy(['127.0.0.1:1'], { settings: { retries: 0 } });
    const isTunnel = head.startsWith('CONNECT');
    const text = `${head}${isTunnel ? '' : CLOSE}\r\n`;
    const answer = await rawAnswer(proxy.port, text);
    expect(answer.status).toBe(status);
    expect(answer.head.toLowerCase()).toContain('application/problem+json');
    expect(answer.head).toMatch(/^X-Leasehold-Error: [a-z_]+\r?$/m);
    expect(JSON.parse(answer.body)).toMatchObject({ code: status });
    expect(leases.leased).toEqual([]);
    if (status === 407) expect(answer.head).toContain('Proxy-Authenticate: Basic realm="Leasehold"');
  });

  it('a transfer coding that it does not know, and whatever comes behind it', async () => {
    const { proxy, leases, upstream } = await strict({ destinations: { allow: ['127.0.0.1'] } });
    const text = `POST http://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}Transfer-Encoding: x\r\n\r\nbody`;
    const answer = await rawAnswer(proxy.port, text);
    expect([answer.status, answer.head]).toEqual([400, expect.stringMatching(/^Connection: close$/m)]);
    expect([leases.leased, upstream.asked]).toEqual([[], []]);
  });

  it('a Host that names another site than the request: the request counts', async () => {
    const hosts: (string | undefined)[] = [];
    const site = await openSite((incoming, response) => {
      hosts.push(incoming.headers.host);
      response.end();
    });
    const { address } = await openUpstream();
    const { proxy } = await runForwardProxy([address]);
    const text = `GET http://site.test:${site}/ HTTP/1.1\r\nHost: 169.254.169.254\r\n${USER}${CLOSE}\r\n`;
    expect((await rawAnswer(proxy.port, text)).status).toBe(200);
    expect(hosts).toEqual([`site.test:${site}`]);
  });

  it('says which parameter is wrong, and in what', async () => {
    const { proxy } = await runForwardProxy([]);
    const text = `CONNECT site.test:443 HTTP/1.1\r\nHost: a\r\n${basic('user-resource-seven')}\r\n`;
    const { head, body } = await rawAnswer(proxy.port, text);
    expect(head).toContain('X-Leasehold-Error: bad_parameter');
    expect(JSON.parse(body)).toMatchObject({ path: 'resource', message: 'resource: must be the id of a resource' });
  });
});

describe('who may use it', () => {
  const { text: key, key: id, secretHash } = newKey((size) => Buffer.alloc(size, 7));

  function keyed(limit?: { capacity: number; ratePerSec: number }) {
    const state = createClientsState();
    const stored = { id, client: 'c1', role: 'collector', secretHash, endsUtcMs: undefined };
    state.keys.set(id, stored as never);
    return new Access({
      state: () => state,
      needsKey: true,
      defaultLimit: limit as never,
      adminKey: undefined,
      clock: realClock,
    });
  }

  it('is who has a key, in the user or as the password', async () => {
    const site = await openSite((_incoming, response) => response.end('in'));
    const { address } = await openUpstream();
    const { proxy, leases } = await runForwardProxy([address], { access: keyed() });
    const ask = (header: string) =>
      rawAnswer(proxy.port, `GET http://site.test:${site}/ HTTP/1.1\r\nHost: a\r\n${header}${CLOSE}\r\n`);
    for (const header of [basic(`${key}-resource-7`), basic(`${key}-resource-7`, 'x'), basic('resource-7', key)]) {
      expect((await ask(header)).status).toBe(200);
    }
    expect(new Set(leases.asks.map(({ owner }) => JSON.stringify(owner)))).toEqual(
      new Set(['{"kind":"client","client":"c1"}']),
    );
    const wrong = `${key.slice(0, -1)}x`;
    for (const header of ['', USER, basic('user-resource-7', 'x'), basic(`${wrong}-resource-7`), basic('a', wrong)]) {
      const answer = await ask(header);
      expect(answer.status).toBe(407);
      expect(answer.head).toContain('Proxy-Authenticate');
      expect(answer.head + answer.body).not.toContain(wrong.slice(20));
    }
  });

  it('is held to its rate, and to so much at one time', async () => {
    const site = await openSite((incoming, response) => {
      if (incoming.url === '/quick') response.end();
    });
    const upstreams = await Promise.all([1, 2].map(() => openUpstream()));
    const addresses = upstreams.map(({ address }) => address);
    let rateLimited = 0;
    const slow = await runForwardProxy(addresses, {
      access: keyed({ capacity: 1, ratePerSec: 0.001 }),
      onRateLimited: () => {
        rateLimited += 1;
      },
    });
    const head = `Host: a\r\n${basic(`${key}-resource-7`)}`;
    const quick = `GET http://site.test:${site}/quick HTTP/1.1\r\n${head}${CLOSE}\r\n`;
    expect((await rawAnswer(slow.proxy.port, quick)).status).toBe(200);
    const limited = await rawAnswer(slow.proxy.port, quick);
    expect(limited.status).toBe(429);
    expect(limited.head).toMatch(/Retry-After: \d+/);
    expect(JSON.parse(limited.body)).toMatchObject({ code: 429, message: 'Rate limit exceeded' });
    expect(rateLimited).toBe(1);
    const narrow = await runForwardProxy(addresses, { access: keyed(), settings: { perClientMax: 1 } });
    const open = connect(narrow.proxy.port, '127.0.0.1', () =>
      open.write(`GET http://site.test:${site}/slow HTTP/1.1\r\n${head}\r\n`),
    );
    onTestFinished(() => void open.destroy());
    await expect.poll(() => narrow.leases.leased).toHaveLength(1);
    const answer = await rawAnswer(narrow.proxy.port, quick);
    expect(answer.head).toContain('X-Leasehold-Error: too_many_requests');
    open.destroy();
    await expect.poll(async () => (await rawAnswer(narrow.proxy.port, quick)).status).toBe(200);
  });

  it('is told when there is no address, why, and when to ask again', async () => {
    const { proxy } = await runForwardProxy([]);
    const plain = `GET http://site.test/ HTTP/1.1\r\nHost: a\r\n${USER}${CLOSE}\r\n`;
    for (const text of [plain, `CONNECT site.test:443 HTTP/1.1\r\nHost: a\r\n${USER}\r\n`]) {
      const { status, head, body } = await rawAnswer(proxy.port, text);
      expect(status).toBe(503);
      expect(head).toContain('X-Leasehold-Error: none_available');
      expect(head).toContain('Retry-After: 2');
      expect(JSON.parse(body)).toMatchObject({ reason: 'none_available', why: { excluded: 0 } });
    }
  });

  it('is cut off when its key comes to its end', async () => {
    const site = await openSite(() => {});
    const { address } = await openUpstream();
    const { proxy, leases } = await runForwardProxy([address], { access: keyed() });
    const socket = connect(proxy.port, '127.0.0.1', () =>
      socket.write(`CONNECT site.test:${site} HTTP/1.1\r\nHost: a\r\n${basic(`${key}-resource-7`)}\r\n`),
    );
    socket.on('error', () => socket.destroy());
    await once(socket, 'data');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    proxy.closeKey('another');
    expect(leases.leased).toEqual([1]);
    proxy.closeKey(id);
    await closed;
    await expect.poll(() => leases.leased).toEqual([]);
  });

  it('leaves no secret of its own or of an address in the log', async () => {
    const upstream = await openUpstream({ user: 'exit', password: 'hidden-password' });
    const { proxy, logged } = await runForwardProxy([upstream.address], { access: keyed() });
    const head = `Host: a\r\n${basic(`${key}-resource-7`)}${CLOSE}\r\n`;
    await rawAnswer(proxy.port, `GET http://site.test:1/a?token=hidden-query HTTP/1.1\r\n${head}`);
    await rawAnswer(proxy.port, `CONNECT site.test:1 HTTP/1.1\r\n${head}`);
    const text = JSON.stringify(logged);
    expect(logged.filter(({ level }) => level === 'info')).toHaveLength(2);
    expect(text).not.toContain('hidden');
    expect(text).not.toContain(key.slice(-20));
  });
});
