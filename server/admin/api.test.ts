/**
 * The HTTP API by its own document: each operation is asked by a client that was made of the document alone, over a real
 * socket, and may answer only what the document says.
 */
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { ApiClient } from '../testing/api-client.ts';
import { samplePool } from '../testing/coordinator-process.ts';
import { serveHttp } from '../testing/http-client.ts';
import { parsePrometheusText } from '../testing/prometheus-text.ts';
import { WireClient } from '../testing/wire-client.ts';

const KEY = 'operator-key-for-tests';

/** With everything that has operations. */
async function serve(env: NodeJS.ProcessEnv = { LEASEHOLD_ADMIN_KEY: KEY, LEASEHOLD_REDIRECT_PORT: '0' }) {
  const { coordinator } = await serveHttp(env, samplePool(20, [7, 8], ['US', 'DE']));
  return { coordinator, api: await ApiClient.open(`http://127.0.0.1:${coordinator.adminPort}`, KEY) };
}

describe('the document of the HTTP API', () => {
  it('is valid OpenAPI 3.1', async () => {
    const { api } = await serve();
    const validator = new Validator();
    const result = await validator.validate(structuredClone(api.document));
    expect(result).toMatchObject({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('is enough for a client to do every operation', async () => {
    const { api, coordinator } = await serve();
    for (const scenario of SCENARIOS) await scenario(api, coordinator.port);
    expect([...api.called].sort()).toEqual([...api.operations.keys()].sort());
  });

  it('says what becomes of every faulty request', async () => {
    const { api } = await serve();
    for (const { operationId, method, path, parameters = [], requestBody, 'x-role': role } of api.operations.values()) {
      const good = Object.fromEntries(
        parameters
          .filter(({ in: place, required }) => place === 'path' || (place === 'query' && required))
          .map(({ name, schema }) => [
            name,
            schema.type === 'integer' || schema.type === 'number' ? 4_000_000 : 'nobody',
          ]),
      );
      const json = requestBody?.content['application/json'];
      const body = json
        ? { body: '{}' }
        : requestBody
          ? { body: '', contentType: Object.keys(requestBody.content)[0]! }
          : {};
      const statusOf = async (more: object) => (await api.call(operationId, { with: good, ...body, ...more })).status;
      if (role !== 'anyone') {
        expect([operationId, await statusOf({ key: '' })]).toEqual([operationId, 401]);
        expect([operationId, await statusOf({ key: 'wrong' })]).toEqual([operationId, 401]);
      }
      for (const { name, schema } of parameters.filter(({ in: place }) => place !== 'header')) {
        if (schema.type !== 'integer' && schema.type !== 'number') continue;
        expect([operationId, name, await statusOf({ with: { ...good, [name]: 'x' } })]).toEqual([
          operationId,
          name,
          422,
        ]);
      }
      if (json && json.schema['type'] !== 'array') {
        expect([operationId, await statusOf({ body: '{' })]).toEqual([operationId, 400]);
        expect([operationId, await statusOf({ body: '[]' })]).toEqual([operationId, 422]);
        expect([operationId, await statusOf({ body: '{"nonsense": 1}' })]).toEqual([operationId, 422]);
        expect([operationId, await statusOf({ body: ' '.repeat(70_000) })]).toEqual([operationId, 413]);
      }
      const foreign = await fetch(`${api.base}${path.replace(/\{\w+\}/g, '1')}`, {
        method: method.toUpperCase(),
        headers: { Origin: 'http://evil.example' },
      });
      expect([operationId, foreign.status]).toEqual([operationId, 403]);
      expect(await foreign.json()).toMatchObject({ code: 403, message: expect.any(String) });
    }
  });
});

/** `port`: that of the WebSocket. */
type Scenario = (api: ApiClient, port: number) => Promise<void>;

/** What operators and collectors do, one after the other on one coordinator; together: every operation. */
const SCENARIOS: readonly Scenario[] = [
  async function health(api) {
    expect((await api.call('getHealth')).body).toMatchObject({ status: 'ok', draining: false });
    expect((await api.call('getReadiness')).body).toMatchObject({ status: 'ready', epoch: 1 });
    expect((await api.call('getDocument')).body).toEqual(api.document);
    const { text } = (await api.call('getMetrics')).body as { text: string };
    expect(parsePrometheusText(text).series.get('leasehold_epoch')).toBe(1);
    const page = (await api.call('getDocumentPage')).body['text'] as string;
    // Nothing from elsewhere.
    expect(page).not.toMatch(/(?:src|href)="(?!\/)|https?:\/\//);
  },

  async function allocating(api) {
    const first = await api.call('allocate', { with: { resource: 7, ttl: 60 } });
    expect(first.body).toMatchObject({ country: 'US', ttl_ms: 60_000, resource_ids: [7, 8] });
    const inCountry = { resource: 7, ttl: 0.5, country: 'de' };
    expect((await api.call('allocateInCountry', { with: inCountry })).body).toMatchObject({
      country: 'DE',
      ttl_ms: 500,
    });
    expect((await api.call('allocateByPost', { with: { resource: 7, ttl: 60 } })).status).toBe(200);
    expect((await api.call('allocateInCountryByPost', { with: inCountry })).status).toBe(200);
    expect((await api.call('allocate', { with: { resource: 99, ttl: 60 } })).status).toBe(404);
    const none = await api.call('allocateInCountry', { with: { resource: 7, ttl: 60, country: 'FR' } });
    expect([none.status, none.body['why']]).toEqual([409, expect.objectContaining({ relax: 'country' })]);
  },

  async function leasing(api) {
    const wish = { resource: 8, ttl_ms: 60_000, where: { country: { in: ['US'] }, not: { rpw: { gt: 1_000 } } } };
    const made = await api.call('acquireLease', { body: wish, with: { 'Idempotency-Key': 'once' } });
    const { lease } = made.body as { lease: number };
    expect([made.status, made.headers.get('location')]).toEqual([201, `/v1/leases/${lease}`]);
    const again = await api.call('acquireLease', { body: wish, with: { 'Idempotency-Key': 'once' } });
    expect(again.body).toMatchObject({ lease });
    const other = { ...wish, ttl_ms: 5_000 };
    expect((await api.call('acquireLease', { body: other, with: { 'Idempotency-Key': 'once' } })).status).toBe(422);
    const two = await api.call('acquireLease', { body: { resource: 8, ttl_ms: 60_000, count: 2 } });
    expect(two.body['leases']).toHaveLength(2);
    expect((await api.call('getLease', { with: { lease } })).body).toMatchObject({ lease, holder: { kind: 'client' } });
    expect((await api.call('listLeases', { with: { resource: 8, limit: 2 } })).body).toMatchObject({
      leases: [{ resource: 8 }, { resource: 8 }],
      next: expect.any(Number),
    });
    expect((await api.call('renewLease', { with: { lease }, body: { ttl_ms: 90_000 } })).body).toMatchObject({ lease });
    expect((await api.call('renewLease', { with: { lease } })).status).toBe(200);
    const report = { outcome: 'ok', requests: 12 };
    expect((await api.call('reportLease', { with: { lease }, body: report })).body).toEqual({ lease, reported: true });
    expect((await api.call('endLease', { with: { lease, outcome: 'ok', requests: 13 } })).body).toEqual({
      lease,
      end: 'released',
    });
    expect((await api.call('renewLease', { with: { lease } })).status).toBe(409);
    expect((await api.call('endLease', { with: { lease: 5 } })).status).toBe(404);
    const revoked = await api.call('revokeLeases', { body: { resource: 8 } });
    expect(revoked.body).toEqual({ revoked: 2 });
    expect((await api.call('revokeLeases', { body: { leases: [1, 2] } })).body).toEqual({ revoked: 0 });
    expect((await api.call('revokeLeases', { body: {} })).status).toBe(422);
    expect((await api.call('listLeases', { with: { resource: 8 } })).body).toEqual({ leases: [] });
  },

  async function counting(api) {
    const pages = { counter: 'pages' };
    const keyed = { ...pages, 'Idempotency-Key': 'page-7' };
    expect((await api.call('getCounter', { with: pages })).status).toBe(404);
    expect((await api.call('addToCounter', { with: keyed, body: { by: 2 } })).body).toEqual({ ...pages, value: 2 });
    expect((await api.call('addToCounter', { with: keyed, body: { by: 2 } })).body).toEqual({ ...pages, value: 2 });
    expect((await api.call('getCounter', { with: pages })).body).toEqual({ ...pages, value: 2 });
    await api.call('addToCounter', { with: { counter: 'bytes' }, body: { by: -1 } });
    const listed = await api.call('listCounters', { with: { limit: 1 } });
    expect(listed.body).toEqual({ counters: [{ counter: 'bytes', value: -1 }], next: 'bytes' });
    expect((await api.call('deleteCounter', { with: pages })).status).toBe(204);
    expect((await api.call('deleteCounter', { with: pages })).status).toBe(404);
  },

  async function redirecting(api) {
    const first = { id: 1, cdn_host: 'cdn.example.com', distribution_rate: 10, version: 1 };
    expect((await api.call('getRedirectConfig')).body).toMatchObject(first);
    const patched = await api.call('updateRedirectConfig', { body: { id: 1, distribution_rate: 2, version: 1 } });
    expect(patched.body).toMatchObject({ ...first, distribution_rate: 2, version: 2 });
    const stale = await api.call('updateRedirectConfig', { body: { id: 1, distribution_rate: 3, version: 1 } });
    expect([stale.status, stale.body['version']]).toEqual([409, 2]);
    expect((await api.call('updateRedirectConfig', { body: { id: 9, distribution_rate: 3 } })).status).toBe(404);
    const made = await api.call('createRedirectConfig', { body: { cdn_host: '[::1]:81', distribution_rate: 1 } });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/config?id=2']);
    expect((await api.call('getRedirectConfig', { with: { id: 2 } })).body).toEqual(made.body);
    expect((await api.call('activateRedirectConfig', { with: { id: 2 } })).body).toEqual(made.body);
    expect((await api.call('listRedirectConfigs')).body).toEqual({ active: 2, configs: [patched.body, made.body] });
    const rolledBack = await api.call('rollBackRedirectConfig', { with: { id: 1 }, body: { version: 1 } });
    expect(rolledBack.body).toMatchObject({ ...first, version: 3 });
    expect((await api.call('rollBackRedirectConfig', { with: { id: 1 }, body: { version: 4 } })).status).toBe(404);
    expect((await api.call('getRedirectConfigHistory', { with: { id: 1 } })).body).toMatchObject({
      versions: [{ version: 1 }, { version: 2, distribution_rate: 2 }, { version: 3, rolled_back_to: 1 }],
    });
  },

  async function explaining(api) {
    const asked = { resource: 7, ttl_ms: 1_000, wait_ms: 5, where: { country: { eq: 'FR' } } };
    expect((await api.call('explain', { body: asked })).body).toMatchObject({
      would: 'queue',
      why: { relax: 'country' },
    });
  },

  async function clients(api) {
    const user = { client_id: 'user1' };
    const made = await api.call('createClient', { body: { ...user, capacity: 100, rate_per_sec: 10 } });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/v1/clients/user1']);
    expect(made.body).toMatchObject({ ...user, capacity: 100, rate_per_sec: 10, tokens: 100, version: 1 });
    expect((await api.call('createClient', { body: user })).status).toBe(409);
    const lowered = await api.call('updateClient', { with: user, body: { capacity: 5 } });
    expect(lowered.body).toMatchObject({ capacity: 5, rate_per_sec: 10, tokens: 5, version: 2 });
    expect((await api.call('listClients', { with: { limit: 1 } })).body).toEqual({ clients: [lowered.body] });
    expect((await api.call('getClient', { with: user })).body).toEqual(lowered.body);

    const issued = await api.call('issueKey', { with: user, body: { role: 'operator' } });
    const { key, key_id } = issued.body as { key: string; key_id: string };
    expect((await api.call('listClients', { key })).status).toBe(200);
    const rotated = await api.call('rotateKey', { with: { ...user, key_id }, body: { overlap_ms: 60_000 } });
    expect((await api.call('listKeys', { with: user, key })).body).toMatchObject({
      keys: [
        { key_id, ends_at: expect.any(String) },
        { key_id: rotated.body['key_id'], ends_at: null },
      ],
    });
    expect((await api.call('revokeKey', { with: { ...user, key_id } })).status).toBe(204);
    expect((await api.call('revokeKey', { with: { ...user, key_id } })).status).toBe(404);
    expect((await api.call('listClients', { key })).status).toBe(401);
    expect((await api.call('deleteClient', { with: user })).status).toBe(204);
    expect((await api.call('getClient', { with: user })).status).toBe(404);
  },

  async function pool(api) {
    const { body } = await api.call('listAddresses', { with: { limit: 3, resource: 7 } });
    expect(body).toMatchObject({ addresses: [{ address_id: 1 }, { address_id: 2 }, { address_id: 3 }], next: 3 });
    const drained = await api.call('updateAddress', { with: { address_id: 20 }, body: { draining: true } });
    expect(drained.body).toMatchObject({ address_id: 20, draining: true });
    const { body: added } = await api.call('addAddress', {
      body: {
        address: 'http://user:planted@10.9.0.1:80',
        country: 'FR',
        resource_ids: [7],
        note: 'n',
        labels: { a: 'b' },
      },
    });
    const with_ = { address_id: (added as { address_id: number }).address_id };
    expect(added).toMatchObject({ address: 'http://***@10.9.0.1:80', country: 'FR', rpw: 0 });
    const twice = await api.call('addAddress', { body: { address: '10.0.0.1:8080', country: 'US', resource_ids: [] } });
    expect([twice.status, twice.body['address_id']]).toEqual([409, 1]);
    const patched = await api.call('updateAddress', { with: with_, body: { country: 'IT', labels: null } });
    expect(patched.body).toMatchObject({ ...with_, country: 'IT' });
    const replaced = { country: 'ES', resource_ids: [8], rpw: 5 };
    expect((await api.call('replaceAddress', { with: with_, body: replaced })).body).toMatchObject({
      ...with_,
      ...replaced,
    });
    const renamed = await api.call('replaceAddress', { with: with_, body: { ...replaced, address: '10.9.0.2:80' } });
    expect([renamed.status, renamed.body['path']]).toEqual([422, 'address']);
    expect((await api.call('getAddress', { with: with_ })).body).toMatchObject({ ...with_, country: 'ES' });
    expect((await api.call('removeAddress', { with: { ...with_, deadline_ms: 0 } })).status).toBe(204);
    expect((await api.call('getAddress', { with: with_ })).status).toBe(404);
    expect((await api.call('removeAddress', { with: with_ })).status).toBe(404);
    await api.call('quarantine', { body: { address_id: 20 } });
    await api.call('quarantine', { body: { address_id: 20, resource: 7, for_ms: 60_000 } });
    expect((await api.call('listQuarantine')).body['quarantine']).toHaveLength(2);
    await api.call('liftPairQuarantine', { with: { address_id: 20, resource: 7 } });
    expect((await api.call('liftAddressQuarantine', { with: { address_id: 20 } })).status).toBe(200);
    expect((await api.call('liftAddressQuarantine', { with: { address_id: 20 } })).status).toBe(404);
  },

  async function importing(api) {
    const record = (host: number) => ({ address: `10.8.0.${host}:80`, country: 'PT', rpw: 0, resource_ids: [8] });
    const none = { added: 0, updated: 0, removed: 0, unchanged: 0, refused: 0, problems: [] };
    expect((await api.call('importAddresses', { body: [record(1)] })).body).toEqual({ ...none, added: 1 });
    const lines = `${JSON.stringify(record(1))}\n\n${JSON.stringify(record(2))}\n`;
    const asLines = { body: lines, contentType: 'application/x-ndjson' };
    expect((await api.call('importAddresses', asLines)).body).toEqual({ ...none, added: 1, unchanged: 1 });
    const csv = 'address,country,resource_ids,labels.site\n10.8.0.3:80,PT,7;8,a\nnowhere,PT,8,\n10.8.0.4:80,PT,8,\n';
    const asCsv = { body: csv, contentType: 'text/csv' };
    const refused = await api.call('importAddresses', asCsv);
    expect(refused).toMatchObject({ status: 422, body: { refused: 1, problems: [{ line: 3 }] } });
    const problems = [{ line: 3, message: expect.stringContaining('address: must be host:port') as string }];
    const taken = await api.call('importAddresses', { ...asCsv, with: { partial: true } });
    expect(taken.body).toEqual({ ...none, added: 2, refused: 1, problems });
    const both = await api.call('importAddresses', { ...asCsv, with: { partial: true, replace: true } });
    expect([both.status, both.body['path']]).toEqual([422, 'replace']);
    const empty = await api.call('importAddresses', { body: [], with: { replace: true } });
    expect([empty.status, empty.body['path']]).toEqual([422, 'replace']);
    expect((await api.call('importAddresses', { body: '{}' })).status).toBe(400);
    const many = Array.from({ length: 60 }, (_, index) => ({
      ...record(9),
      address: `10.7.0.${index}:80`,
      resource_ids: [100 + index],
    }));
    const tooMany = await api.call('importAddresses', { body: many });
    expect(tooMany).toMatchObject({ status: 422, body: { refused: 12 } });
  },

  async function resources(api) {
    const { body } = await api.call('listResources');
    expect(body).toMatchObject({
      resources: expect.arrayContaining([expect.objectContaining({ resource: 7, version: 0 })]),
    });
    const where = { country: { in: ['US', 'CA'] } };
    const set = await api.call('setPolicy', { with: { resource: 9 }, body: { max_leases: 2, where, cooldown_ms: 10 } });
    const everyEnd = { released: 10, expired: 10, revoked: 10, session_lost: 10 };
    expect(set.body).toMatchObject({
      resource: 9,
      policy: { max_leases: 2, where, ttl_min_ms: 200, cooldown_ms: everyEnd },
    });
    const { version } = set.body as { version: number };
    const patched = await api.call('updatePolicy', {
      with: { resource: 9 },
      body: { max_leases: null, strategy: 'random', version },
    });
    expect(patched.body['own_policy']).toEqual({ where, cooldown_ms: everyEnd, strategy: 'random' });
    const stale = await api.call('updatePolicy', { with: { resource: 9 }, body: { max_leases: 5, version } });
    expect([stale.status, stale.body['version']]).toEqual([409, patched.body['version']]);
    const faulty = await api.call('setPolicy', { with: { resource: 9 }, body: { ban_max_ms: 5 } });
    expect([faulty.status, faulty.body['path']]).toEqual([422, 'policy']);
    expect((await api.call('setPolicy', { with: { resource: 9 }, body: { max_leases: 0 } })).body).toMatchObject({
      path: 'max_leases',
    });
    expect((await api.call('getResource', { with: { resource: 9 } })).body).toEqual(patched.body);
    expect((await api.call('deletePolicy', { with: { resource: 9, version } })).status).toBe(409);
    expect((await api.call('deletePolicy', { with: { resource: 9 } })).status).toBe(204);
    expect((await api.call('deletePolicy', { with: { resource: 9 } })).status).toBe(404);
    expect((await api.call('getResource', { with: { resource: 9 } })).status).toBe(404);
  },

  async function happening(api) {
    const aborted = new AbortController();
    const response = await api.send(
      'streamEvents',
      { with: { 'Last-Event-ID': 0, event: 'LeaseGranted' } },
      aborted.signal,
    );
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString('utf8');
      if (text.includes('event: LeaseGranted')) break;
    }
    expect(text).toMatch(/id: \d+\n/);
    aborted.abort();
    const past = await api.call('lookBack', { with: { at: '-0s', resource: 7 } });
    expect(past.body).toMatchObject({ position: expect.any(Number), leases: expect.any(Array) });
    const before = await api.call('lookBack', { with: { at: '1999-01-01T00:00:00Z' } });
    expect(before.body).toMatchObject({ coordinator: 'not_begun', leases: [] });
    expect((await api.call('lookBack', { with: { at: 'yesterday' } })).body).toMatchObject({ code: 422, path: 'at' });
  },

  async function sessions(api, port) {
    const { client, welcome } = await WireClient.hello(port, { client: 'b', resume_window_ms: 60_000 });
    const others = await Promise.all([1, 2, 3].map(() => WireClient.hello(port)));
    await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
    const { session } = welcome;
    const entry = {
      session,
      name: 'b',
      client: '127.0.0.1',
      connected: true,
      leases: 1,
      waiting: 0,
      resume_window_ms: 60_000,
    };
    expect((await api.call('listSessions', { with: { name: 'b', client: '127.0.0.1' } })).body).toMatchObject({
      sessions: [entry],
    });
    expect((await api.call('getSession', { with: { session } })).body).toMatchObject({ remote_address: '127.0.0.1' });
    expect((await api.call('listLeases', { with: { client: '10.0.0.9' } })).body).toEqual({ leases: [] });
    expect((await api.call('listLeases', { with: { session, client: '127.0.0.1' } })).body).toMatchObject({
      leases: [{ holder: { session } }],
    });
    const first = (await api.call('listSessions', { with: { limit: 3 } })).body as unknown as Page;
    const rest = (await api.call('listSessions', { with: { limit: 3, after: first.next! } })).body as unknown as Page;
    const ids = [...first.sessions, ...rest.sessions].map((it) => it.session);
    expect([ids, rest.next]).toEqual([[session, ...others.map((it) => it.welcome.session)].sort(), undefined]);
    await client.terminate();
    await expect.poll(async () => (await api.call('getSession', { with: { session } })).body['connected']).toBe(false);
    expect((await api.call('endSession', { with: { session } })).body).toEqual({ session, revoked: 1 });
    expect((await api.call('endSession', { with: { session } })).status).toBe(404);
    expect((await api.call('getSession', { with: { session } })).status).toBe(404);
    const [other] = others;
    const held = await other!.client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
    await api.call('endSession', { with: { session: other!.welcome.session } });
    const { lease } = held as { lease: number };
    expect(await other!.client.push('revoked')).toEqual({ type: 'revoked', lease, reason: 'operator' });
    expect(await other!.client.closed).toMatchObject({ code: 1000 });
  },
];

interface Page {
  readonly sessions: readonly { readonly session: string }[];
  readonly next?: string;
}
