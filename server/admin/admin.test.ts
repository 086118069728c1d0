import { request } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_METRICS } from '../metrics/metrics.ts';
import { dataFolder, runCoordinator } from '../testing/coordinator-process.ts';
import { serveHttp } from '../testing/http-client.ts';
import { WireClient } from '../testing/wire-client.ts';
import { openAdmin } from './admin-server.ts';

/** Of a GET with headers that fetch would not send. */
function statusOf(port: number, headers: Record<string, string>, path = '/allocate/7/60'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('the admin port', () => {
  it('allocates the record at the top level, by GET and POST, with a TTL in seconds and a country', async () => {
    const { ask } = await serveHttp();
    const first = await ask('/allocate/7/60/de');
    expect(first.status).toBe(200);
    expect(first.headers.get('cache-control')).toBe('no-store');
    expect(first.body).toMatchObject({ address: '10.0.0.2:8080', country: 'DE', resource_ids: [7], ttl_ms: 60_000 });
    const second = await ask('/allocate/7/0.5', { method: 'POST' });
    expect(second.body).toMatchObject({ address: '10.0.0.1:8080', ttl_ms: 500 });
    expect(second.body['lease']).toBeGreaterThan(first.body['lease'] as number);
    const none = await ask('/allocate/7/60');
    expect(none.status).toBe(409);
    expect(none.headers.get('content-type')).toContain('application/problem+json');
    expect(Number(none.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(none.body).toMatchObject({ code: 409, reason: 'none_available', why: { states: { leased: 2 } } });
    // The lease of half a second runs out by itself.
    await expect.poll(async () => (await ask('/allocate/7/60')).status, { timeout: 5_000 }).toBe(200);
  });

  it('answers what it cannot take with a problem that names the place', async () => {
    const { ask } = await serveHttp();
    for (const [path, status, at] of [
      ['/allocate/9/60', 404, 'resource'],
      ['/allocate/seven/60', 422, 'resource'],
      ['/allocate/7/0', 422, 'ttl'],
      ['/allocate/7/-3', 422, 'ttl'],
      ['/v1/leases?limit=0', 422, 'limit'],
      ['/v1/leases?resource=x', 422, 'resource'],
      ['/nowhere', 404, undefined],
    ] as const) {
      const { status: got, body } = await ask(path);
      expect({ path, got, at: body['path'], code: body['code'] }).toEqual({ path, got: status, at, code: status });
      expect(body['message']).toEqual(expect.any(String));
    }
  });

  it('releases a lease for whoever knows its secret, once more alike, and for nobody else', async () => {
    const { ask } = await serveHttp();
    const { body } = await ask('/allocate/7/60');
    const { lease, secret } = body as { lease: number; secret: string };
    const drop = (value: string) =>
      ask(`/v1/leases/${lease}`, { method: 'DELETE', headers: { 'Leasehold-Secret': value } });
    expect((await drop('guessed')).status).toBe(404);
    expect(await drop(secret)).toMatchObject({ status: 200, body: { lease, end: 'released' } });
    expect(await drop(secret)).toMatchObject({ status: 200, body: { lease, end: 'released' } });
    expect((await ask('/v1/leases')).body).toEqual({ leases: [] });
  });

  it('lists leases page by page with masked addresses, and revokes one, which its collector is told', async () => {
    const pool = [
      { address: 'http://user:hunter2@10.0.0.1:80', country: 'US', rpw: 0, resource_ids: [7, 8] },
      { address: '10.0.0.2:80', country: 'US', rpw: 0, resource_ids: [7] },
    ];
    const { coordinator, ask } = await serveHttp({}, pool);
    const { client, welcome } = await WireClient.hello(coordinator.port);
    const leases: number[] = [];
    for (const resource of [8, 7, 7]) {
      leases.push(
        ((await client.request({ type: 'acquire', resource, ttl_ms: 60_000 }, 'granted')) as { lease: number }).lease,
      );
    }
    const page = await ask('/v1/leases?limit=2');
    expect(page.body).toMatchObject({ leases: [{ lease: leases[0] }, { lease: leases[1] }], next: leases[1] });
    expect((await ask(`/v1/leases?limit=2&after=${leases[1]}`)).body).toMatchObject({ leases: [{ lease: leases[2] }] });
    const eight = (await ask('/v1/leases?resource=8')).body as { leases: object[] };
    expect(eight.leases).toMatchObject([
      { resource: 8, address: 'http://***@10.0.0.1:80', holder: { kind: 'session', session: welcome.session } },
    ]);
    expect(JSON.stringify([page.body, eight]) + coordinator.output.join()).not.toContain('hunter2');

    expect(await ask(`/v1/leases/${leases[0]}`, { method: 'DELETE' })).toMatchObject({ body: { end: 'revoked' } });
    expect(await client.push('revoked')).toEqual({ type: 'revoked', lease: leases[0], reason: 'operator' });
    expect((await ask(`/v1/leases/${leases[0]}`, { method: 'DELETE' })).status).toBe(404);
    await client.request({ type: 'acquire', resource: 8, ttl_ms: 60_000 }, 'granted');
  });

  it('asks for the operator key where there is one, and needs one to listen beyond loopback', async () => {
    const { ask, coordinator } = await serveHttp({ LEASEHOLD_ADMIN_KEY: 'planted-key-1' });
    expect((await ask('/healthz')).status).toBe(200);
    const refused = await ask('/allocate/7/60');
    expect(refused).toMatchObject({ status: 401, body: { code: 401 } });
    const wrong = await ask('/v1/leases', { headers: { Authorization: 'Bearer planted-key-2' } });
    expect(wrong.body).toEqual(refused.body);
    expect((await ask('/v1/leases', { headers: { Authorization: 'Bearer planted-key-1' } })).status).toBe(200);
    expect(coordinator.output.join()).not.toContain('planted-key');

    const { dir } = await dataFolder();
    const { code, output } = await runCoordinator(['--data-dir', dir, '--admin-host', '0.0.0.0']).exited;
    expect(code).toBe(64);
    expect(output.join('\n')).toContain('LEASEHOLD_ADMIN_KEY');
  });

  it('serves no HEAD where a GET would lease', async () => {
    const { ask, coordinator } = await serveHttp();
    const head = await fetch(`http://127.0.0.1:${coordinator.adminPort}/allocate/7/60`, { method: 'HEAD' });
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET, POST']);
    expect((await ask('/allocate/7/60', { method: 'PUT' })).body).toMatchObject({ code: 405 });
    expect((await ask('/v1/leases')).body).toEqual({ leases: [] });
  });

  it('refuses pages of another origin, and host names that were made to point here', async () => {
    const { ask, coordinator } = await serveHttp();
    expect((await ask('/v1/leases', { headers: { Origin: 'http://evil.example' } })).status).toBe(403);
    // What an image of a page asks with: no Origin, and the browser's word that another site is behind it.
    const image = await statusOf(coordinator.adminPort, { 'Sec-Fetch-Site': 'cross-site' });
    expect(image).toBe(403);
    expect(await statusOf(coordinator.adminPort, { 'Sec-Fetch-Site': 'none' })).toBe(200);
    expect(await statusOf(coordinator.adminPort, { Host: 'evil.example' })).toBe(403);
  });

  it('says that it is starting by any host name, too', async () => {
    const { port, close } = await openAdmin({
      host: '127.0.0.1',
      port: 0,
      early: [],
      clock: { nowMs: () => 0, utcMs: () => 0 },
      tls: undefined,
      connections: { connectionsMax: 100, connectionsPerIpMax: 100, peerOf: (ip) => ip },
      metrics: NO_METRICS,
      log: { debug: () => {}, info: () => {}, error: () => {} },
    });
    onTestFinished(close);
    expect(await statusOf(port, { Host: 'leasehold.example' })).toBe(503);
    expect(await statusOf(port, { 'Sec-Fetch-Site': 'cross-site' })).toBe(403);
  });

  it('says by any host name whether it lives and serves, but not to pages of another origin', async () => {
    const { coordinator } = await serveHttp();
    for (const path of ['/healthz', '/readyz']) {
      expect(await statusOf(coordinator.adminPort, { Host: 'leasehold.example' }, path)).toBe(200);
      expect(await statusOf(coordinator.adminPort, { 'Sec-Fetch-Site': 'cross-site' }, path)).toBe(403);
    }
  });
});
