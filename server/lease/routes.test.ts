import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { BODY_BYTES_MAX } from '../admin/requests.ts';
import { samplePool } from '../testing/coordinator-process.ts';
import { serveHttp } from '../testing/http-client.ts';
import { WireClient } from '../testing/wire-client.ts';
import { SCANNED_MAX } from './http-addresses.ts';

const TTL_MS = 60_000;
const acquire = (fields: object = {}) => ({ type: 'acquire', resource: 7, ttl_ms: TTL_MS, ...fields });

async function take(client: WireClient, fields: object = {}): Promise<number> {
  return ((await client.request(acquire(fields), 'granted')) as { lease: number }).lease;
}

describe('DELETE /v1/leases/{lease}', () => {
  it('announces a revocation with a deadline, which a later one does not put off and a nearer one brings forward', async () => {
    const { coordinator, ask } = await serveHttp({}, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port);
    const lease = await take(client);
    const revoke = (deadlineMs: number) => ask(`/v1/leases/${lease}?deadline_ms=${deadlineMs}`, { method: 'DELETE' });
    const announced = await revoke(30_000);
    expect(announced).toMatchObject({ status: 202, body: { lease, revoking: true } });
    expect(announced.body['deadline_ms']).toBeGreaterThan(0);
    expect(announced.body['deadline_ms']).toBeLessThanOrEqual(30_000);
    expect(await client.push('revoking')).toMatchObject({ lease, reason: 'operator' });
    const { body } = await ask('/v1/leases');
    expect(body).toMatchObject({ leases: [{ lease, revoking: { reason: 'operator' } }] });

    expect((await revoke(50_000)).body['deadline_ms']).toBeLessThanOrEqual(30_000);
    expect((await revoke(200)).body['deadline_ms']).toBeLessThanOrEqual(200);
    expect(await client.push('revoked')).toMatchObject({ lease, reason: 'operator' });
    expect((await ask('/v1/leases')).body).toEqual({ leases: [] });
  });

  it('revokes at once without a deadline or with none left', async () => {
    const { coordinator, ask } = await serveHttp({}, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port);
    for (const query of ['', '?deadline_ms=0']) {
      const lease = await take(client);
      const { status, body } = await ask(`/v1/leases/${lease}${query}`, { method: 'DELETE' });
      expect([status, body]).toEqual([200, { lease, end: 'revoked' }]);
      expect(await client.push('revoked')).toEqual({ type: 'revoked', lease, reason: 'operator' });
    }
  });

  it('refuses deadlines that are none, leases that are none, and a deadline of whoever releases', async () => {
    const { ask } = await serveHttp();
    const { lease, secret } = (await ask('/allocate/7/60')).body as { lease: number; secret: string };
    for (const [path, status, at] of [
      [`/v1/leases/${lease}?deadline_ms=604800001`, 422, 'deadline_ms'],
      [`/v1/leases/${lease}?deadline_ms=-1`, 422, 'deadline_ms'],
      [`/v1/leases/${lease}?deadline_ms=`, 422, 'deadline_ms'],
      ['/v1/leases/12?deadline_ms=5', 404, 'lease'],
      ['/v1/leases/none', 422, 'lease'],
    ] as const) {
      const { status: got, body } = await ask(path, { method: 'DELETE' });
      expect({ path, got, at: body['path'] }).toEqual({ path, got: status, at });
    }
    const headers = { 'Leasehold-Secret': secret };
    const both = await ask(`/v1/leases/${lease}?deadline_ms=5`, { method: 'DELETE', headers });
    expect(both).toMatchObject({ status: 422, body: { path: 'deadline_ms' } });
    expect((await ask('/v1/leases')).body).toMatchObject({ leases: [{ lease }] });
  });
});

describe('POST /v1/leases/revoke', () => {
  it('ends what there was when it was asked, and not what comes in its place', async () => {
    const { coordinator, ask, send } = await serveHttp({}, samplePool(1_300));
    const { client } = await WireClient.hello(coordinator.port);
    for (let count = 0; count < 12; count += 1) await client.request(acquire({ count: 100 }), 'granted');
    const page = (await ask('/v1/leases?limit=1000')).body as { leases: { lease: number }[] };
    const revoked = await send('POST', '/v1/leases/revoke', { resource: 7 });
    expect(revoked.body).toEqual({ revoked: 1_200 });
    const after = (await ask('/v1/leases?limit=1000')).body as { leases: { lease: number }[] };
    // Substitutes, each newer than all that there was.
    expect(after.leases.length).toBeGreaterThan(0);
    expect(after.leases[0]!.lease).toBeGreaterThan(page.leases.at(-1)!.lease + 200);
  });
});

