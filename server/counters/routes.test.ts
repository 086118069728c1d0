import { describe, expect, it } from 'vitest';
import { samplePool } from '../testing/coordinator-process.ts';
import { serveHttp } from '../testing/http-client.ts';
import { WireClient } from '../testing/wire-client.ts';

const KEY = 'operator-key-for-tests';

async function serve(env: NodeJS.ProcessEnv = {}) {
  const served = await serveHttp(env, samplePool(1));
  const pathOf = (counter: string) => `/v1/counters/${encodeURIComponent(counter)}`;
  const { adminPort } = served.coordinator;
  return {
    ...served,
    add: (counter: string, by: unknown) => served.send('POST', pathOf(counter), { by }),
    get: (counter: string) => served.ask(pathOf(counter)),
    /** Its answer has no body. */
    remove: (counter: string) => fetch(`http://127.0.0.1:${adminPort}${pathOf(counter)}`, { method: 'DELETE' }),
  };
}

describe('/v1/counters/{counter}', () => {
  it('counts, shows and deletes, and a collector sees the same', async () => {
    const { coordinator, add, get, remove } = await serve();
    expect(await get('pages')).toMatchObject({ status: 404, body: { reason: 'unknown_counter', path: 'counter' } });
    expect(await add('pages', 5)).toMatchObject({ status: 200, body: { counter: 'pages', value: 5 } });
    const { client } = await WireClient.hello(coordinator.port);
    expect(await client.request({ type: 'count', counter: 'pages', by: -7 }, 'counted')).toMatchObject({ value: -2 });
    const { status, headers, body } = await get('pages');
    expect([status, headers.get('cache-control'), body]).toEqual([200, 'no-store', { counter: 'pages', value: -2 }]);
    expect((await remove('pages')).status).toBe(204);
    expect((await remove('pages')).status).toBe(404);
    expect((await get('pages')).status).toBe(404);
  });

  it('counts a hundred requests at once as exactly a hundred', async () => {
    const { add } = await serve();
    const answers = await Promise.all(Array.from({ length: 100 }, () => add('pages', 1)));
    const values = answers.map(({ body }) => body['value'] as number).toSorted((one, other) => one - other);
    expect(values).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('takes any name', async () => {
    const { add, get, ask } = await serve();
    const names = ['12', '%41', '50%', '__proto__', 'a/b c', 'x'.repeat(256), 'ä?#&=+'];
    for (const name of names) {
      expect((await add(name, 3)).body).toEqual({ counter: name, value: 3 });
      expect((await get(name)).body).toEqual({ counter: name, value: 3 });
    }
    const counters = names.toSorted().map((counter) => ({ counter, value: 3 }));
    expect((await ask('/v1/counters')).body).toEqual({ counters });
  });

  it('refuses what is no addition, and says where', async () => {
    const { add, get, send } = await serve();
    for (const by of [1.5, '1', null, 2 ** 53, undefined]) {
      expect(await add('pages', by)).toMatchObject({ status: 422, body: { path: 'by' } });
    }
    expect(await send('POST', '/v1/counters/pages', { by: 1, to: 2 })).toMatchObject({
      status: 422,
      body: { path: 'to' },
    });
    expect(await add('x'.repeat(257), 1)).toMatchObject({ status: 422, body: { path: 'counter' } });
    expect((await get('pages')).status).toBe(404);
    await add('pages', Number.MAX_SAFE_INTEGER);
    expect(await add('pages', 1)).toMatchObject({ status: 422, body: { reason: 'bad_field', path: 'by' } });
    expect((await get('pages')).body['value']).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('takes a key of an authenticated client, and of nobody else', async () => {
    const { ask } = await serve({ LEASEHOLD_ADMIN_KEY: KEY });
    const add = (by: number, key: string, authorization: string | undefined = `Bearer ${KEY}`) =>
      ask('/v1/counters/pages', {
        method: 'POST',
        body: JSON.stringify({ by }),
        headers: { 'Idempotency-Key': key, ...(authorization === undefined ? {} : { Authorization: authorization }) },
      });
    expect((await add(2, 'k')).body).toEqual({ counter: 'pages', value: 2 });
    expect((await add(3, 'l')).body).toEqual({ counter: 'pages', value: 5 });
    expect((await add(2, 'k')).body).toEqual({ counter: 'pages', value: 2 });
    expect(await add(4, 'k')).toMatchObject({ status: 422, body: { reason: 'key_reused', path: 'key' } });

    const open = await serve();
    const keyed = { method: 'POST', body: '{"by":1}', headers: { 'Idempotency-Key': 'k' } };
    const refused = await open.ask('/v1/counters/pages', keyed);
    expect(refused).toMatchObject({ status: 422, body: { path: 'Idempotency-Key' } });
    expect((await open.get('pages')).status).toBe(404);
  });
});

describe('/v1/counters', () => {
  it('lists by name, page by page', async () => {
    const { add, ask } = await serve();
    expect((await ask('/v1/counters')).body).toEqual({ counters: [] });
    for (const name of ['b', 'a', 'c']) await add(name, 1);
    const first = await ask('/v1/counters?limit=2');
    expect(first.body).toEqual({
      counters: [
        { counter: 'a', value: 1 },
        { counter: 'b', value: 1 },
      ],
      next: 'b',
    });
    expect((await ask('/v1/counters?limit=2&after=b')).body).toEqual({ counters: [{ counter: 'c', value: 1 }] });
    expect((await ask('/v1/counters?limit=3')).body).not.toHaveProperty('next');
    expect(await ask('/v1/counters?limit=0')).toMatchObject({ status: 422, body: { path: 'limit' } });
  });
});
