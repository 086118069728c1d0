/** Requests that no client library would send, over a raw socket. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { serveHttp } from '../testing/http-client.ts';

/** All that is answered to `text` until the other side closes. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk.toString('utf8');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

const CLOSE = 'Connection: close\r\n\r\n';

describe('the HTTP port', () => {
  it('answers with a problem whatever it cannot read', async () => {
    const { coordinator, ask } = await serveHttp();
    for (const [text, status] of [
      ['hello\r\n\r\n', 400],
      ['GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n', 400],
      [`GET /healthz HTTP/1.1\r\n${CLOSE}`, 400],
      [`GET /healthz HTTP/1.1\r\nHost: a b\r\n${CLOSE}`, 400],
      [`GET ftp://x/ HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`, 400],
      [`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n${CLOSE}`, 431],
      [`CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`, 405],
      [`GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: wonders\r\n${CLOSE}`, 417],
      [
        `POST /v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n${CLOSE}`,
        400,
      ],
      [`PUT /healthz HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`, 405],
      [`GET /%zz HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`, 404],
      [`GET /v1/leases/%zz HTTP/1.1\r\nHost: localhost\r\n${CLOSE}`, 422],
    ] as const) {
      const answer = await answerTo(coordinator.adminPort, text);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect({ text, line: head.split('\r\n')[0] }).toEqual({
        text,
        line: expect.stringContaining(`HTTP/1.1 ${status}`),
      });
      expect(head.toLowerCase()).toContain('content-type: application/problem+json');
      const problem = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as object;
      expect(problem).toMatchObject({ code: status, status, message: expect.any(String) });
    }
    expect((await ask('/healthz')).status).toBe(200);
  });

  it('gives an answer that is under way, and nothing else, to what is followed by something unreadable', async () => {
    const { coordinator, ask } = await serveHttp();
    const request = 'GET /allocate/7/60 HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const one = await answerTo(coordinator.adminPort, `${request}\0garbage\r\n\r\n`);
    expect(one).toMatch(/^HTTP\/1.1 200 /);
    expect(one.match(/HTTP\/1.1/g)).toHaveLength(1);
    expect((await ask('/v1/leases')).body['leases']).toHaveLength(1);
  });

  it('cuts a stream behind which something unreadable comes, and writes nothing into it', async () => {
    const { coordinator } = await serveHttp();
    const text = await new Promise<string>((resolve, reject) => {
      let answer = '';
      const socket = connect(coordinator.adminPort, '127.0.0.1', () => {
        socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
      });
      socket.on('data', (chunk) => {
        answer += chunk.toString('utf8');
        if (answer.includes('event: hello')) socket.write('\0garbage\r\n\r\n');
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(answer));
    });
    expect(text.match(/HTTP\/1.1/g)).toHaveLength(1);
  });

  it('takes HTTP/1.0 without a host, as simple probes send it', async () => {
    const { coordinator } = await serveHttp();
    expect(await answerTo(coordinator.adminPort, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('logs no path whole that holds a key or an address, and no error where somebody goes away', async () => {
    const { coordinator, ask } = await serveHttp();
    await ask('/v1/clients/x/keys/lh_0123456789abcdef_planted1', { method: 'DELETE' });
    await ask('/v1/addresses/http%3A%2F%2Fuser%3Aplanted2%40host');
    const socket = connect(coordinator.adminPort, '127.0.0.1');
    const head = 'POST /v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"resource"';
    await new Promise<void>((resolve) => socket.write(head, () => resolve()));
    await ask('/healthz');
    socket.destroy();
    await ask('/v1/counters/behind');
    await expect.poll(() => coordinator.output.join()).toContain('/v1/counters/behind');
    expect(coordinator.output.join()).not.toMatch(/planted|"level":"error"/);
  });
});
