import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, request } from 'node:http';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { answerTo, deadPort, hangingTarget, serveReverse, spawnTarget, startTarget } from '../testing/reverse-run.ts';

/** Answers with what it got. */
const echo: RequestListener = (asked, response) => {
  const chunks: Buffer[] = [];
  asked.on('data', (chunk: Buffer) => chunks.push(chunk));
  asked.on('end', () => {
    const { method, url, rawHeaders } = asked;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString('latin1') }));
  });
};

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly body: string;
}

function valuesOf({ rawHeaders }: Echo, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]!.toLowerCase() === name);
}

const HOP_HEADERS = [
  ['Connection', 'X-Hop'],
  ['X-Hop', '1'],
  ['Keep-Alive', 'timeout=77'],
  ['Proxy-Authenticate', 'Basic'],
  ['Set-Cookie', 'a=1'],
  ['Set-Cookie', 'b=2'],
].flat();

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

it('passes on method, path with query, headers and body, and says by which way they came', async () => {
  const target = await startTarget(echo);
  const { url } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const response = await fetch(`${url}/a%2Fb/../c?d=1&d=2`, {
    method: 'PATCH',
    body: 'four',
    headers: { 'X-A': '1', 'X-Forwarded-For': '9.9.9.9', Forwarded: 'for=9.9.9.9', 'X-Real-IP': '9.9.9.9' },
  });
  const got = (await response.json()) as Echo;
  expect(got).toMatchObject({ method: 'PATCH', url: '/c?d=1&d=2', body: 'four' });
  expect(valuesOf(got, 'x-a')).toEqual(['1']);
  expect(valuesOf(got, 'host')).toEqual([new URL(url).host]);
  expect(valuesOf(got, 'x-forwarded-for')).toEqual(['127.0.0.1']);
  expect(valuesOf(got, 'x-forwarded-proto')).toEqual(['http']);
  expect(valuesOf(got, 'x-forwarded-host')).toEqual([new URL(url).host]);
  expect(valuesOf(got, 'forwarded')).toEqual([]);
  expect(valuesOf(got, 'x-real-ip')).toEqual([]);
  expect(valuesOf(got, 'via')).toEqual([expect.stringMatching(/^1\.1 leasehold-/)]);
});

it('goes on with what a trusted proxy says of the way', async () => {
  const target = await startTarget(echo);
  const { url } = await serveReverse({ routes: [{ targets: [target.name] }], trusted: ['127.0.0.0/8'] });
  const headers = { 'X-Forwarded-For': '9.9.9.9', 'X-Forwarded-Proto': 'https', Via: '1.0 edge' };
  const got = (await (await fetch(url, { headers })).json()) as Echo;
  expect(valuesOf(got, 'x-forwarded-for')).toEqual(['9.9.9.9, 127.0.0.1']);
  expect(valuesOf(got, 'x-forwarded-proto')).toEqual(['https']);
  expect(valuesOf(got, 'via')).toEqual([expect.stringMatching(/^1\.0 edge, 1\.1 leasehold-/)]);
});

