import { describe, expect, it } from 'vitest';
import { jsonLines, leasehold } from '../testing/command-line.ts';
import { dataFolder, startCoordinator } from '../testing/coordinator-process.ts';
import { makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { serveRedirects } from '../testing/redirect-client.ts';

const KEY = 'operator-key-for-tests';
const ISO_8601 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

describe('/config', () => {
  it('shows the active configuration, or another one by its id', async () => {
    const { ask, send } = await serveRedirects({ LEASEHOLD_CDN_HOST: 'a.example', LEASEHOLD_DISTRIBUTION_RATE: '4' });
    const { status, headers, body } = await ask('/config');
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    const times = { created_at: expect.stringMatching(ISO_8601), updated_at: body['created_at'] };
    expect(body).toEqual({ id: 1, cdn_host: 'a.example', distribution_rate: 4, ...times, version: 1 });
    const { body: other } = await send('POST', '/config', { cdn_host: 'b.example', distribution_rate: 5 });
    expect((await ask('/config')).body).toEqual(body);
    expect((await ask('/config?id=2')).body).toEqual(other);
    await send('POST', '/config/2/activate');
    expect((await ask('/config')).body).toEqual(other);
    expect((await ask('/config?id=1')).body).toEqual(body);
    expect(await ask('/config?id=3')).toMatchObject({ status: 404, body: { path: 'id', reason: 'unknown_config' } });
    for (const id of ['', '0', '-1', '1.5', 'a']) {
      expect(await ask(`/config?id=${id}`)).toMatchObject({ status: 422, body: { path: 'id' } });
    }
    expect((await ask('/config', { method: 'DELETE' })).headers.get('allow')).toBe('GET, PATCH, POST');
  });

  it('changes what a patch names, and leaves what is absent or null', async () => {
    const { ask, send } = await serveRedirects();
    const { body: first } = await ask('/config');
    const { created_at } = first;
    const patch = async (body: object) => (await send('PATCH', '/config', { id: 1, ...body })).body;
    const hosted = { ...first, cdn_host: 'b.example:8080', updated_at: expect.stringMatching(ISO_8601), version: 2 };
    expect(await patch({ cdn_host: 'b.example:8080', distribution_rate: null })).toEqual(hosted);
    const rated = { ...hosted, distribution_rate: Number.MAX_SAFE_INTEGER, version: 3 };
    expect(await patch({ cdn_host: null, distribution_rate: Number.MAX_SAFE_INTEGER, version: null })).toEqual(rated);
    const both = { ...rated, cdn_host: '[::1]', distribution_rate: 1, version: 4 };
    expect(await patch({ cdn_host: '[::1]', distribution_rate: 1, version: 3 })).toEqual(both);
    expect((await ask('/config')).body).toEqual(both);
    expect(both).toMatchObject({ created_at });
  });

  it('refuses a patch that is none, and says where', async () => {
    const { ask, send } = await serveRedirects();
    const before = (await ask('/config')).body;
    const patch = (body: unknown) => send('PATCH', '/config', body);
    const rate = { distribution_rate: 5 };
    for (const body of [{ id: 1 }, { id: 1, cdn_host: null }, { id: 1, cdn_host: null, distribution_rate: null }]) {
      const { status, body: problem } = await patch(body);
      expect([status, problem['message']]).toEqual([422, 'expected cdn_host or distribution_rate, or both']);
    }
    for (const [body, path] of [
      [rate, 'id'],
      [{ id: null, ...rate }, 'id'],
      [{ id: '1', ...rate }, 'id'],
      [{ id: 0, ...rate }, 'id'],
      [{ id: 1, distribution_rate: 0 }, 'distribution_rate'],
      [{ id: 1, distribution_rate: 1.5 }, 'distribution_rate'],
      [{ id: 1, distribution_rate: '5' }, 'distribution_rate'],
      [{ id: 1, distribution_rate: 2 ** 53 }, 'distribution_rate'],
      [{ id: 1, cdn_host: '' }, 'cdn_host'],
      [{ id: 1, cdn_host: 5 }, 'cdn_host'],
      [{ id: 1, cdn_host: 'http://cdn.example' }, 'cdn_host'],
      [{ id: 1, cdn_host: 'cdn.example/path' }, 'cdn_host'],
      [{ id: 1, cdn_host: 'cdn.example\r\nSet-Cookie: a' }, 'cdn_host'],
      [{ id: 1, ...rate, version: 0 }, 'version'],
      [{ id: 1, ...rate, created_at: '2020-01-01T00:00:00Z' }, 'created_at'],
    ] as const) {
      expect([body, await patch(body)]).toMatchObject([body, { status: 422, body: { path } }]);
    }
    expect(await patch({ id: 2, ...rate, version: 7 })).toMatchObject({ status: 404, body: { path: 'id' } });
    expect((await ask('/config')).body).toEqual(before);
  });

  it('refuses a patch whose version is stale, and says which is current', async () => {
    const { send } = await serveRedirects();
    const patch = (body: object) => send('PATCH', '/config', { id: 1, ...body });
    expect((await patch({ distribution_rate: 5, version: 1 })).status).toBe(200);
    const stale = await patch({ distribution_rate: 6, version: 1 });
    expect(stale).toMatchObject({ status: 409, body: { path: 'version', version: 2, reason: 'stale_version' } });
    expect(await patch({ distribution_rate: 6, version: 2 })).toMatchObject({ status: 200, body: { version: 3 } });
    // Of many at once that saw the same version, one is followed by nobody who hasn't seen it.
    const racing = await Promise.all([7, 8, 9, 10].map((rate) => patch({ distribution_rate: rate, version: 3 })));
    expect(racing.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(racing.filter(({ status }) => status === 409)).toHaveLength(3);
    const blind = await Promise.all([11, 12, 13, 14].map((rate) => patch({ distribution_rate: rate })));
    expect(new Set(blind.map(({ body }) => body['version']))).toEqual(new Set([5, 6, 7, 8]));
  });

  it('goes back to an earlier version by a new one', async () => {
    const { ask, send } = await serveRedirects();
    const { body: first } = await ask('/config');
    await send('PATCH', '/config', { id: 1, cdn_host: 'b.example', distribution_rate: 2 });
    const rolledBack = await send('POST', '/config/1/rollback', { version: 1 });
    const updated_at = expect.stringMatching(ISO_8601) as string;
    expect(rolledBack).toMatchObject({ status: 200, body: { ...first, version: 3, updated_at } });
    expect((await ask('/config/1/history')).body).toEqual({
      id: 1,
      versions: [
        { version: 1, cdn_host: 'cdn.example.com', distribution_rate: 10, updated_at: first['created_at'] },
        { version: 2, cdn_host: 'b.example', distribution_rate: 2, updated_at },
        { version: 3, cdn_host: 'cdn.example.com', distribution_rate: 10, updated_at, rolled_back_to: 1 },
      ],
    });
    const unknown = { status: 404, body: { reason: 'unknown_version', path: 'version' } };
    expect(await send('POST', '/config/1/rollback', { version: 9 })).toMatchObject(unknown);
    for (const [method, path] of [
      ['POST', '/config/2/rollback'],
      ['POST', '/config/2/activate'],
      ['GET', '/config/2/history'],
    ] as const) {
      expect(
        await send(method, path, method === 'GET' || path.endsWith('activate') ? undefined : { version: 1 }),
      ).toMatchObject({ status: 404, body: { path: 'id' } });
    }
  });

  it('is for operators once there is a key, and for no foreign page or name', async () => {
    const { ask, send } = await serveRedirects({ LEASEHOLD_ADMIN_KEY: KEY });
    const patch = { id: 1, distribution_rate: 5 };
    for (const key of [undefined, 'wrong']) {
      expect((await send('GET', '/config', undefined, key)).status).toBe(401);
      expect((await send('PATCH', '/config', patch, key)).status).toBe(401);
      expect((await send('POST', '/config/1/activate', undefined, key)).status).toBe(401);
    }
    expect((await send('PATCH', '/config', patch, KEY)).status).toBe(200);
    const authorized = { Authorization: `Bearer ${KEY}` };
    const foreign = { headers: { ...authorized, Origin: 'https://page.example' } };
    expect((await ask('/config', foreign)).status).toBe(403);

    const open = await serveRedirects();
    for (const headers of [{ Origin: 'https://page.example' }, { 'Sec-Fetch-Site': 'cross-site' }]) {
      expect((await open.ask('/config', { headers })).status).toBe(403);
    }
    expect((await open.ask('/config')).status).toBe(200);
  });

  it('is the same on the port of the HTTP API, and nowhere where redirects are off', async () => {
    const { coordinator, ask } = await serveRedirects();
    const onAdminPort = await fetch(`http://127.0.0.1:${coordinator.adminPort}/config`);
    expect(await onAdminPort.json()).toEqual((await ask('/config')).body);
    const off = await startCoordinator(['--data-dir', (await dataFolder()).dir]);
    expect((await fetch(`http://127.0.0.1:${off.adminPort}/config`)).status).toBe(404);
  });
});

describe('configurations after a crash', () => {
  it.each(['the journal', 'a snapshot'])('are as they were acknowledged, by %s', async (by) => {
    const { dir } = await dataFolder();
    const flags = by === 'a snapshot' ? ['--snapshot-age-ms', '1000'] : [];
    const served = await serveRedirects({}, { dir, flags });
    const { coordinator, ask, send } = served;
    await send('PATCH', '/config', { id: 1, cdn_host: 'b.example', distribution_rate: 3 });
    await send('POST', '/config', { cdn_host: 'c.example', distribution_rate: 4 });
    await send('POST', '/config/1/rollback', { version: 1 });
    await send('PATCH', '/config', { id: 2, distribution_rate: 2 });
    await send('POST', '/config/2/activate');
    const shown = async (askIt: typeof ask) => [
      (await askIt('/config')).body,
      (await askIt('/configs')).body,
      (await askIt('/config/1/history')).body,
      (await askIt('/config/2/history')).body,
    ];
    const before = await shown(ask);
    expect(before[0]).toMatchObject({ id: 2, distribution_rate: 2, version: 2 });
    if (flags.length > 0) {
      await expect.poll(() => coordinator.output.join('\n'), { timeout: 10_000 }).toContain('"snapshot made"');
    }
    await coordinator.kill('SIGKILL');
    // What is stored comes before the settings; who doesn't redirect keeps it all the same.
    const off = await startCoordinator(['--data-dir', dir]);
    await off.kill('SIGKILL');
    const again = await serveRedirects({ LEASEHOLD_CDN_HOST: 'z.example' }, { dir });
    expect(await shown(again.ask)).toEqual(before);
    const { location } = await again.video('http://s1.origin.example/a');
    expect(location).toBe('http://c.example/s1/a');
    expect((await again.send('POST', '/config/1/rollback', { version: 2 })).body).toMatchObject({
      cdn_host: 'b.example',
      version: 4,
    });
    expect((await again.coordinator.kill('SIGTERM')).code).toBe(0);

    const { code, stdout } = await leasehold('journal', 'verify', dir);
    expect([code, stdout]).toEqual([0, expect.stringContaining('no faults')]);
    const dumped = jsonLines(await leasehold('journal', 'dump', dir, ...(flags.length > 0 ? ['--snapshot'] : [])));
    const ofRedirects = dumped.filter(({ domain }) => domain === 'redirects');
    const rule = { cdn_host: 'b.example', distribution_rate: 3 };
    expect(ofRedirects).toContainEqual(
      expect.objectContaining({
        ...(flags.length > 0 ? { record: 'version' } : { event: 'RedirectChanged' }),
        fields: { id: 1, version: 2, ...rule, utc_ms: expect.any(Number) },
      }),
    );
    expect((await leasehold('journal', 'at', dir, '-0s')).code).toBe(0);
  });
});

describe('a data folder from before there were redirects', () => {
  it('is served, configured, and sound', async () => {
    const { dir } = await makeGenerations(await temporaryFolder(), { stop: true });
    const { coordinator, send } = await serveRedirects({}, { dir });
    expect((await send('PATCH', '/config', { id: 1, distribution_rate: 5 })).body).toMatchObject({ version: 2 });
    await coordinator.kill('SIGKILL');
    const again = await serveRedirects({}, { dir });
    expect((await again.ask('/config')).body).toMatchObject({ distribution_rate: 5, version: 2 });
    expect((await again.coordinator.kill('SIGTERM')).code).toBe(0);
    expect((await leasehold('journal', 'verify', dir)).code).toBe(0);
  });
});
