import { describe, expect, it } from 'vitest';
import { Replica } from './coordinator/replica.ts';
import { blockingDisk } from './journal/blocking-disk.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import { lookBack, type PastLeases } from './past-leases.ts';
import { jsonLines, leasehold } from './testing/command-line.ts';
import { startCoordinator } from './testing/coordinator-process.ts';
import { flip, makeGenerations } from './testing/damaged-folders.ts';
import { temporaryFolder } from './testing/journal-run.ts';
import { makeHistory, PLANTED } from './testing/lease-folders.ts';
import { WireClient } from './testing/wire-client.ts';

const utc = (second: number) => new Date(Date.UTC(2026, 0, 5, 0, 0, second)).toISOString();

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { readonly leases: readonly Record<string, unknown>[] };
}

/** A coordinator on a folder with a past, and how to ask it. */
async function servedOn(dir: string) {
  const coordinator = await startCoordinator(['--data-dir', dir]);
  const ask = async (query: string): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/history?${query}`);
    const text = await response.text();
    expect(text).not.toContain(PLANTED);
    return { status: response.status, body: JSON.parse(text) as Answer['body'] };
  };
  return { coordinator, ask };
}

describe('history over HTTP', () => {
  it('says what the command line says, of all leases, of a resource, and of an address', async () => {
    const dir = await temporaryFolder();
    const { run, tokens } = await makeHistory(dir);
    await run.stop();
    const { ask } = await servedOn(dir);
    for (const options of [[], ['--resource', '8'], ['--address', '10.0.0.1:8080'], ['--address', '3']]) {
      const query = options.join('=').replace('--', '');
      const [moment, ...leases] = jsonLines(await leasehold('journal', 'at', dir, utc(11), '--json', ...options));
      const { status, body } = await ask(`at=${utc(11)}&${query}`);
      expect(status).toBe(200);
      const { leases: told, ...when } = body;
      expect(told).toEqual(leases.map(({ type: _type, ...fields }) => fields));
      // More may have been written in between.
      const { type: _type, leases: count, end_position: _end, ...asked } = moment!;
      expect([when, told.length]).toEqual([expect.objectContaining(asked), count]);
    }
    const { body } = await ask(`at=${utc(11)}`);
    expect(body.leases.map(({ lease, end }) => [lease, end])).toEqual([
      [tokens.expired, 'expired'],
      [tokens.revoked, 'revoked'],
      [tokens.held, null],
      [tokens.lost, 'session_lost'],
    ]);
  });

  it('gives a page at a time', async () => {
    const dir = await temporaryFolder();
    const { run, tokens } = await makeHistory(dir);
    await run.stop();
    const { ask } = await servedOn(dir);
    const first = await ask(`at=${utc(11)}&limit=3`);
    expect(first.body.leases.map(({ lease }) => lease)).toEqual([tokens.expired, tokens.revoked, tokens.held]);
    expect(first.body['next']).toBe(tokens.held);
    const rest = await ask(`at=${utc(11)}&limit=3&after=${tokens.held}`);
    expect(rest.body.leases.map(({ lease }) => lease)).toEqual([tokens.lost]);
    expect(rest.body).not.toHaveProperty('next');
    expect((await ask(`at=${utc(11)}&limit=4`)).body).not.toHaveProperty('next');
  });

  it('knows what has just been answered', async () => {
    const dir = await temporaryFolder();
    const { run } = await makeHistory(dir);
    await run.stop();
    const { coordinator, ask } = await servedOn(dir);
    const { client } = await WireClient.hello(coordinator.port);
    const wish = { type: 'acquire', resource: 7, ttl_ms: 60_000 };
    const { lease } = (await client.request(wish, 'granted')) as { lease: number };
    const { body } = await ask('at=-0ms&resource=7');
    expect(body.leases.map((each) => each['lease'])).toEqual([lease]);
    await client.close();
  });

  it('answers several that ask at a time, refuses more, and drops what nobody waits for', async () => {
    const dir = await temporaryFolder();
    const { run } = await makeHistory(dir);
    await run.stop();
    const { coordinator, ask } = await servedOn(dir);
    const url = `http://127.0.0.1:${coordinator.adminPort}/v1/history?at=-0ms`;
    const many = await Promise.all(Array.from({ length: 7 }, () => fetch(url)));
    const refused = many.filter(({ status }) => status === 503);
    expect(many.filter(({ status }) => status === 200)).toHaveLength(7 - refused.length);
    expect(refused.length).toBeGreaterThan(0);
    expect(await refused[0]!.json()).toMatchObject({ code: 503, reason: 'too_many' });
    const gone = new AbortController();
    const leaving = Array.from({ length: 5 }, () => fetch(url, { signal: gone.signal }).catch(() => undefined));
    gone.abort();
    await Promise.all(leaving);
    await expect.poll(async () => (await ask('at=-0ms')).status, { timeout: 20_000 }).toBe(200);
  }, 60_000);

  it('names what is no time, and from when on anything is kept', async () => {
    const { dir } = await makeGenerations(await temporaryFolder(), { stop: true });
    const { ask } = await servedOn(dir);
    for (const at of ['yesterday', '', '90s']) {
      expect(await ask(`at=${at}`)).toMatchObject({ status: 422, body: { path: 'at' } });
    }
    expect(await ask('resource=7')).toMatchObject({ status: 422, body: { path: 'at' } });
    expect(await ask(`at=${utc(25)}&limit=10001`)).toMatchObject({ status: 422, body: { path: 'limit' } });
    expect(await ask(`at=${utc(20)}`)).toMatchObject({
      status: 410,
      body: { code: 410, reason: 'not_kept', path: 'at', kept_from_utc: utc(23) },
    });
    // A `+` that nobody has encoded comes as a blank.
    const { body } = await ask(`at=2026-01-05T01:00:30+01:00`);
    expect(body).toMatchObject({ utc: utc(30), leases: [{ resource: 8, granted_utc: null, end: null }] });
  });

  it('says that the files are damaged, where that time cannot be reached and where only ends may be missing', async () => {
    const { dir, newDelta } = await makeGenerations(await temporaryFolder(), { stop: true });
    const { coordinator, ask } = await servedOn(dir);
    await flip(dir, newDelta, 3 * 512 + 60);
    expect(await ask(`at=${utc(30)}`)).toMatchObject({ status: 500, body: { reason: 'damaged' } });
    const { status, body } = await ask(`at=${utc(25)}`);
    expect([status, body['faults']]).toEqual([200, [expect.stringContaining(newDelta)]]);
    expect((await fetch(`http://127.0.0.1:${coordinator.adminPort}/healthz`)).status).toBe(200);
  });
});

describe('what a time of the past is told from', () => {
  it('is nothing behind the last position that may be told', async () => {
    const dir = await temporaryFolder();
    const { run, tokens } = await makeHistory(dir);
    await run.stop();
    const createReplica = () => new Replica([leaseDomain]);
    const ask = async (seconds: number, upToPosition: number) =>
      (await lookBack(
        { disk: blockingDisk, dir, createReplica, upToPosition },
        Date.parse(utc(seconds)),
        {},
      )) as PastLeases;
    const whole = await ask(30, Infinity);
    const ofRevoked = (await ask(11, Infinity)).leases.find(({ lease }) => lease === tokens.revoked);
    const before = ofRevoked!.ended!.position - 1;
    const told = await ask(30, before);
    expect(whole.moment.position).toBeGreaterThan(before);
    expect([told.moment.position <= before, told.endPosition <= before]).toEqual([true, true]);
    expect(told.leases.map(({ lease, ended }) => [lease, ended])).toContainEqual([tokens.revoked, undefined]);
  });
});