it('keeps headers of one connection to that connection, both ways', async () => {
  const target = await startTarget((asked, response) => {
    response.writeHead(200, [...HOP_HEADERS, 'X-Got', JSON.stringify(asked.rawHeaders)]);
    response.end();
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const answer = await answerTo(
    port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\nProxy-Authorization: b\r\n\r\n',
  );
  expect(answer.match(/^set-cookie: .*$/gim)).toEqual(['Set-Cookie: a=1', 'Set-Cookie: b=2']);
  expect(answer).not.toMatch(/x-hop|timeout=77|proxy-authenticate/i);
  expect(/^x-got: (.*)$/im.exec(answer)![1]).not.toMatch(/x-secret|"te"|proxy-authorization/i);
});

it('has the host of the target where the route says so', async () => {
  const target = await startTarget(echo);
  const { url } = await serveReverse({ routes: [{ targets: [target.name], rewrite_host: true }] });
  const got = (await (await fetch(url)).json()) as Echo;
  expect(valuesOf(got, 'host')).toEqual([target.name]);
  expect(valuesOf(got, 'x-forwarded-host')).toEqual([new URL(url).host]);
});

it('sends by host and path, and answers 404 to what no route is for', async () => {
  const [a, b] = [await startTarget((_, r) => r.end('a')), await startTarget((_, r) => r.end('b'))];
  const { port, lines } = await serveReverse({
    routes: [
      { host: 'a.example', path: '/v1', targets: [a.name] },
      { path: '/b', targets: [b.name] },
    ],
  });
  const ask = (host: string, path: string) =>
    answerTo(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect(await ask('A.example:80', '/v1/x')).toMatch(/\r\n\r\na$/);
  expect(await ask('x', '/b')).toMatch(/\r\n\r\nb$/);
  expect(await ask('x', '/v1')).toMatch(/^HTTP\/1.1 404 .*application\/problem\+json/s);
  expect(await ask('x', 'http://a.example/v1')).toMatch(/\r\n\r\na$/);
  expect(lines.filter(({ message }) => message === 'request')).toHaveLength(4);
});

it('spreads requests evenly over the targets', async () => {
  const targets = await Promise.all([startTarget(), startTarget(), startTarget()]);
  const { url } = await serveReverse({ routes: [{ targets: targets.map(({ name }) => name) }] });
  await Promise.all(Array.from({ length: 300 }, async () => (await fetch(url)).text()));
  expect(targets.map(({ hits }) => hits)).toEqual([100, 100, 100]);
});

it('tries every target before it fails, says each move, and has all of them back once they answer', async () => {
  const targets = await Promise.all([startTarget(), startTarget(), startTarget()]);
  const run = await serveReverse({
    routes: [{ targets: targets.map(({ name }) => name), all_down_status: 500, all_down_text: 'All servers is off' }],
  });
  for (const target of targets.slice(0, 2)) await target.stop();
  const responses = [];
  for (let round = 0; round < 6; round += 1) responses.push(await fetch(run.url));
  expect(responses.map(({ status }) => status)).toEqual(Array(6).fill(200));
  const moves = run.lines.filter(({ message }) => message === 'request moved to another target');
  expect(moves[0]).toMatchObject({ level: 'warn', from: targets[0]!.name, reason: 'refused' });
  expect(targets.slice(1).map(({ name }) => name)).toContain(moves[0]!['to']);
  await targets[2]!.stop();
  const down = await fetch(run.url);
  expect({ status: down.status, text: await down.text() }).toEqual({ status: 500, text: 'All servers is off' });
  for (const target of targets) {
    await target.start();
    await run.line({ message: 'target back', target: target.name });
  }
  expect((await fetch(run.url)).status).toBe(200);
});

it('answers 503 as a problem where no target is left and nothing else is set', async () => {
  const { url } = await serveReverse({ routes: [{ targets: [await deadPort()] }] });
  const response = await fetch(url);
  expect(response.status).toBe(503);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(await response.json()).toMatchObject({ code: 503, reason: 'all_down' });
});

it('serves 500 requests without a failure while a target is killed and started again', async () => {
  const spare = await Promise.all([startTarget(), startTarget()]);
  const name = await deadPort();
  const port = Number(name.split(':')[1]);
  let child = await spawnTarget(port);
  const { url, line, lines } = await serveReverse({ routes: [{ targets: [name, ...spare.map((one) => one.name)] }] });
  let asked = 0;
  const failed: unknown[] = [];
  const client = async () => {
    while (asked < 500) {
      asked += 1;
      const response = await fetch(url).catch((error: unknown) => ({ status: error, text: () => undefined }));
      if (response.status !== 200) failed.push(response.status);
      await response.text();
    }
  };
  const clients = Promise.all(Array.from({ length: 10 }, client));
  await until(() => asked >= 100);
  child.kill('SIGKILL');
  await line({ message: 'target out', target: name });
  child = await spawnTarget(port);
  await line({ message: 'target back', target: name });
  await clients;
  expect(failed).toEqual([]);
  expect(lines.some(({ level, from }) => level === 'warn' && from === name)).toBe(true);
});

it('never repeats what may have been done already, and repeats with its body what is idempotent', async () => {
  const bodies: string[] = [];
  const taking =
    (answers: boolean): RequestListener =>
    (asked, response) => {
      let body = '';
      asked.on('data', (chunk) => (body += chunk));
      asked.on('end', () => {
        bodies.push(`${asked.method} ${body}`);
        if (answers) response.end('done');
        else asked.socket.destroy();
      });
    };
  const [first, second] = [await startTarget(taking(false)), await startTarget(taking(true))];
  const { url } = await serveReverse({ routes: [{ targets: [first.name, second.name] }] });
  expect((await fetch(url, { method: 'POST', body: 'once' })).status).toBe(502);
  expect((await fetch(url, { method: 'PUT', body: 'one' })).status).toBe(200);
  expect((await fetch(url, { method: 'PUT', body: 'two' })).status).toBe(200);
  expect(bodies).toEqual(['POST once', 'PUT one', 'PUT two', 'PUT two']);
});

it('sends what is not idempotent to another target where nothing of it was sent', async () => {
  const target = await startTarget(echo);
  const { url } = await serveReverse({ routes: [{ targets: [await deadPort(), target.name] }] });
  const body = 'x'.repeat(200_000);
  const response = await fetch(url, { method: 'POST', body });
  expect(((await response.json()) as Echo).body).toBe(body);
});

it('takes a silent target out at once, moves on, and has it back when it speaks', async () => {
  let isSilent = true;
  const silent = await startTarget((_, response) => {
    if (!isSilent) response.end('back');
  });
  const other = await startTarget();
  const run = await serveReverse({
    routes: [{ targets: [silent.name, other.name], response_timeout_ms: 100, probe_timeout_ms: 100 }],
  });
  expect(await (await fetch(run.url)).text()).toBe('Hello, world!');
  expect(await run.line({ message: 'target out' })).toMatchObject({ target: silent.name, cause: 'silent' });
  expect(await run.line({ message: 'request' })).toMatchObject({ retries: 1, target: other.name, status: 200 });
  const post = await fetch(run.url, { method: 'POST', body: 'x' });
  expect(post.status).toBe(200);
  isSilent = false;
  await run.line({ message: 'target back', target: silent.name });
});

it('does not wait for a target that hangs in connecting', async () => {
  const hanging = await hangingTarget();
  const other = await startTarget();
  const run = await serveReverse({
    routes: [{ targets: [hanging, other.name], connect_timeout_ms: 100, probe_interval_ms: 60_000 }],
  });
  expect((await fetch(run.url, { method: 'POST', body: 'x' })).status).toBe(200);
  expect(await run.line({ message: 'target out' })).toMatchObject({ cause: 'refused', reason: 'timeout' });
});

it('cuts the client off where an answer breaks off, so that nobody takes it for whole', async () => {
  const target = await startTarget((asked, response) => {
    response.write('half');
    setImmediate(() => asked.socket.destroy());
  });
  const { url, line } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const response = await fetch(url);
  await expect(response.text()).rejects.toThrow();
  expect(await line({ message: 'request' })).toMatchObject({ status: 200, reason: 'reset' });
});

it('lets go of the target when the client goes away', async () => {
  let gone: () => void = () => {};
  const isGone = new Promise<void>((resolve) => (gone = resolve));
  const target = await startTarget((_, response) => {
    response.once('close', gone);
    response.write('first');
  });
  const { url, line } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const abort = new AbortController();
  await fetch(url, { signal: abort.signal });
  abort.abort();
  await isGone;
  expect(await line({ message: 'request' })).toMatchObject({ reason: 'client_gone' });
});

it('passes on each part of a body when it comes, both ways', async () => {
  const target = await startTarget((asked, response) => {
    response.writeHead(200);
    response.flushHeaders();
    asked.on('data', (chunk: Buffer) => response.write(chunk.toString().toUpperCase()));
    asked.on('end', () => response.end());
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const outgoing = request({ port, host: '127.0.0.1', method: 'POST' });
  outgoing.write('a');
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  expect(String((await once(response, 'data'))[0])).toBe('A');
  outgoing.write('b');
  expect(String((await once(response, 'data'))[0])).toBe('B');
  outgoing.end();
  response.resume();
  await once(response, 'end');
});

it('says the head of an answer before there is a body', async () => {
  let finish = () => {};
  const target = await startTarget((_, response) => {
    response.flushHeaders();
    finish = () => response.end('end');
  });
  const { url } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const response = await fetch(url);
  expect(response.status).toBe(200);
  finish();
  expect(await response.text()).toBe('end');
});

it.each([
  ['HEAD', 200, { 'Content-Length': '5' }],
  ['GET', 204, {}],
  ['GET', 304, { 'Content-Length': '5', ETag: '"a"' }],
] as const)('answers %s with %i without a body, and the connection goes on', async (method, status, headers) => {
  const target = await startTarget((_, response) => {
    response.writeHead(status, headers);
    response.end();
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const one = `${method} / HTTP/1.1\r\nHost: a\r\n`;
  const answer = await answerTo(port, `${one}\r\n${one}Connection: close\r\n\r\n`);
  expect(answer.match(new RegExp(`HTTP/1.1 ${status} `, 'g'))).toHaveLength(2);
  expect(answer.endsWith('\r\n\r\n')).toBe(true);
  for (const [name, value] of Object.entries(headers)) expect(answer).toContain(`${name}: ${value}`);
});

it('tells a client of HTTP/1.0 the end of an answer by closing', async () => {
  const target = await startTarget((_, response) => {
    response.write('a');
    response.end('b');
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const answer = await answerTo(port, 'GET / HTTP/1.0\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nab$/);
  expect(answer).not.toMatch(/transfer-encoding/i);
});

it('lets a client that expects 100 go on, and passes its body on', async () => {
  const target = await startTarget(echo);
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n';
  const answer = await answerTo(port, `${head}abc`);
  expect(answer).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
  expect(answer).toContain('"body":"abc"');
});

it('answers a client before it has sent all, and serves the next request on the same connection', async () => {
  const target = await startTarget((asked, response) => {
    if (asked.method === 'GET') response.end('next');
    else response.writeHead(413).end('too much');
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const body = 'x'.repeat(500_000);
  const answer = await answerTo(
    port,
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 413 [^]*too much[^]*HTTP\/1.1 200 [^]*next$/);
});

it('answers pipelined requests in their order', async () => {
  const target = await startTarget((asked, response) => {
    if (asked.url === '/1') setImmediate(() => response.end('one'));
    else response.end('two');
  });
  const { port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const get = (path: string, rest = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${rest}\r\n`;
  expect(await answerTo(port, get('/1') + get('/2', 'Connection: close\r\n'))).toMatch(/one[^]*two$/);
});

it('answers 503 to what is more than a route may have under way, and to nothing else', async () => {
  let finish = () => {};
  const target = await startTarget((_, response) => (finish = () => response.end('done')));
  const { url } = await serveReverse({ routes: [{ targets: [target.name], in_flight_max: 1 }] });
  const first = fetch(url);
  await until(() => target.hits === 1);
  const second = await fetch(url);
  expect(second.status).toBe(503);
  expect(await second.json()).toMatchObject({ reason: 'overloaded' });
  finish();
  expect(await (await first).text()).toBe('done');
});

it('finishes what is under way when it is drained, tells clients to go, and takes nobody new', async () => {
  let finish = () => {};
  const target = await startTarget((_, response) => (finish = () => response.end('done')));
  const { url, proxy, port } = await serveReverse({ routes: [{ targets: [target.name] }] });
  const first = fetch(url);
  await until(() => target.hits === 1);
  const drained = proxy.drain(10_000);
  const refused = connect(port, '127.0.0.1');
  expect(((await once(refused, 'error')) as [NodeJS.ErrnoException])[0].code).toBe('ECONNREFUSED');
  finish();
  const response = await first;
  expect(response.headers.get('connection')).toBe('close');
  expect(await response.text()).toBe('done');
  await drained;
});

it('ejects what answers 5xx again and again, but never all of them', async () => {
  const bad = () => startTarget((_, response) => response.writeHead(500).end());
  const targets = await Promise.all([bad(), bad(), bad()]);
  const run = await serveReverse({
    routes: [{ targets: targets.map(({ name }) => name), eject_after: 3, eject_ms: 60_000 }],
  });
  for (let round = 0; round < 30; round += 1) expect((await fetch(run.url)).status).toBe(500);
  const outs = run.lines.filter(({ message }) => message === 'target out');
  expect(outs).toEqual([expect.objectContaining({ cause: 'status', reason: 'status_500', healthy: 2 })]);
});

it('takes a target out whose probe is answered badly, and back when it is answered well', async () => {
  let status = 500;
  const target = await startTarget((asked, response) =>
    response.writeHead(asked.url === '/health?x=1' ? status : 200).end(),
  );
  const other = await startTarget();
  const run = await serveReverse({
    routes: [{ targets: [target.name, other.name], probe_path: '/health?x=1', probe_status: 200 }],
  });
  const out = await run.line({ message: 'target out', target: target.name });
  expect(out).toMatchObject({ cause: 'probe', reason: 'status_500' });
  status = 200;
  await run.line({ message: 'target back', target: target.name });
});

it('keeps a client with one target by its cookie', async () => {
  const targets = await Promise.all([startTarget(), startTarget(), startTarget()]);
  const names = targets.map(({ name }) => name);
  const { url } = await serveReverse({ routes: [{ targets: names, strategy: 'sticky', sticky_cookie: 'sid' }] });
  for (let round = 0; round < 10; round += 1) await fetch(url, { headers: { Cookie: 'a=b; sid=42' } });
  expect(targets.map(({ hits }) => hits).toSorted((a, b) => a - b)).toEqual([0, 0, 10]);
});

it('notices that a target is the proxy itself', async () => {
  const hop = await startTarget((asked, response) => {
    const again = request({ port, host: '127.0.0.1', path: asked.url, headers: asked.headers }, (answer) => {
      response.writeHead(answer.statusCode!);
      answer.pipe(response);
    });
    again.end();
  });
  const { port, url } = await serveReverse({ routes: [{ targets: [hop.name], eject_after: 0 }] });
  expect((await fetch(url)).status).toBe(508);
});
