/** Keys and limits as the world meets them: the built coordinator, over both transports and HTTP. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonCodec } from '../../protocol/codec.ts';
import { jsonLines, leasehold } from '../testing/command-line.ts';
import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from '../testing/coordinator-process.ts';
import { type UpgradeParts, WireClient } from '../testing/wire-client.ts';

const OPERATOR = 'operator-key-for-tests';
const acquire = { type: 'acquire', resource: 7, ttl_ms: 60_000 };

/** Of a coordinator's HTTP port, with a key where one is given. */
function httpOf({ adminPort }: CoordinatorProcess, ownKey?: string) {
  return async (method: string, path: string, body?: object, key = ownKey) => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      method,
      headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const parsed = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, body: parsed };
  };
}

async function serve(env: NodeJS.ProcessEnv = {}, flags: readonly string[] = []) {
  const { dir, poolFile } = await dataFolder(samplePool(20));
  const args = ['--data-dir', dir, '--pool', poolFile, '--log-level', 'debug', ...flags];
  const start = (startEnv = env) => startCoordinator(args, startEnv);
  const coordinator = await start();
  const http = httpOf(coordinator, env['LEASEHOLD_ADMIN_KEY']);
  const issue = async (client: string, body: object = {}) => {
    await http('POST', '/v1/clients', { client_id: client });
    const { status, body: issued } = await http('POST', `/v1/clients/${client}/keys`, body);
    expect(status).toBe(201);
    return issued as { key: string; key_id: string };
  };
  return { coordinator, dir, http, issue, start };
}

const KEYED = { LEASEHOLD_API_KEYS: 'true', LEASEHOLD_ADMIN_KEY: OPERATOR };