describe('/v1/addresses', () => {
  it('lists the pool page by page, with masked addresses, whole or of one resource', async () => {
    const pool = [
      { address: 'http://user:hunter2@10.0.0.1:80', country: 'US', rpw: 5, resource_ids: [7, 8] },
      { address: '10.0.0.2:80', country: 'DE', rpw: 0, resource_ids: [7] },
      { address: '10.0.0.3:80', country: 'DE', rpw: 0, resource_ids: [8] },
    ];
    const { coordinator, ask } = await serveHttp({}, pool);
    const first = await ask('/v1/addresses?limit=1');
    expect(first.body).toEqual({
      addresses: [
        {
          address_id: 1,
          address: 'http://***@10.0.0.1:80',
          country: 'US',
          rpw: 5,
          resource_ids: [7, 8],
          healthy: true,
          draining: false,
        },
      ],
      next: 1,
    });
    const idsOf = async (query: string) => {
      const { addresses, next } = (await ask(`/v1/addresses${query}`)).body as {
        addresses: { address_id: number }[];
        next?: number;
      };
      return { ids: addresses.map(({ address_id }) => address_id), next };
    };
    expect(await idsOf('?after=1')).toEqual({ ids: [2, 3], next: undefined });
    expect(await idsOf('?resource=8')).toEqual({ ids: [1, 3], next: undefined });
    expect(await idsOf('?resource=8&limit=1&after=1')).toEqual({ ids: [3], next: undefined });
    expect(await idsOf('?resource=99')).toEqual({ ids: [], next: undefined });
    expect(JSON.stringify(first.body) + coordinator.output.join()).not.toContain('hunter2');
    for (const at of ['limit', 'after', 'resource']) {
      expect(await ask(`/v1/addresses?${at}=x`)).toMatchObject({ status: 422, body: { path: at } });
    }
  });

  it('looks at a bounded part of the pool for one page, and says where to go on', async () => {
    const pool = samplePool(SCANNED_MAX + 5);
    pool.at(-1)!.resource_ids = [8];
    const { ask } = await serveHttp({}, pool);
    const first = await ask('/v1/addresses?resource=8');
    expect(first.body).toEqual({ addresses: [], next: SCANNED_MAX });
    const second = await ask(`/v1/addresses?resource=8&after=${SCANNED_MAX}`);
    expect(second.body).toMatchObject({ addresses: [{ address_id: SCANNED_MAX + 5 }] });
    expect(second.body).not.toHaveProperty('next');
  });

  it('drains an address: it is given to nobody new, and who has it keeps it', async () => {
    const { ask, send } = await serveHttp({}, samplePool(1));
    const { lease, secret } = (await ask('/allocate/7/60')).body as { lease: number; secret: string };
    expect(await send('PATCH', '/v1/addresses/1', { draining: true })).toMatchObject({
      status: 200,
      body: { address_id: 1, draining: true, healthy: true },
    });
    expect((await ask('/v1/leases')).body).toMatchObject({ leases: [{ lease }] });
    await ask(`/v1/leases/${lease}`, { method: 'DELETE', headers: { 'Leasehold-Secret': secret } });
    expect(await ask('/allocate/7/60')).toMatchObject({ status: 409, body: { why: { states: { draining: 1 } } } });
    expect((await send('PATCH', '/v1/addresses/1', { draining: false })).body).toMatchObject({ draining: false });
    expect((await ask('/allocate/7/60')).status).toBe(200);
  });
});

