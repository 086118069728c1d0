/** Nothing secret leaves by a way that is not for it: keys, secrets of sessions and leases, credentials of addresses. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { leasehold } from './testing/command-line.ts';
import { dataFolder, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const PLANTED = {
  adminKey: 'planted-admin-key-51',
  wrongKey: 'lh_planted52_planted53',
  user: 'planted-user-54',
  password: 'planted-password-55',
  label: 'http://planted-56:planted-57@inner:1',
};
const TTL_MS = 60_000;
const POOL = [
  {
    address: `http://${PLANTED.user}:${PLANTED.password}@10.0.0.1:8080`,
    country: 'US',
    rpw: 0,
    resource_ids: [7],
    labels: { via: PLANTED.label },
    note: PLANTED.label,
  },
  { address: '10.0.0.2:8080', country: 'US', rpw: 0, resource_ids: [7] },
];

it('appears in no log, metric, error, event, list or dump', { timeout: 60_000 }, async () => {
  const { dir, poolFile } = await dataFolder(POOL);
  const flags = [
    '--data-dir',
    dir,
    '--pool',
    poolFile,
    '--api-keys',
    '--log-level',
    'trace',
    '--segment-bytes',
    '4194304',
  ];
  const coordinator = await startCoordinator(flags, { LEASEHOLD_ADMIN_KEY: PLANTED.adminKey });
  const { port } = coordinator;
  const base = `http://127.0.0.1:${coordinator.adminPort}`;
  /** All that came out by ways that are for no secret. */
  const seen: string[] = [];
  const ask = async (path: string, { key = PLANTED.adminKey, ...init }: RequestInit & { key?: string } = {}) => {
    const headers = { ...(init.headers as Record<string, string>), Authorization: `Bearer ${key}` };
    const response = await fetch(base + path, { ...init, headers });
    const text = await response.text();
    return { status: response.status, text, headers: JSON.stringify([...response.headers]) };
  };
  const look = async (path: string, init: RequestInit & { key?: string } = {}) => {
    const { status, text, headers } = await ask(path, init);
    seen.push(text, headers);
    return { status, text };
  };
  const send = (method: string, body: unknown) => ({ method, body: JSON.stringify(body) });

  const events = new AbortController();
  const stream = await fetch(`${base}/v1/events?last_event_id=0`, {
    headers: { Authorization: `Bearer ${PLANTED.adminKey}` },
    signal: events.signal,
  });
  const streamed = (async () => {
    try {
      for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
        seen.push(Buffer.from(chunk).toString('utf8'));
      }
    } catch {
      // It was called off.
    }
  })();

  // A key, which is shown once, to whoever makes it.
  await look('/v1/clients', send('POST', { client_id: 'user1' }));
  const issued = await ask('/v1/clients/user1/keys', send('POST', { role: 'collector' }));
  const { key } = JSON.parse(issued.text) as { key: string };
  // Its secret may hold a _ itself.
  const secretPart = key.split('_').slice(2).join('_');
  const secrets: string[] = [...Object.values(PLANTED), key, secretPart];

  const { client, welcome } = await WireClient.hello(port, { api_key: key, resume_window_ms: TTL_MS });
  secrets.push(welcome.secret);
  const granted = await client.request({ type: 'acquire', resource: 7, ttl_ms: TTL_MS }, 'granted');
  // For its holder the record is whole.
  expect(JSON.stringify(granted)).toContain(PLANTED.password);
  const { lease } = granted as { lease: number };
  await client.request({ type: 'report', lease, outcome: 'banned', requests: 3 }, 'reported');
  for (const fault of [
    { type: 'acquire', resource: 7, ttl_ms: TTL_MS, where: { address: { eq: 5 } } },
    { type: 'hello', protocol: 1, api_key: key },
    { type: 'renew', lease: 12 },
  ]) {
    seen.push(JSON.stringify(await client.request(fault as never, 'error')));
  }
  const refused = await WireClient.open(port);
  seen.push(
    JSON.stringify(await refused.request({ type: 'hello', protocol: 1, api_key: PLANTED.wrongKey } as never, 'error')),
    JSON.stringify(await refused.closed),
  );
  const upgrade = { headers: { Authorization: `Bearer ${PLANTED.wrongKey}` } };
  const turnedAway = WireClient.openAt(`ws://127.0.0.1:${port}`, upgrade).then(() => 'let in');
  seen.push(await turnedAway.catch((error: Error) => error.message));

  const allocated = await ask('/allocate/7/60', { key });
  expect(allocated.status).toBe(200);
  await look('/allocate/7/60', { key });
  await look('/v1/leases', { key: PLANTED.wrongKey });
  await look('/v1/leases', { key });
  const planted = { address: `http://${PLANTED.user}:${PLANTED.password}@[broken:1`, country: 'US', resource_ids: [7] };
  await look('/v1/addresses', send('POST', planted));
  await look('/v1/addresses', send('POST', { ...POOL[0] }));
  await look('/v1/addresses/import', {
    ...send('POST', [planted, POOL[0], POOL[0]]),
    headers: { 'Content-Type': 'application/json' },
  });
  const csv = `address,country,resource_ids\n${planted.address},US,7\n${POOL[0]!.address},US,x\n`;
  await look('/v1/addresses/import?partial=true', {
    method: 'POST',
    body: csv,
    headers: { 'Content-Type': 'text/csv' },
  });
  await look('/v1/addresses/1', send('PATCH', { country: 'DE' }));
  await look('/v1/quarantine', send('POST', { address_id: 1 }));
  await look('/v1/explain', send('POST', { resource: 7, ttl_ms: 1, where: { address: { eq: POOL[0]!.address } } }));
  for (const path of [
    '/v1/leases',
    '/v1/addresses',
    '/v1/addresses/1',
    '/v1/quarantine',
    '/v1/sessions',
    `/v1/sessions/${welcome.session}`,
    '/v1/resources',
    '/v1/clients',
    '/v1/clients/user1/keys',
    '/v1/counters',
    '/v1/history?at=-0s',
    '/metrics',
    '/healthz',
    '/readyz',
    '/docs.json',
  ]) {
    expect([path, (await look(path)).status]).toEqual([path, 200]);
  }
  await look('/v1/addresses/1', { method: 'DELETE' });
  await client.terminate();
  await expect.poll(() => seen.join('')).toContain('event: SessionSuspended');
  events.abort();
  await streamed;
  const { output } = await coordinator.kill('SIGTERM');
  expect(output.join('\n')).toContain('session open');
  seen.push(...output);
  for (const arguments_ of [
    ['dump', dir],
    ['dump', '--snapshot', dir],
    ['at', dir, '-0s'],
    ['verify', dir],
  ]) {
    const { stdout, stderr } = await leasehold('journal', ...arguments_);
    seen.push(stdout, stderr);
  }
  // What the search finds it would find: the journal itself has the credentials, and no key.
  const { stdout: files } = await promisify(execFile)('grep', ['-rlaF', PLANTED.password, dir]);
  expect(files).not.toBe('');
  const inJournal = await promisify(execFile)('grep', ['-rlaF', secretPart, dir]).catch(
    (error: { code: number }) => error,
  );
  expect(inJournal).toMatchObject({ code: 1 });

  const all = seen.join('\n');
  expect(all).toContain('***@10.0.0.1:8080');
  expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
});
