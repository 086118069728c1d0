/** What is scraped from a running coordinator, over its real ports, against what was done to it. */
import { describe, expect, it } from 'vitest';
import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from '../testing/coordinator-process.ts';
import { parsePrometheusText } from '../testing/prometheus-text.ts';
import { WireClient } from '../testing/wire-client.ts';

const KEY = 'planted-operator-key';
const PASSWORD = 'hunter2';
const TTL_MS = 60_000;

/** In a folder of its own, or in one that another has left. */
async function serve(pool: readonly unknown[], given?: string) {
  const { dir: fresh, poolFile } = await dataFolder(pool);
  const dir = given ?? fresh;
  const flags = ['--data-dir', dir, '--pool', poolFile];
  return { dir, coordinator: await startCoordinator(flags, { LEASEHOLD_ADMIN_KEY: KEY }) };
}

async function scrape({ adminPort }: CoordinatorProcess) {
  const headers = { Authorization: `Bearer ${KEY}` };
  const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`, { headers });
  const text = await response.text();
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return { text, ...parsePrometheusText(text) };
}

/** Those that count something, by name and label. */
function counted(series: ReadonlyMap<string, number>, ...names: readonly string[]): Record<string, number> {
  const wanted = [...series].filter(([key, value]) => names.some((name) => key.startsWith(name)) && value > 0);
  return Object.fromEntries(wanted.map(([key, value]) => [key.replace(/^leasehold_/, ''), value]));
}

describe('GET /metrics', () => {
  it('tells what was done, to the number, and nothing that is secret', async () => {
    const pool = samplePool(3).map((record) => ({ ...record, address: `http://user:${PASSWORD}@${record.address}` }));
    const { coordinator } = await serve(pool);
    const numbers = async (...names: readonly string[]) => counted((await scrape(coordinator)).series, ...names);
    expect(await numbers('leasehold_leases', 'leasehold_requests', 'leasehold_errors', 'leasehold_s')).toEqual({
      'storage_level{level="ample"}': 1,
    });

    const { client: holder, welcome } = await WireClient.hello(coordinator.port);
    const acquire = { type: 'acquire', resource: 7, ttl_ms: TTL_MS };
    const leases: number[] = [];
    while (leases.length < 3) {
      leases.push(((await holder.request(acquire, 'granted')) as { lease: number }).lease);
    }
    await holder.request(acquire, 'refused');
    await holder.request({ ...acquire, wait_ms: 1 }, 'queued');
    await holder.push('refused');
    await holder.request({ ...acquire, resource: 99 }, 'error');
    await holder.request({ ...acquire, ttl_ms: -1 }, 'error');
    const { client: other } = await WireClient.hello(coordinator.port);
    await other.request({ ...acquire, wait_ms: TTL_MS }, 'queued');
    expect(
      await numbers('leasehold_leases{', 'leasehold_leases ', 'leasehold_pairs', 'leasehold_waiting', 'leasehold_s'),
    ).toEqual({
      'pairs{resource="7",state="leased"}': 3,
      'waiting_requests{resource="7"}': 1,
      'sessions{state="connected"}': 2,
      sockets: 2,
      'storage_level{level="ample"}': 1,
    });

    await holder.request({ type: 'release', lease: leases[0] }, 'released');
    await other.push('granted');
    const operate = (method: string, path: string) =>
      fetch(`http://127.0.0.1:${coordinator.adminPort}${path}`, {
        method,
        headers: { Authorization: `Bearer ${KEY}` },
      });
    await operate('DELETE', `/v1/leases/${leases[1]}?deadline_ms=0`);
    await holder.push('revoked');
    expect((await operate('POST', '/allocate/7/0.2')).status).toBe(200);
    await expect
      .poll(async () => numbers('leasehold_leases_ended_total{end="expired"}'), { timeout: 5_000 })
      .toEqual({ 'leases_ended_total{end="expired"}': 1 });
    // The address that came free takes the place of the one that is taken away.
    await operate('DELETE', `/v1/leases/${leases[2]}?deadline_ms=${TTL_MS}`);
    expect(await holder.push('revoking')).toHaveProperty('substitute');
    await other.terminate();
    await expect
      .poll(async () => numbers('leasehold_leases_ended_total{end="session_lost"}'), { timeout: 5_000 })
      .toEqual({ 'leases_ended_total{end="session_lost"}': 1 });

    const { text, series } = await scrape(coordinator);
    expect(
      counted(
        series,
        'leasehold_leases',
        'leasehold_requests',
        'leasehold_errors',
        'leasehold_wait_duration_seconds_c',
      ),
    ).toEqual({
      leases: 2,
      'leases_granted_total{via="ws"}': 3,
      'leases_granted_total{via="http"}': 1,
      'leases_granted_total{via="waiter"}': 1,
      'leases_granted_total{via="substitute"}': 1,
      'leases_ended_total{end="released"}': 1,
      'leases_ended_total{end="expired"}': 1,
      'leases_ended_total{end="revoked"}': 1,
      'leases_ended_total{end="session_lost"}': 1,
      'leases_revoked_total{reason="operator"}': 1,
      'requests_refused_total{reason="none_available"}': 1,
      'requests_refused_total{reason="wait_timeout"}': 1,
      'errors_total{code="unknown_resource"}': 1,
      'errors_total{code="bad_field"}': 1,
      wait_duration_seconds_count: 1,
    });
    const valueOf = (name: string) => series.get(`leasehold_${name}`);
    // The journal began with this run: every event of it has been through one of its batches.
    expect(valueOf('journal_batch_events_sum')).toBe(valueOf('durable_position'));
    expect(valueOf('journal_batch_bytes_sum')! % 512).toBe(0);
    const batches = valueOf('journal_commit_duration_seconds_count');
    expect(batches).toBeGreaterThan(5);
    expect([valueOf('journal_write_duration_seconds_count'), valueOf('journal_batch_events_count')]).toEqual([
      batches,
      batches,
    ]);
    expect(valueOf('journal_write_duration_seconds_sum')).toBeGreaterThan(0);
    expect(valueOf('journal_commit_duration_seconds_sum')).toBeGreaterThan(
      valueOf('journal_write_duration_seconds_sum')!,
    );
    expect(valueOf('epoch')).toBe(1);
    expect(valueOf('event_loop_delay_seconds_count')).toBeGreaterThan(0);
    for (const secret of [PASSWORD, KEY, '10.0.0.', welcome.session, welcome.secret])
      expect(text).not.toContain(secret);

    const allocate = `http://127.0.0.1:${coordinator.adminPort}/allocate/7/60/FR`;
    const before = await numbers('leasehold_requests_refused');
    expect((await fetch(allocate, { headers: { Authorization: `Bearer ${KEY}` } })).status).toBe(409);
    const none = 'requests_refused_total{reason="none_available"}';
    expect(await numbers('leasehold_requests_refused')).toEqual({ ...before, [none]: (before[none] ?? 0) + 1 });

    const refused = await fetch(`http://127.0.0.1:${coordinator.adminPort}/metrics`);
    expect([refused.status, await refused.text()]).toEqual([401, expect.not.stringContaining('leasehold_')]);
  });

  it('has no series more after requests for a thousand things that do not exist', async () => {
    const { coordinator } = await serve(samplePool(2));
    const { client } = await WireClient.hello(coordinator.port);
    const strange = async (from: number, count: number) => {
      for (let number = from; number < from + count; number += 1) {
        await client.request({ type: 'acquire', resource: number, ttl_ms: TTL_MS }, 'error');
        await client.request({ type: `word${number}` }, 'error');
        await client.request({ type: 'ping' }, 'pong');
        if (number % 20 === 0) await fetch(`http://127.0.0.1:${coordinator.adminPort}/nowhere/${number}`);
      }
    };
    const ours = async () => {
      const { series } = await scrape(coordinator);
      return new Map([...series].filter(([key]) => key.startsWith('leasehold_')));
    };
    await scrape(coordinator);
    await strange(1_000, 1);
    await scrape(coordinator);
    const before = await ours();
    await strange(1_001, 999);
    const after = await ours();
    expect([...after.keys()]).toEqual([...before.keys()]);
    expect(counted(after, 'leasehold_errors')).toEqual({
      'errors_total{code="unknown_resource"}': 1_000,
      'errors_total{code="unknown_type"}': 1_000,
    });
  });

  it('counts what its own run has decided, and shows what it has taken over', async () => {
    const first = await serve(samplePool(4));
    const { client } = await WireClient.hello(first.coordinator.port, { resume_window_ms: TTL_MS });
    for (let count = 0; count < 3; count += 1) {
      await client.request({ type: 'acquire', resource: 7, ttl_ms: TTL_MS }, 'granted');
    }
    await first.coordinator.kill('SIGKILL');
    const { coordinator } = await serve(samplePool(4), first.dir);
    const { series } = await scrape(coordinator);
    expect(counted(series, 'leasehold_epoch', 'leasehold_leases', 'leasehold_pairs', 'leasehold_sessions')).toEqual({
      epoch: 2,
      leases: 3,
      'pairs{resource="7",state="leased"}': 3,
      'pairs{resource="7",state="free"}': 1,
      'sessions{state="suspended"}': 1,
    });
    expect(series.get('leasehold_leases_granted_total{via="ws"}')).toBe(0);
    expect(series.get('leasehold_durable_position')).toBeGreaterThan(series.get('leasehold_journal_batch_events_sum')!);
  });
});