describe('/v1/quarantine', () => {
  it('takes a pair out for a time, revokes its lease, and leaves its other resources alone', async () => {
    const { coordinator, ask, send } = await serveHttp({}, samplePool(1, [7, 8]));
    const { client } = await WireClient.hello(coordinator.port);
    const lease = await take(client);
    const other = await take(client, { resource: 8 });
    const made = await send('POST', '/v1/quarantine', { address_id: 1, resource: 7, for_ms: 60_000 });
    expect(made).toMatchObject({ status: 201, body: { address_id: 1, resource: 7, reason: 'operator', level: 0 } });
    expect(made.body['remaining_ms']).toBeGreaterThan(0);
    expect(made.body['remaining_ms']).toBeLessThanOrEqual(60_000);
    expect(await client.push('revoked')).toMatchObject({ lease, reason: 'quarantined' });
    expect((await ask('/v1/quarantine')).body).toMatchObject({
      quarantine: [{ address_id: 1, address: '10.0.0.1:8080', resource: 7, reason: 'operator' }],
    });
    expect(await ask('/allocate/7/60')).toMatchObject({ status: 409, body: { why: { states: { quarantined: 1 } } } });
    expect((await ask('/v1/leases')).body).toMatchObject({ leases: [{ lease: other, resource: 8 }] });
    await send('POST', '/v1/quarantine', { address_id: 1, resource: 7, for_ms: 200 });
    await expect.poll(async () => (await ask('/allocate/7/60')).status, { timeout: 5_000 }).toBe(200);
    expect((await ask('/v1/quarantine')).body).toEqual({ quarantine: [] });
  });

  it('takes a whole address out until it is lifted', async () => {
    const { ask, send } = await serveHttp({}, samplePool(2, [7, 8]));
    const made = await send('POST', '/v1/quarantine', { address_id: 2 });
    expect(made.body).toEqual({ address_id: 2, address: '10.0.0.2:8080', reason: 'operator', level: 0 });
    await send('POST', '/v1/quarantine', { address_id: 2, resource: 8 });
    await send('POST', '/v1/quarantine', { address_id: 1, resource: 8 });
    const { quarantine, next } = (await ask('/v1/quarantine?after=1&limit=1')).body as {
      quarantine: Record<string, unknown>[];
      next?: number;
    };
    expect([quarantine.map(({ address_id, resource }) => [address_id, resource]), next]).toEqual([
      [
        [2, undefined],
        [2, 8],
      ],
      undefined,
    ]);
    expect((await ask('/v1/addresses?after=1')).body).toMatchObject({
      addresses: [{ address_id: 2, quarantine: { reason: 'operator', level: 0 } }],
    });
    expect(await ask('/v1/quarantine/2', { method: 'DELETE' })).toMatchObject({
      status: 200,
      body: { address_id: 2, lifted: true },
    });
    expect((await ask('/v1/quarantine/2', { method: 'DELETE' })).status).toBe(404);
    expect((await ask('/allocate/8/60')).status).toBe(409);
    expect(await ask('/v1/quarantine/2/8', { method: 'DELETE' })).toMatchObject({
      body: { resource: 8, lifted: true },
    });
    expect((await ask('/v1/quarantine/2/8', { method: 'DELETE' })).status).toBe(404);
    expect((await ask('/allocate/8/60')).body).toMatchObject({ address: '10.0.0.2:8080' });
  });

  it('shows what bans have put there, and its level', async () => {
    const env = { LEASEHOLD_RESOURCES: '{"7": {"ban_ms": 60000}}' };
    const { coordinator, ask } = await serveHttp(env, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port);
    await client.request({ type: 'release', lease: await take(client), outcome: 'banned' }, 'released');
    const { quarantine } = (await ask('/v1/quarantine')).body as { quarantine: { remaining_ms: number }[] };
    expect(quarantine).toMatchObject([{ address_id: 1, resource: 7, reason: 'banned', level: 1 }]);
    expect(quarantine[0]!.remaining_ms).toBeGreaterThan(0);
    expect(quarantine[0]!.remaining_ms).toBeLessThanOrEqual(60_000);
  });

  it('keeps grants apart where too much of a pool is in it, and says so', async () => {
    const env = { LEASEHOLD_RESOURCES: '{"7": {"slow_share": 0.5, "slow_interval_ms": 3600000}}' };
    const { ask, send } = await serveHttp(env, samplePool(5));
    for (const address_id of [1, 2, 3]) await send('POST', '/v1/quarantine', { address_id });
    expect((await ask('/allocate/7/60')).status).toBe(200);
    const slowed = await ask('/allocate/7/60');
    expect(slowed).toMatchObject({ status: 409, body: { reason: 'slowed', why: { slowed: true } } });
    expect(slowed.body['message']).toContain('quarantine');
    expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('POST /v1/explain', () => {
  it('says what a collector would be answered, and changes nothing', async () => {
    const { ask, send } = await serveHttp();
    const explain = async (fields: object = {}) =>
      (await send('POST', '/v1/explain', { resource: 7, ttl_ms: TTL_MS, ...fields })).body;
    for (let count = 0; count < 2; count += 1) {
      expect(await explain()).toMatchObject({ would: 'grant', why: { states: { free: 2 }, excluded: 0 } });
    }
    expect(await explain({ count: 2, strategy: 'random' })).toMatchObject({ would: 'grant' });
    expect(await explain({ count: 3 })).toMatchObject({ would: 'refuse' });
    const french = { where: { country: { eq: 'FR' } } };
    expect(await explain(french)).toMatchObject({ would: 'refuse', why: { excluded: 2, relax: 'country' } });
    expect(await explain({ ...french, wait_ms: 1_000 })).toMatchObject({ would: 'queue' });
    expect((await ask('/v1/leases')).body).toEqual({ leases: [] });
  });
});

describe('faulty bodies and ids', () => {
  it('are answered with a problem that names the place, and nothing has happened', async () => {
    const { ask } = await serveHttp();
    for (const [method, path, text, status, at] of [
      ['POST', '/v1/explain', '{"resource": 7', 400, undefined],
      ['POST', '/v1/explain', '', 400, undefined],
      ['POST', '/v1/explain', '{"where":'.repeat(40), 400, undefined],
      ['POST', '/v1/explain', '[]', 422, undefined],
      ['POST', '/v1/explain', '{"resource": 7}', 422, 'ttl_ms'],
      ['POST', '/v1/explain', '{"resource": 7, "ttl_ms": 1, "key": "k"}', 422, 'key'],
      [
        'POST',
        '/v1/explain',
        '{"resource": 7, "ttl_ms": 1, "where": {"country": {"in": "US"}}}',
        422,
        'where.country.in',
      ],
      [
        'POST',
        '/v1/explain',
        '{"resource": 7, "ttl_ms": 1, "where": {"labels": {"constructor": {}}}}',
        422,
        'where.labels.constructor',
      ],
      ['POST', '/v1/explain', '{"resource": 9, "ttl_ms": 1}', 404, 'resource'],
      ['PATCH', '/v1/addresses/1', '{"draining": "yes"}', 422, 'draining'],
      ['PATCH', '/v1/addresses/1', '{"draining": true, "wieght": 2}', 422, 'wieght'],
      ['PATCH', '/v1/addresses/1', '{}', 422, undefined],
      ['PATCH', '/v1/addresses/9', '{"draining": true}', 404, 'address_id'],
      ['PATCH', '/v1/addresses/one', '{"draining": true}', 422, 'address_id'],
      ['POST', '/v1/quarantine', '{}', 422, 'address_id'],
      ['POST', '/v1/quarantine', '{"address_id": 1, "for_ms": 0}', 422, 'for_ms'],
      ['POST', '/v1/quarantine', '{"address_id": 1, "for_ms": 31536000001}', 422, 'for_ms'],
      ['POST', '/v1/quarantine', '{"address_id": 9}', 404, 'address_id'],
      ['POST', '/v1/quarantine', '{"address_id": 1, "resource": 9}', 404, 'resource'],
      ['DELETE', '/v1/quarantine/1', undefined, 404, 'address_id'],
      ['DELETE', '/v1/quarantine/1/7', undefined, 404, 'address_id'],
      ['DELETE', '/v1/quarantine/9', undefined, 404, 'address_id'],
      ['DELETE', '/v1/quarantine/1/x', undefined, 422, 'resource'],
    ] as const) {
      const { status: got, body } = await ask(path, text === undefined ? { method } : { method, body: text });
      const place = { method, path, text };
      expect({ ...place, got, at: body['path'], code: body['code'] }).toEqual({
        ...place,
        got: status,
        at,
        code: status,
      });
      expect(body['message']).toEqual(expect.any(String));
    }
    expect((await ask('/v1/quarantine')).body).toEqual({ quarantine: [] });
    expect((await ask('/v1/addresses')).body).toMatchObject({ addresses: [{ draining: false }, { draining: false }] });
  });

  it('are no longer than the bound, whether or not a body says how long it is', async () => {
    const { ask, coordinator } = await serveHttp();
    const body = ' '.repeat(BODY_BYTES_MAX + 1);
    expect(await ask('/v1/explain', { method: 'POST', body })).toMatchObject({ status: 413, body: { code: 413 } });
    const status = await new Promise((resolve, reject) => {
      const { adminPort: port } = coordinator;
      const chunked = request({ host: '127.0.0.1', port, path: '/v1/explain', method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      chunked.on('error', reject);
      chunked.write(body);
      chunked.end();
    });
    expect(status).toBe(413);
    const fits = `${' '.repeat(BODY_BYTES_MAX - 40)}{"resource": 7, "ttl_ms": 1000}`;
    expect((await ask('/v1/explain', { method: 'POST', body: fits })).status).toBe(200);
  });
});
