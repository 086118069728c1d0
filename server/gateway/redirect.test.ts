/** The redirect balancer as the world meets it: the built coordinator, over its port. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { parsePrometheusText } from '../testing/prometheus-text.ts';
import { type RedirectAnswer, serveRedirects } from '../testing/redirect-client.ts';

const KEY = 'operator-key-for-tests';
const VIDEO = 'http://s1.origin.example/path';
const AT_CDN = 'http://cdn.example.com/s1/path';

/** All that is answered to `text` until the other side closes. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

function originsIn(answers: readonly RedirectAnswer[]): number {
  return answers.filter(({ location }) => location === VIDEO).length;
}

describe('GET /?video=', () => {
  it('answers with the CDN, with every tenth request with the origin, and is never kept', async () => {
    const { video } = await serveRedirects();
    for (let round = 0; round < 2; round += 1) {
      for (let count = 1; count <= 10; count += 1) {
        const { status, headers, location } = await video(VIDEO);
        expect([status, headers.get('cache-control')]).toEqual([301, 'no-store']);
        expect(location).toBe(count === 10 ? VIDEO : AT_CDN);
      }
    }
  });

  it('keeps the query, and whatever a header could not hold is encoded', async () => {
    const { redirectPort, video } = await serveRedirects();
    expect((await video(`${VIDEO}?a=1&b=%26`)).location).toBe(`${AT_CDN}?a=1&b=%26`);
    expect((await video(`https://s1.origin.example/ä`)).location).toBe('http://cdn.example.com/s1/%C3%A4');
    const encoded = 'http:%2f%2fs1.origin.example/%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<html>';
    const request = `GET /?video=${encoded} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const answer = await answerTo(redirectPort, request);
    expect(answer).toContain(
      '\r\nLocation: http://cdn.example.com/s1/%0D%0ASet-Cookie:%20a=b%0D%0A%0D%0A%3Chtml%3E\r\n',
    );
    expect(answer.toLowerCase()).not.toContain('\nset-cookie');
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  it('counts a thousand requests at once exactly', async () => {
    const { video, send } = await serveRedirects();
    await send('PATCH', '/config', { id: 1, distribution_rate: 7 });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => video(VIDEO)));
    expect(answers.every(({ status }) => status === 301)).toBe(true);
    expect(originsIn(answers)).toBe(Math.floor(1_000 / 7));
  });

  it('counts neither what is refused nor HEAD, which says what a GET would be told', async () => {
    const { ask, video } = await serveRedirects({ LEASEHOLD_DISTRIBUTION_RATE: '3', LEASEHOLD_CDN_HOST: 'c.example' });
    const head = () => ask(`/?video=${VIDEO}`, { method: 'HEAD' });
    const locations = [];
    for (let count = 0; count < 6; count += 1) {
      const { status, headers, location } = await head();
      expect([status, headers.get('cache-control'), (await head()).location]).toEqual([301, 'no-store', location]);
      expect((await video('nothing')).status).toBe(422);
      expect((await video(VIDEO)).location).toBe(location);
      locations.push(location);
    }
    const round = ['http://c.example/s1/path', 'http://c.example/s1/path', VIDEO];
    expect(locations).toEqual([...round, ...round]);
  });

  it('refuses what names no video, and says where', async () => {
    const { ask } = await serveRedirects();
    for (const path of [
      '/',
      '/?',
      '/?v=1',
      '/?video=',
      '/?video=ftp://s1.origin.example/a',
      '/?video=http://localhost/a',
      '/?video=http://10.0.0.1/a',
      '/?video=http://user:secret@s1.origin.example/a',
      `/?video=${VIDEO}&video=${VIDEO}`,
    ]) {
      const { status, headers, location, body } = await ask(path);
      expect([path, status, body['path'], location]).toEqual([path, 422, 'video', null]);
      expect(body).toMatchObject({ code: 422, message: expect.stringMatching(/^video: /) });
      expect(headers.get('content-type')).toBe('application/problem+json');
      expect(JSON.stringify(body)).not.toContain('secret');
    }
  });

  it('is for everybody: by any name, from any page, by any form of request', async () => {
    const { redirectPort } = await serveRedirects({ LEASEHOLD_ADMIN_KEY: KEY });
    const browser = 'Origin: https://page.example\r\nSec-Fetch-Site: cross-site\r\nReferer: https://page.example/\r\n';
    for (const request of [
      `GET /?video=${VIDEO} HTTP/1.1\r\nHost: balancer.example\r\n${browser}`,
      `GET /?video=${VIDEO} HTTP/1.0\r\n`,
      `GET http://balancer.example?video=${VIDEO} HTTP/1.1\r\nHost: balancer.example\r\n`,
      `GET http://balancer.example/?video=${VIDEO} HTTP/1.1\r\nHost: balancer.example\r\n`,
      `GET /?video=${VIDEO} HTTP/1.1\r\nHost: balancer.example\r\nUpgrade: websocket\r\n`,
    ]) {
      const answer = await answerTo(redirectPort, `${request}Connection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 301 /);
      expect(answer).toContain(`\r\nLocation: ${AT_CDN}\r\n`);
    }
    const twoHosts = `GET /?video=${VIDEO} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`;
    expect(await answerTo(redirectPort, twoHosts)).toMatch(/^HTTP\/1.1 400 /);
    const tunnel = 'CONNECT s1.origin.example:80 HTTP/1.1\r\nHost: a\r\n\r\n';
    expect(await answerTo(redirectPort, tunnel)).toMatch(/^HTTP\/1.1 405 /);
  });

  it('is all that another name gets while no key guards the rest', async () => {
    const { redirectPort } = await serveRedirects();
    const asked = async (path: string) =>
      answerTo(redirectPort, `GET ${path} HTTP/1.1\r\nHost: balancer.example\r\nConnection: close\r\n\r\n`);
    expect(await asked(`/?video=${VIDEO}`)).toMatch(/^HTTP\/1.1 301 /);
    expect(await asked('/config')).toMatch(/^HTTP\/1.1 403 /);
    expect(await asked('/configs')).toMatch(/^HTTP\/1.1 403 /);
    expect(await asked('/favicon.ico')).toMatch(/^HTTP\/1.1 404 /);
  });

  it('is not found elsewhere, nor by other methods', async () => {
    const { ask } = await serveRedirects();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const { status, headers, body } = await ask(`/?video=${VIDEO}`, { method });
      expect([method, status, headers.get('allow'), body['code']]).toEqual([method, 405, 'GET, HEAD', 405]);
    }
    const elsewhere = ['/a', `/a?video=${VIDEO}`, `//?video=${VIDEO}`, '/v1/leases', '/healthz', '/configuration'];
    for (const path of elsewhere) {
      const { status, body } = await ask(path);
      expect([path, status, body['code']]).toEqual([path, 404, 404]);
    }
  });

  it('leaves one line in the log, without what may be secret, and counts', async () => {
    const { coordinator, ask, video } = await serveRedirects({ LEASEHOLD_DISTRIBUTION_RATE: '2' });
    await video(`${VIDEO}?token=planted`);
    await video(`${VIDEO}?token=planted`);
    await video('http://user:planted@s1.origin.example/');
    await ask('/', { method: 'POST' });
    await ask('/config?id=1');
    const metrics = await (await fetch(`http://127.0.0.1:${coordinator.adminPort}/metrics`)).text();
    const { series } = parsePrometheusText(metrics);
    const counted = ['cdn', 'origin', 'invalid'].map((it) => series.get(`leasehold_redirects_total{outcome="${it}"}`));
    expect(counted).toEqual([1, 1, 1]);
    const { code, output } = await coordinator.kill('SIGTERM');
    expect(code).toBe(0);
    const entries = output.map((line) => JSON.parse(line) as Record<string, unknown>);
    const requests = entries.filter(({ msg, path }) => msg === 'request' && path !== '/metrics');
    expect(requests.map(({ via, method, path, target, status }) => [via, method, path, target, status])).toEqual([
      ['redirect', 'GET', '/', AT_CDN, 301],
      ['redirect', 'GET', '/', VIDEO, 301],
      ['redirect', 'GET', '/', undefined, 422],
      ['redirect', 'POST', '/', undefined, 405],
      [undefined, 'GET', '/config', undefined, 200],
    ]);
    expect(requests[0]).toMatchObject({ ms: expect.any(Number), retries: 0 });
    expect(output.join('\n')).not.toContain('planted');
  });
});

describe('a change of configuration', () => {
  it('holds from its answer on, and counts anew', async () => {
    const { video, send } = await serveRedirects();
    await video(VIDEO);
    await send('PATCH', '/config', { id: 1, cdn_host: 'cdn2.example:8080', distribution_rate: 2 });
    const atCdn = 'http://cdn2.example:8080/s1/path';
    const locations = async () => [(await video(VIDEO)).location, (await video(VIDEO)).location];
    expect(await locations()).toEqual([atCdn, VIDEO]);
    const made = await send('POST', '/config', { cdn_host: 'cdn3.example', distribution_rate: 1 });
    expect(await locations()).toEqual([atCdn, VIDEO]);
    await send('POST', `/config/${made.body['id'] as number}/activate`);
    expect(await locations()).toEqual([VIDEO, VIDEO]);
    await send('PATCH', '/config', { id: 2, distribution_rate: 2 });
    expect(await locations()).toEqual(['http://cdn3.example/s1/path', VIDEO]);
    await send('PATCH', '/config', { id: 1, distribution_rate: 1 });
    expect(await locations()).toEqual(['http://cdn3.example/s1/path', VIDEO]);
    await send('POST', '/config/2/rollback', { version: 1 });
    expect(await locations()).toEqual([VIDEO, VIDEO]);
  });
});

it('a port that is taken ends the start', async () => {
  const { redirectPort } = await serveRedirects();
  const flags = ['--redirect-port', String(redirectPort)];
  await expect(serveRedirects({}, { flags })).rejects.toThrow(
    `redirect balancer: can't listen on 127.0.0.1:${redirectPort}`,
  );
});
