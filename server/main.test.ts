import { readdir, writeFile } from 'node:fs/promises';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { jsonCodec } from '../protocol/codec.ts';
import { dataFolder, runCoordinator, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const TTL_MS = 60_000;
const acquire = (fields: object = {}) => ({ type: 'acquire', resource: 7, ttl_ms: TTL_MS, ...fields });

async function serve(transport: string, pool: readonly unknown[], flags: readonly string[] = []) {
  const { dir, poolFile } = await dataFolder(pool);
  const args = ['--data-dir', dir, '--pool', poolFile, '--transport', transport, ...flags];
  const start = (more: readonly string[] = []) => startCoordinator([...args, ...more]);
  return { coordinator: await start(), restart: start, dir, poolFile, args };
}

describe.each(['uws', 'ws'])('the coordinator over %s', (transport) => {
  it('grants the whole record, refuses a second lease of the pair, and grants again after the release', async () => {
    const pool = [
      { address: '10.0.0.1:8080', country: 'US', rpw: 12, resourse_ids: [7], labels: { site: 'a' }, note: 'n' },
    ];
    const { coordinator } = await serve(transport, pool);
    expect(coordinator.output.join('\n')).toContain(`"transport":"${transport}"`);
    const { client, welcome } = await WireClient.hello(coordinator.port, { client: 'test' });
    expect(welcome).toMatchObject({ resumed: false, leases: [], ended: [], waiting: [], epoch: 1 });

    const granted = await client.request(acquire(), 'granted');
    expect(granted).toMatchObject({
      resource: 7,
      ttl_ms: TTL_MS,
      address: {
        address: '10.0.0.1:8080',
        country: 'US',
        rpw: 13,
        resource_ids: [7],
        labels: { site: 'a' },
        note: 'n',
      },
    });
    const refused = await client.request(acquire(), 'refused');
    expect(refused).toMatchObject({ reason: 'none_available', why: { states: { leased: 1 }, excluded: 0 } });
    expect(refused.retry_after_ms).toBeGreaterThan(0);

    const { lease } = granted as { lease: number };
    await client.request({ type: 'release', lease }, 'released');
    await client.request({ type: 'release', lease }, 'released');
    const again = await client.request(acquire(), 'granted');
    expect((again as { lease: number }).lease).toBeGreaterThan(lease);
  });

  it('pushes expiring and expired on time, and renews', async () => {
    const { coordinator } = await serve(transport, samplePool(2));
    const { client } = await WireClient.hello(coordinator.port, { notice_ms: 400 });
    const short = (await client.request(acquire({ ttl_ms: 700 }), 'granted')) as { lease: number };
    const expiring = await client.push('expiring');
    expect(expiring.lease).toBe(short.lease);
    expect(expiring.remaining_ms).toBeLessThanOrEqual(400);
    const renewed = await client.request({ type: 'renew', lease: short.lease, ttl_ms: 800 }, 'renewed');
    expect(renewed).toMatchObject({ lease: short.lease, ttl_ms: 800 });
    await client.push('expiring');
    expect(await client.push('expired')).toEqual({ type: 'expired', lease: short.lease });
    const late = await client.request({ type: 'renew', lease: short.lease }, 'error');
    expect(late).toMatchObject({ code: 'lease_lost', path: 'lease' });
    await client.request({ type: 'report', lease: short.lease, outcome: 'banned', requests: 3 }, 'reported');
  });

  it('releases the leases of a session whose socket drops', async () => {
    const { coordinator } = await serve(transport, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port);
    const { client: other } = await WireClient.hello(coordinator.port);
    await client.request(acquire(), 'granted');
    await other.request(acquire(), 'refused');
    await client.terminate();
    await expect
      .poll(async () => {
        other.send(acquire());
        return (await other.next(({ type }) => type === 'granted' || type === 'refused')).type;
      })
      .toBe('granted');
  });

  it('keeps the leases of a dropped session for its resume window, and only the secret brings them back', async () => {
    const { coordinator } = await serve(transport, samplePool(1));
    const { client, welcome } = await WireClient.hello(coordinator.port, { resume_window_ms: 30_000 });
    const granted = (await client.request(acquire(), 'granted')) as { lease: number };
    await client.terminate();
    const { session, secret } = welcome;
    const { client: thief, welcome: wrong } = await WireClient.hello(coordinator.port, {
      resume: { session, secret: 'guessed' },
    });
    expect(wrong).toMatchObject({ resumed: false, leases: [] });
    await thief.request(acquire(), 'refused');
    const { client: back, welcome: right } = await WireClient.hello(coordinator.port, { resume: { session, secret } });
    expect(right).toMatchObject({ resumed: true, session, secret, leases: [{ lease: granted.lease, request: 2 }] });
    expect(right.leases[0]!.ttl_ms).toBeLessThan(TTL_MS);

    const { welcome: newer } = await WireClient.hello(coordinator.port, { resume: { session, secret } });
    expect(newer).toMatchObject({ resumed: true, leases: [{ lease: granted.lease }] });
    expect(await back.closed).toMatchObject({ code: 4504 });
  });

  it('gives exactly ten of a hundred clients that ask at once one of ten addresses', async () => {
    const { coordinator } = await serve(transport, samplePool(10));
    const sessions = await Promise.all(Array.from({ length: 100 }, () => WireClient.hello(coordinator.port)));
    const answers = await Promise.all(
      sessions.map(({ client }) => {
        const id = client.send(acquire());
        return client.next((frame) => 'id' in frame && frame.id === id);
      }),
    );
    const granted = answers.filter(({ type }) => type === 'granted');
    expect(granted).toHaveLength(10);
    expect(new Set(granted.map((grant) => (grant as { address: { address: string } }).address.address)).size).toBe(10);
    expect(answers.filter(({ type }) => type === 'refused')).toHaveLength(90);
  });

  it('selects by country without case, by rpw and by resource_ids, round robin over what fits', async () => {
    const pool = samplePool(6, [7, 8], ['US', 'de']);
    const { coordinator } = await serve(transport, pool);
    const { client } = await WireClient.hello(coordinator.port);
    const take = async (where: object) => {
      const grant = (await client.request(acquire({ where }), 'granted')) as {
        lease: number;
        address: { address: string };
      };
      await client.request({ type: 'release', lease: grant.lease, requests: 0 }, 'released');
      return grant.address.address;
    };
    const german = { country: { eq: 'DE' }, resource_ids: { has: 8 } };
    const seen = [await take(german), await take(german), await take(german), await take(german)];
    expect(new Set(seen.slice(0, 3)).size).toBe(3);
    expect(seen[3]).toBe(seen[0]);
    expect(await take({ rpw: { between: [5, 5] } })).toBe(pool[5]!.address);
    const refused = await client.request(acquire({ where: { country: { in: ['FR'] } } }), 'refused');
    expect(refused.why).toMatchObject({ excluded: 6, states: { free: 0 } });
  });

  it('answers bad input with an error that names the place, and the session goes on', async () => {
    const { coordinator } = await serve(transport, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port);
    const faults: [frame: Record<string, unknown>, code: string, path: string][] = [
      [{ type: 'acquire', ttl_ms: 1_000 }, 'bad_field', 'resource'],
      [{ type: 'acquire', resource: 'seven', ttl_ms: 1_000 }, 'bad_field', 'resource'],
      [acquire({ ttl_ms: 0 }), 'bad_field', 'ttl_ms'],
      [acquire({ ttl_ms: -1 }), 'bad_field', 'ttl_ms'],
      [acquire({ ttl_ms: 1.5 }), 'bad_field', 'ttl_ms'],
      [acquire({ resource: 9 }), 'unknown_resource', 'resource'],
      [acquire({ resource: 0 }), 'bad_field', 'resource'],
      [acquire({ were: {} }), 'bad_field', 'were'],
      [acquire({ where: { and: [{ rpw: { lt: 'many' } }] } }), 'bad_field', 'where.and[0].rpw.lt'],
      [acquire({ strategy: 'best' }), 'bad_field', 'strategy'],
      [acquire({ wait_ms: -1 }), 'bad_field', 'wait_ms'],
      [{ type: 'count', counter: 'pages', by: 0.5 }, 'bad_field', 'by'],
      [{ type: 'count', counter: '', by: 1 }, 'bad_field', 'counter'],
      [{ type: 'steal' }, 'unknown_type', 'type'],
      [{ type: 'renew' }, 'bad_field', 'lease'],
      [{ type: 'release', lease: 12 }, 'unknown_lease', 'lease'],
      [{ type: 'hello', protocol: 1 }, 'bad_frame', ''],
      [{ type: 'report', lease: 12, outcome: 'splendid' }, 'bad_field', 'outcome'],
      [acquire({ where: { country: { eq: 'x'.repeat(70_000) } } }), 'bad_frame', ''],
    ];
    for (const [frame, code, path] of faults) {
      const error = await client.request(frame, 'error');
      expect({ frame: frame['type'], code: error.code, path: error.path ?? '' }).toEqual({
        frame: frame['type'],
        code,
        path,
      });
      expect(error.message.length).toBeGreaterThan(5);
    }
    await client.request(acquire(), 'granted');
  });

  it('closes a socket whose bytes are no frame, whoever skips hello, and whoever sends nothing but faults', async () => {
    const { coordinator } = await serve(transport, samplePool(1));
    for (const message of [
      'text garbage',
      Buffer.from([0xc1, 1, 2]),
      Buffer.from([0xc7, 0x01, 0x05, 0x00]),
      Buffer.from([42]),
      Buffer.from([0xc4, 0]),
    ]) {
      const { client } = await WireClient.hello(coordinator.port);
      client.sendMessage(message);
      expect(await client.push('error')).toMatchObject({ code: 'bad_frame' });
      expect(await client.closed).toMatchObject({ code: 4500 });
    }
    const early = await WireClient.open(coordinator.port);
    early.send(acquire());
    expect(await early.push('error')).toMatchObject({ code: 'bad_frame', id: 1 });
    expect(await early.closed).toMatchObject({ code: 4501 });
    const old = await WireClient.open(coordinator.port);
    old.send({ type: 'hello', protocol: 2 });
    expect(await old.push('error')).toMatchObject({ code: 'unsupported_protocol', path: 'protocol' });
    expect(await old.closed).toMatchObject({ code: 4502 });
    const { client: stubborn } = await WireClient.hello(coordinator.port);
    for (let count = 0; count < 64; count += 1) stubborn.send({ type: 'nonsense' });
    expect(await stubborn.closed).toMatchObject({ code: 4505 });
    const { client: big } = await WireClient.hello(coordinator.port);
    big.sendMessage(Buffer.alloc(3_000_000));
    expect([1006, 1009]).toContain((await big.closed).code);

    const { client } = await WireClient.hello(coordinator.port);
    await client.request(acquire(), 'granted');
  });

  it('takes arrays of frames from a batch session and answers in arrays', async () => {
    const { coordinator } = await serve(transport, samplePool(3));
    const { client } = await WireClient.hello(coordinator.port, { batch: true });
    client.sendMessage(
      new Packr({ useRecords: false }).pack([
        { type: 'acquire', id: 10, resource: 7, ttl_ms: 1_000 },
        { type: 'acquire', id: 11, resource: 99, ttl_ms: 1_000 },
        { type: 'ping', id: 12 },
      ]),
    );
    expect(await client.next((frame) => 'id' in frame && frame.id === 12)).toMatchObject({ type: 'pong' });
    expect(client.frames).toMatchObject([
      { type: 'granted', id: 10 },
      { type: 'error', id: 11 },
    ]);
    const { client: plain } = await WireClient.hello(coordinator.port);
    plain.sendMessage(new Packr({ useRecords: false }).pack([{ type: 'ping', id: 1 }]));
    expect(await plain.push('error')).toMatchObject({ code: 'bad_frame' });
    await plain.request({ type: 'ping' }, 'pong');
  });

  it('closes a peer that reads too slowly, keeps its session, and serves the others meanwhile', async () => {
    const pool = samplePool(400).map((record) => ({ ...record, note: 'n'.repeat(60_000) }));
    const { coordinator } = await serve(transport, pool, ['--outbox-bytes-max', '65536']);
    const { client, welcome } = await WireClient.hello(coordinator.port);
    const { client: other } = await WireClient.hello(coordinator.port);
    client.pause();
    for (let count = 0; count < pool.length - 1; count += 1) client.send(acquire());
    await other.request(acquire(), 'granted');
    const { session, secret } = welcome;
    const resumed = async () => (await WireClient.hello(coordinator.port, { resume: { session, secret } })).welcome;
    client.resume();
    // With a frame to say so where it still fits, without one where the peer had stopped reading for too long.
    expect([4001, 1006]).toContain((await client.closed).code);
    expect(await resumed()).toMatchObject({ resumed: true });
  });

  it('tells a session of all its leases, however many they are, when it resumes', async () => {
    const pool = samplePool(1_500).map((record) => ({ ...record, note: 'n'.repeat(2_000) }));
    const { coordinator } = await serve(transport, pool, ['--outbox-bytes-max', '65536']);
    const { client, welcome } = await WireClient.hello(coordinator.port, { resume_window_ms: 60_000 });
    for (const _ of pool) await client.request(acquire(), 'granted');
    await client.terminate();
    const { session, secret } = welcome;
    const { client: back, welcome: resumed } = await WireClient.hello(coordinator.port, {
      resume: { session, secret },
    });
    expect(resumed.leases).toHaveLength(pool.length);
    await back.request({ type: 'ping' }, 'pong');
  });

  it('speaks JSON in the JSON subprotocol', async () => {
    const { coordinator } = await serve(transport, samplePool(1));
    const { client } = await WireClient.hello(coordinator.port, {}, jsonCodec);
    const granted = await client.request(acquire(), 'granted');
    expect(Number.isSafeInteger((granted as { lease: number }).lease)).toBe(true);
  });

  it('drops a peer that answers no pings, and not one that does', async () => {
    const { coordinator } = await serve(transport, samplePool(2), ['--heartbeat-ms', '200']);
    const { client: alive } = await WireClient.hello(coordinator.port);
    const { client: dead } = await WireClient.hello(coordinator.port);
    await alive.request(acquire(), 'granted');
    await dead.request(acquire(), 'granted');
    dead.pause();
    await expect
      .poll(async () => {
        alive.send(acquire());
        return (await alive.next(({ type }) => type === 'granted' || type === 'refused')).type;
      })
      .toBe('granted');
    dead.resume();
    expect(await dead.closed).toMatchObject({ code: 1006 });
  });

  it('says goaway, closes, leaves a clean stop, exits 0; the leases are there at the next start', async () => {
    const { coordinator, restart } = await serve(transport, samplePool(1), ['--drain-ms', '300']);
    const { client, welcome } = await WireClient.hello(coordinator.port);
    const granted = (await client.request(acquire(), 'granted')) as { lease: number };
    const exit = coordinator.kill('SIGTERM');
    expect(await client.push('goaway')).toMatchObject({ deadline_ms: 300 });
    expect(await client.closed).toMatchObject({ code: 4000 });
    expect(await exit).toMatchObject({ code: 0 });
    const second = await restart();
    const { session, secret } = welcome;
    const { client: back, welcome: resumed } = await WireClient.hello(second.port, { resume: { session, secret } });
    expect(resumed).toMatchObject({ resumed: true, epoch: 2, leases: [{ lease: granted.lease }] });
    await back.request({ type: 'release', lease: granted.lease }, 'released');
    const next = (await back.request(acquire(), 'granted')) as { lease: number };
    expect(next.lease).toBeGreaterThan(granted.lease);
    await back.request({ type: 'bye' }, 'pong').catch(() => {});
    expect(await back.closed).toMatchObject({ code: 1000 });
  });
});

describe('the coordinator', () => {
  it('refuses a faulty pool with each record named, and writes nothing', async () => {
    const { dir, poolFile } = await dataFolder([
      ...samplePool(2),
      { address: 'nowhere', country: 'US', rpw: 0, resource_ids: [7] },
      { address: '10.0.0.9:1', country: 'US', rpw: -1, resource_ids: [7] },
    ]);
    const { code, output } = await runCoordinator(['--data-dir', dir, '--pool', poolFile]).exited;
    expect(code).toBe(64);
    expect(output.join('\n')).toMatch(/record 2: address/);
    expect(output.join('\n')).toMatch(/record 3: rpw/);
    await writeFile(poolFile, JSON.stringify(samplePool(2)));
    const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    expect(coordinator.output.join('\n')).toContain('"added":2');
  });

  it('prefers what it knows at a later start', async () => {
    const { coordinator, restart, poolFile } = await serve('auto', samplePool(2));
    const { client } = await WireClient.hello(coordinator.port);
    const granted = (await client.request(acquire(), 'granted')) as { lease: number; address: { address: string } };
    await client.request({ type: 'release', lease: granted.lease, requests: 500 }, 'released');
    await coordinator.kill('SIGTERM');
    await writeFile(poolFile, JSON.stringify([...samplePool(1), { ...samplePool(3)[2], country: 'FR' }]));
    const second = await restart();
    expect(second.output.join('\n')).toMatch(/"inFile":2,"inState":3,"added":1,"updated":0,"removed":0,"unchanged":1/);
    const { client: again } = await WireClient.hello(second.port);
    const rpws = new Map<string, number>();
    for (let count = 0; count < 3; count += 1) {
      const { address } = (await again.request(acquire(), 'granted')) as { address: { address: string; rpw: number } };
      rpws.set(address.address, address.rpw);
    }
    expect(rpws.get(granted.address.address)).toBe(Number(granted.address.address === '10.0.0.2:8080') + 500 + 1);
    await second.kill('SIGTERM');
    const third = await restart(['--pool-replace']);
    expect(third.output.join('\n')).toMatch(/"inState":2,.*"removed":1/);
  });

  it('makes snapshots while it serves, drops what they replace, and starts from them after kill -9', async () => {
    const flags = ['--segment-bytes', '4194304', '--snapshot-bytes', '1048576'];
    const { coordinator, restart, dir } = await serve('auto', samplePool(50), flags);
    const { client, welcome } = await WireClient.hello(coordinator.port, { batch: true });
    const kept = (await client.request(acquire(), 'granted')) as { lease: number };
    const snapshots = async () => (await readdir(dir)).filter((file) => file.endsWith('.snapshot'));
    while ((await snapshots()).length < 2) {
      const cycles = Array.from({ length: 40 }, async () => {
        const { lease } = (await client.request(acquire(), 'granted')) as { lease: number };
        await client.request({ type: 'release', lease }, 'released');
      });
      await Promise.all(cycles);
    }
    const firstDelta = '00000000000000000001.delta';
    await expect.poll(async () => await readdir(dir), { timeout: 10_000 }).not.toContain(firstDelta);
    await coordinator.kill('SIGKILL');
    const second = await restart();
    const { session, secret } = welcome;
    const { welcome: resumed } = await WireClient.hello(second.port, { resume: { session, secret } });
    expect(resumed.leases.map(({ lease }) => lease)).toContain(kept.lease);
  }, 120_000);

  it('refuses a folder that another coordinator serves, with exit code 75', async () => {
    const { args } = await serve('ws', samplePool(1));
    const { code, output } = await runCoordinator(args).exited;
    expect(code).toBe(75);
    expect(output.join('\n')).toContain('in use by another coordinator');
  });

  it('says which port it cannot listen on, with exit code 69, and leaves a clean stop', async () => {
    const { coordinator } = await serve('auto', samplePool(1));
    const { dir } = await dataFolder();
    for (const flag of ['--port', '--admin-port']) {
      const taken = String(flag === '--port' ? coordinator.port : coordinator.adminPort);
      const { code, output } = await runCoordinator(['--data-dir', dir, flag, taken]).exited;
      expect(code).toBe(69);
      expect(output.join('\n')).toContain(taken);
    }
    const next = await startCoordinator(['--data-dir', dir]);
    expect(next.output.join('\n')).not.toContain('"level":"warn"');
  });

  it('stops once for a signal that a terminal and a process runner both pass on', async () => {
    const { coordinator, dir } = await serve('auto', samplePool(1), ['--drain-ms', '300']);
    await WireClient.hello(coordinator.port);
    void coordinator.kill('SIGINT');
    expect(await coordinator.kill('SIGINT')).toMatchObject({ code: 0 });
    const next = await startCoordinator(['--data-dir', dir]);
    expect(next.output.join('\n')).not.toContain('"level":"warn"');
  });

  it('refuses foreign origins and unknown subprotocols before the upgrade', async () => {
    const { coordinator } = await serve('auto', samplePool(1));
    const upgrade = async (headers: Record<string, string>) => {
      const { request } = await import('node:http');
      return new Promise<number | undefined>((resolve, reject) => {
        const sent = request({
          port: coordinator.port,
          host: '127.0.0.1',
          headers: {
            Connection: 'Upgrade',
            Upgrade: 'websocket',
            'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
            ...headers,
          },
        });
        sent.on('response', (response) => resolve(response.statusCode));
        sent.on('upgrade', (response, socket) => {
          socket.destroy();
          resolve(response.statusCode);
        });
        sent.on('error', reject);
        sent.end();
      });
    };
    const host = `127.0.0.1:${coordinator.port}`;
    expect(await upgrade({})).toBe(101);
    expect(await upgrade({ Origin: `http://${host}` })).toBe(101);
    expect(await upgrade({ Origin: 'http://evil.example' })).toBe(403);
    expect(await upgrade({ Origin: 'http://evil.example', Host: 'evil.example' })).toBe(403);
    expect(await upgrade({ Origin: 'null' })).toBe(403);
    expect(await upgrade({ 'Sec-WebSocket-Protocol': 'chat' })).toBe(400);
    expect(await upgrade({ 'Sec-WebSocket-Protocol': 'chat, leasehold.v1.json' })).toBe(101);
  });
});