/** What the stream says of everything until an event of this name. */
async function eventsUpTo(name: string, { adminPort }: CoordinatorProcess): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/v1/events`, {
    headers: { 'Last-Event-ID': '0', Authorization: `Bearer ${OPERATOR}` },
  });
  let text = '';
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (text.includes(`event: ${name}\n`)) break;
  }
  return text;
}

function upgraded(coordinator: CoordinatorProcess, parts: UpgradeParts) {
  return WireClient.open(coordinator.port, jsonCodec, parts);
}

describe.each(['uws', 'ws'])('a key over %s', (transport) => {
  it('opens a session from each of its three places, and from nowhere a wrong one', async () => {
    const { coordinator, issue } = await serve(KEYED, ['--transport', transport]);
    const { key } = await issue('user1');
    const places: [UpgradeParts, object][] = [
      [{ headers: { Authorization: `Bearer ${key}` } }, {}],
      [{ subprotocols: [`leasehold.key.${key}`] }, {}],
      [{}, { api_key: key }],
    ];
    for (const [parts, fields] of places) {
      const client = await upgraded(coordinator, parts);
      await client.request({ type: 'hello', protocol: 1, ...fields }, 'welcome');
      await client.request(acquire, 'granted');
    }
    const foreign: UpgradeParts = { headers: { Origin: 'http://evil.example' } };
    const wrong: UpgradeParts[] = [
      { headers: { Authorization: `Bearer ${key}x` } },
      { subprotocols: [`leasehold.key.${key}x`] },
      { headers: { Authorization: `Bearer ${key}`, ...foreign.headers } },
    ];
    for (const parts of [foreign, ...wrong]) {
      await expect(upgraded(coordinator, parts)).rejects.toThrow('Unexpected server response: 403');
    }
    const said = [];
    for (const fields of [{}, { api_key: `${key}x` }]) {
      const client = await upgraded(coordinator, {});
      said.push(await client.request({ type: 'hello', protocol: 1, ...fields }, 'error'), await client.closed);
    }
    expect(said.slice(0, 2)).toEqual(said.slice(2));
    expect(said.slice(0, 2)).toMatchObject([{ code: 'unauthorized' }, { code: 4503 }]);
  });

  it('that is revoked, replaced or deleted with its client ends the sockets that came with it', async () => {
    const { coordinator, http, issue } = await serve(KEYED, ['--transport', transport]);
    const keys = [await issue('user1'), await issue('user1'), await issue('user2')];
    const clients = await Promise.all(keys.map(({ key }) => WireClient.hello(coordinator.port, { api_key: key })));
    const [first, second, third] = clients.map(({ client }) => client);
    const path = (index: number) => `/v1/clients/user1/keys/${keys[index]!.key_id}`;
    expect((await http('DELETE', path(0))).status).toBe(204);
    expect((await first!.closed).code).toBe(4503);
    await second!.request({ type: 'ping' }, 'pong');
    const rotated = await http('POST', `${path(1)}/rotate`, { overlap_ms: 300 });
    expect(rotated.status).toBe(201);
    const newKey = rotated.body['key'] as string;
    const { client: replaced } = await WireClient.hello(coordinator.port, { api_key: newKey });
    expect((await second!.closed).code).toBe(4503);
    await replaced.request({ type: 'ping' }, 'pong');
    expect((await http('DELETE', '/v1/clients/user2')).status).toBe(204);
    expect((await third!.closed).code).toBe(4503);
    await replaced.request({ type: 'ping' }, 'pong');
  });
});

describe.each(['uws', 'ws'])('sockets from one IP over %s', (transport) => {
  it('are so many at most, and the place of one that is gone is there again, however it went', async () => {
    const flags = ['--transport', transport, '--sockets-per-ip-max', '3', '--hello-timeout-ms', '300'];
    const { coordinator } = await serve({}, flags);
    const [kept] = await Promise.all([WireClient.hello(coordinator.port), WireClient.hello(coordinator.port)]);
    const tooMany = async () => {
      const client = await upgraded(coordinator, {});
      expect(await client.push('error')).toMatchObject({ code: 'too_many' });
      expect((await client.closed).code).toBe(4003);
    };
    const goes: ((client: WireClient) => Promise<unknown>)[] = [
      (client) => client.close(),
      (client) => client.terminate(),
      (client) => client.closed,
      (client) => (client.sendMessage('no frame'), client.closed),
      (client) => (client.send({ type: 'hello', protocol: 1, api_key: 'wrong' }), client.closed),
    ];
    for (const go of goes) {
      const third = await upgraded(coordinator, {});
      await tooMany();
      await go(third);
      // The coordinator hears of a reset a moment later than we do.
      await expect
        .poll(async () => {
          const next = await upgraded(coordinator, {});
          next.send({ type: 'hello', protocol: 1 });
          const { type } = await next.next(({ type: it }) => it === 'welcome' || it === 'error');
          if (type === 'welcome') await next.close();
          return type;
        })
        .toBe('welcome');
    }
    await kept.client.request({ type: 'ping' }, 'pong');
  });
});

describe('a limit', () => {
  it('of a greedy client keeps it from nothing but what is beyond it, and others from nothing', async () => {
    const { coordinator, http, issue } = await serve({ LEASEHOLD_ADMIN_KEY: OPERATOR });
    const { key } = await issue('greedy');
    await http('PATCH', '/v1/clients/greedy', { capacity: 100, rate_per_sec: 0 });
    const { client: greedy } = await WireClient.hello(coordinator.port, { api_key: key, batch: true });
    const modest = await Promise.all(Array.from({ length: 10 }, () => WireClient.hello(coordinator.port)));
    let isOver = false;
    const answers = { pong: 0, rate_limited: 0 };
    const flood = async () => {
      while (!isOver) {
        // A thousand at once, and the next as soon as the last of them is answered.
        const ids = Array.from({ length: 1_000 }, () => greedy.send({ type: 'ping' }));
        await greedy.next((frame) => 'id' in frame && frame.id === ids.at(-1));
        for (const frame of greedy.frames.splice(0)) {
          if (frame.type === 'pong') answers.pong += 1;
          else if (frame.type === 'error' && frame.code === 'rate_limited') answers.rate_limited += 1;
          else throw new Error(`unexpected ${JSON.stringify(frame)}`);
        }
      }
    };
    const work = async ({ client }: { client: WireClient }) => {
      for (let round = 0; round < 30; round += 1) {
        const { lease } = (await client.request(acquire, 'granted')) as { lease: number };
        await client.request({ type: 'release', lease }, 'released');
      }
    };
    const flooding = flood();
    await Promise.all(modest.map(work));
    isOver = true;
    await flooding;
    // All 600 requests of the others were answered as if they were alone; of its own it got what its bucket held.
    expect(answers.pong).toBe(99);
    expect(answers.rate_limited).toBeGreaterThan(600);
    await greedy.request({ type: 'release', lease: 1 }, 'error');
  });

  it('holds over HTTP and WebSocket together, by IP where there is no key, and over a restart', async () => {
    const { coordinator, http, start } = await serve();
    const ip = { client_id: '127.0.0.1', capacity: 4, rate_per_sec: 0.001 };
    expect((await http('POST', '/clients', ip)).status).toBe(201);
    const { client } = await WireClient.hello(coordinator.port);
    await client.request(acquire, 'granted');
    const allocated = await http('GET', '/allocate/7/60');
    expect(allocated.status).toBe(200);
    expect(allocated.headers.get('ratelimit-remaining')).toBe('1');
    await client.request({ type: 'ping' }, 'pong');
    const refused = await client.request({ type: 'ping' }, 'error');
    expect(refused).toMatchObject({ code: 'rate_limited', retry_after_ms: expect.any(Number) });
    const tooOften = await http('GET', '/allocate/7/60');
    expect(tooOften.status).toBe(429);
    expect(tooOften.body).toMatchObject({ code: 429, message: 'Rate limit exceeded' });
    expect(Number(tooOften.headers.get('retry-after'))).toBeGreaterThan(900);
    expect((await http('GET', '/clients/127.0.0.1')).body['tokens']).toBeLessThan(0.1);
    await coordinator.kill('SIGTERM');
    const next = await start();
    const again = httpOf(next);
    expect((await again('GET', '/clients/127.0.0.1')).body).toMatchObject({ capacity: 4, rate_per_sec: 0.001 });
    expect((await again('GET', '/clients/127.0.0.1')).body['tokens']).toBeLessThan(0.1);
    expect((await again('GET', '/allocate/7/60')).status).toBe(429);
    await expect(WireClient.hello(next.port)).rejects.toThrow('rate_limited');
  });
});

describe('clients over HTTP', () => {
  it('are served to whoever reaches the port until there is an operator’s key, and from then on to operators', async () => {
    const { coordinator, http, issue } = await serve();
    const { key: collector } = await issue('user1');
    expect((await http('GET', '/v1/clients')).status).toBe(200);
    const { key } = await issue('ops', { role: 'operator' });
    expect((await http('GET', '/v1/clients')).status).toBe(401);
    expect((await http('GET', '/v1/clients', undefined, collector)).status).toBe(403);
    expect((await http('GET', '/v1/clients', undefined, key)).body).toMatchObject({
      clients: [{ client_id: 'ops' }, { client_id: 'user1' }],
    });
    // Collectors go on without a key: only `api_keys` asks for theirs.
    await WireClient.hello(coordinator.port);
  });

  it('keep the last key of an operator, unless the configuration has one', async () => {
    const { http, issue, coordinator, start } = await serve();
    const { key, key_id } = await issue('ops', { role: 'operator' });
    for (const path of [`/v1/clients/ops/keys/${key_id}`, '/v1/clients/ops']) {
      const refused = await http('DELETE', path, undefined, key);
      expect([path, refused.status, refused.body['reason']]).toEqual([path, 409, 'last_operator_key']);
    }
    expect((await http('GET', '/v1/clients')).status).toBe(401);
    await coordinator.kill('SIGTERM');
    const keyed = httpOf(await start({ LEASEHOLD_ADMIN_KEY: OPERATOR }), OPERATOR);
    expect((await keyed('DELETE', `/v1/clients/ops/keys/${key_id}`)).status).toBe(204);
    expect((await keyed('DELETE', '/v1/clients/ops')).status).toBe(204);
  });

  it('are known by whatever their id holds, and listed page by page', async () => {
    const { http } = await serve();
    const ids = ['2001:DB8:1:2::7', 'team/a+b', 'x:y', '%', 'admin', '10.0.0.1'];
    for (const client_id of ids) {
      const made = await http('POST', '/v1/clients', { client_id, capacity: 5, rate_per_sec: 0.5 });
      expect([client_id, made.status]).toEqual([client_id, 201]);
      const shown = await http('GET', made.headers.get('location')!);
      expect([client_id, shown.status, shown.body]).toEqual([client_id, 200, made.body]);
      const own = await http('GET', `/clients/${encodeURIComponent(client_id)}`);
      expect(own.body).toEqual(made.body);
    }
    const found: unknown[] = [];
    for (let after = ''; ; ) {
      const { body } = await http('GET', `/v1/clients?limit=4&after=${encodeURIComponent(after)}`);
      found.push(...(body['clients'] as { client_id: string }[]).map(({ client_id }) => client_id));
      if (body['next'] === undefined) break;
      after = body['next'] as string;
    }
    expect(found).toEqual(['%', '10.0.0.1', '2001:db8:1:2::/64', 'admin', 'team/a+b', 'x:y']);
    expect((await http('DELETE', '/v1/clients/2001:db8:1:2::%2F64')).status).toBe(204);
    expect((await http('GET', '/v1/clients/2001:db8:1:2::%2F64')).status).toBe(404);
    const keyless = await http('POST', '/v1/clients/10.0.0.1/keys');
    expect([keyless.status, keyless.body['path']]).toEqual([422, 'client_id']);
  });

  it('are refused with the place named where a value is none', async () => {
    const { http } = await serve();
    const post = (body: object) => http('POST', '/v1/clients', { client_id: 'user1', ...body });
    for (const [body, path] of [
      [{ capacity: 0, rate_per_sec: 1 }, 'capacity'],
      [{ capacity: 1.5, rate_per_sec: 1 }, 'capacity'],
      [{ capacity: 1e10, rate_per_sec: 1 }, 'capacity'],
      [{ capacity: 1, rate_per_sec: -1 }, 'rate_per_sec'],
      [{ capacity: 1, rate_per_sec: 1e7 }, 'rate_per_sec'],
      [{ capacity: 1 }, 'rate_per_sec'],
      [{ rate_per_sec: 1 }, 'capacity'],
      [{ client_id: 'a b' }, 'client_id'],
      [{ client_id: '' }, 'client_id'],
      [{ client_id: 'x'.repeat(257) }, 'client_id'],
      [{ rate: 1 }, 'rate'],
    ] as const) {
      const refused = await post(body);
      expect([body, refused.status, refused.body['path']]).toEqual([body, 422, path]);
    }
    expect((await post({})).status).toBe(201);
    const patch = (body: object) => http('PATCH', '/v1/clients/user1', body);
    expect((await patch({ capacity: 1 })).body).toMatchObject({ code: 422, path: 'rate_per_sec' });
    expect((await patch({ capacity: 1, rate_per_sec: 0.25 })).body).toMatchObject({ tokens: 1, version: 2 });
    expect((await patch({ capacity: null })).body).toMatchObject({ capacity: null, rate_per_sec: null, tokens: null });
    expect((await patch({ capacity: '1' })).status).toBe(422);
    const rotate = await http('POST', '/v1/clients/user1/keys/x/rotate', { overlap_ms: 1e12 });
    expect([rotate.status, rotate.body['path']]).toEqual([422, 'overlap_ms']);
    expect((await http('POST', '/v1/clients/user1/keys/x/rotate')).body).toMatchObject({ reason: 'unknown_key' });
    expect((await http('POST', '/v1/clients/nobody/keys')).body).toMatchObject({ reason: 'unknown_client' });
  });
});

describe('a secret', () => {
  it('is in no log, error, answer, dump or file', async () => {
    const { coordinator, dir, http, issue } = await serve(KEYED);
    const [good, operator] = [await issue('user1'), await issue('ops', { role: 'operator' })];
    const rotated = await http('POST', `/v1/clients/user1/keys/${good.key_id}/rotate`, { overlap_ms: 60_000 });
    const wrong = good.key.replace(/.{8}$/, 'plantedX');
    const keys = [good.key, operator.key, rotated.body['key'] as string, wrong, OPERATOR, 'planted-nonsense-key'];
    const said: unknown[] = [];
    for (const key of keys) {
      const parts: UpgradeParts[] = [
        { headers: { Authorization: `Bearer ${key}` } },
        { subprotocols: [`leasehold.key.${key}`] },
        { subprotocols: [`leasehold.key.${key}`], headers: { Authorization: 'Bearer other' } },
        {},
      ];
      for (const each of parts) {
        const client = await upgraded(coordinator, each).catch((error: Error) => error.message);
        if (typeof client === 'string') {
          said.push(client);
          continue;
        }
        for (const fields of [{ protocol: 9 }, { protocol: 1, client: 'me', api_key: key }]) {
          client.send({ type: 'hello', ...fields });
        }
        said.push(await client.closed, client.frames);
        const other = await upgraded(coordinator, {});
        other.send({ type: 'hello', protocol: 1, api_key: key });
        other.send({ type: 'hello', protocol: 1, api_key: [key] });
        other.send({ type: 'bye' });
        said.push(await other.closed, other.frames);
      }
      for (const path of ['/v1/clients', '/v1/clients/user1', '/v1/clients/user1/keys', '/v1/sessions', '/nowhere']) {
        const { status, body } = await http('GET', path, undefined, key);
        said.push(status, body);
      }
    }
    await http('DELETE', `/v1/clients/ops/keys/${operator.key_id}`);
    const events = await eventsUpTo('KeyEnded', coordinator);
    expect(events).toContain(good.key_id);
    said.push(events);
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
    const dumped = await leasehold('journal', 'dump', dir);
    expect(jsonLines(dumped).map(({ event }) => event)).toContain('KeyIssued');
    const files = await Promise.all((await readdir(dir)).map((name) => readFile(join(dir, name), 'latin1')));
    const everywhere = { said: JSON.stringify(said), log: coordinator.output.join('\n'), dump: dumped.stdout };
    for (const key of keys) {
      const secret = /^lh_[0-9a-f]{16}_(.*)$/.exec(key)?.[1] ?? key;
      for (const [where, text] of Object.entries({ ...everywhere, files: files.join('\n') })) {
        expect([where, text.includes(secret)]).toEqual([where, false]);
      }
    }
    // The ids are there to be found, and no hash is shown.
    expect(everywhere.log).toContain(good.key_id);
    expect(everywhere.dump).toContain(good.key_id);
    expect(everywhere.dump + everywhere.said + everywhere.log).not.toMatch(/[0-9a-f]{64}/);
  });
});
