import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import * as v from 'valibot';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_METRICS } from '../metrics/metrics.ts';
import { serveHttp } from '../testing/http-client.ts';
import { openAdmin } from './admin-server.ts';
import { operation } from './operation.ts';
import { json } from './requests.ts';

const ADMIN_KEY = 'operator-key-for-tests';
const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });

/** What a stream says until it ends by itself. */
async function textOf(response: Response): Promise<string> {
  expect(response.status).toBe(200);
  return response.text();
}

/** A POST that was let in, of whose body only the beginning has come. */
async function park(port: number, path: string, headers: Record<string, string>, beginning: string) {
  const parked = request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    headers: { ...headers, Expect: '100-continue' },
  });
  parked.flushHeaders();
  // Said in the turn in which the request is let in.
  await once(parked, 'continue');
  parked.write(beginning);
  return parked;
}

async function finish(parked: ClientRequest, rest: string) {
  const responded = once(parked, 'response') as Promise<[IncomingMessage]>;
  parked.end(rest);
  const [response] = await responded;
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: JSON.parse(text) as Record<string, unknown> };
}

const WHOLE = '{"role": "operator"}';
const REFUSED = { status: 401, body: { reason: 'unauthorized' } };

describe('a request whose body takes its time', () => {
  it('does nothing once its key has ended', async () => {
    const { coordinator, ask } = await serveHttp({ LEASEHOLD_ADMIN_KEY: ADMIN_KEY });
    const { adminPort: port } = coordinator;
    const asAdmin = (path: string, method = 'POST', body?: string) =>
      fetch(`http://127.0.0.1:${port}${path}`, { method, headers: bearer(ADMIN_KEY), body: body ?? null });
    await asAdmin('/v1/clients', 'POST', '{"client_id": "mallory"}');
    const issued = (await (await asAdmin('/v1/clients/mallory/keys', 'POST', WHOLE)).json()) as Record<string, string>;
    const headers = bearer(issued['key']!);
    const issuing = await park(port, '/v1/clients/mallory/keys', headers, WHOLE.slice(0, 3));
    const record = JSON.stringify({ address: '10.9.9.9:80', country: 'PT', rpw: 0, resource_ids: [7] });
    const lines = { ...headers, 'Content-Type': 'application/x-ndjson' };
    const importing = await park(port, '/v1/addresses/import', lines, record.slice(0, 3));
    expect((await asAdmin(`/v1/clients/mallory/keys/${issued['key_id']}`, 'DELETE')).status).toBe(204);
    expect(await finish(issuing, WHOLE.slice(3))).toMatchObject(REFUSED);
    expect(await finish(importing, record.slice(3))).toMatchObject(REFUSED);
    const keys = await ask('/v1/clients/mallory/keys', { headers: bearer(ADMIN_KEY) });
    expect(keys.body).toEqual({ keys: [] });
    const pool = await ask('/v1/addresses', { headers: bearer(ADMIN_KEY) });
    expect(JSON.stringify(pool.body)).not.toContain('10.9.9.9');
  });

  it('does nothing without a key once the first operator’s key exists', async () => {
    const { coordinator, send, ask } = await serveHttp();
    await send('POST', '/v1/clients', { client_id: 'ops' });
    const parked = await park(coordinator.adminPort, '/v1/clients/ops/keys', {}, WHOLE.slice(0, 3));
    const { body } = await send('POST', '/v1/clients/ops/keys', { role: 'operator' });
    expect(await finish(parked, WHOLE.slice(3))).toMatchObject(REFUSED);
    const keys = await ask('/v1/clients/ops/keys', { headers: bearer(body['key'] as string) });
    expect(keys.body['keys']).toHaveLength(1);
  });

  it('changes nothing where the disk has fallen behind meanwhile', async () => {
    let isOverloaded = false;
    let hasHandled = false;
    const admin = await openAdmin({
      host: '127.0.0.1',
      port: 0,
      early: [],
      clock: { nowMs: () => 0, utcMs: () => 0 },
      tls: undefined,
      connections: { connectionsMax: 100, connectionsPerIpMax: 100, peerOf: (ip) => ip },
      metrics: NO_METRICS,
      log: { debug: () => {}, info: () => {}, error: () => {} },
    });
    onTestFinished(admin.close);
    const change = operation({
      id: 'change',
      tag: 'test',
      method: 'post',
      path: '/change',
      role: 'operator',
      summary: 'Changes something.',
      body: v.looseObject({}),
      answers: { 200: { description: 'Changed.' } },
      handle() {
        hasHandled = true;
        return json({});
      },
    });
    admin.mount({
      operations: [change],
      access: {
        identify: () => undefined,
        hasOperatorKey: () => false,
        take: () => ({ ok: true }),
        isStill: () => false,
        clientOf: (ip) => ip,
      },
      settled: () => Promise.resolve(),
      isOverloaded: () => isOverloaded,
    });
    const parked = await park(admin.port, '/change', {}, WHOLE.slice(0, 3));
    isOverloaded = true;
    expect(await finish(parked, WHOLE.slice(3))).toMatchObject({ status: 503, body: { reason: 'overloaded' } });
    expect(hasHandled).toBe(false);
  });
});

describe('a stream of events', () => {
  it('ends with the key that opened it, and goes on where another one does', async () => {
    const { coordinator } = await serveHttp({ LEASEHOLD_ADMIN_KEY: ADMIN_KEY });
    const asked = (path: string, init: RequestInit = {}, key = ADMIN_KEY) =>
      fetch(`http://127.0.0.1:${coordinator.adminPort}${path}`, { ...init, headers: bearer(key) });
    await asked('/v1/clients', { method: 'POST', body: '{"client_id": "ops"}' });
    const issue = async () => {
      const response = await asked('/v1/clients/ops/keys', { method: 'POST', body: WHOLE });
      return (await response.json()) as Record<string, string>;
    };
    const [ending, going] = [await issue(), await issue()];
    const endingStream = await asked('/v1/events', {}, ending['key']);
    const goingStream = await asked('/v1/events', {}, going['key']);
    const goingReader = goingStream.body!.getReader();
    await asked(`/v1/clients/ops/keys/${ending['key_id']}`, { method: 'DELETE' });
    expect(await textOf(endingStream)).not.toContain('event: KeyEnded');
    let text = '';
    while (!text.includes('event: KeyEnded')) text += Buffer.from((await goingReader.read()).value!).toString();
    await goingReader.cancel();
  });

  it('that came without a key ends where the first of an operator is made', async () => {
    const { coordinator, send } = await serveHttp();
    const stream = await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/events`);
    await send('POST', '/v1/clients', { client_id: 'ops' });
    await send('POST', '/v1/clients/ops/keys', { role: 'operator' });
    expect(await textOf(stream)).not.toContain('event: KeyIssued');
  });
});
