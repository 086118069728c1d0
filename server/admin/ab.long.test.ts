/** A thousand connections at once, by ApacheBench. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { samplePool } from '../testing/coordinator-process.ts';
import { serveHttp } from '../testing/http-client.ts';
import { isSkipped } from '../testing/is-skipped.ts';

const run = promisify(execFile);
const REQUESTS = 5_000;
const CAPACITY = 100;
const RATE_PER_SEC = 10;

const why = await run('ab', ['-V']).then(
  () => undefined,
  () => 'ab is not there (package apache2-utils)',
);
const cannotRun = isSkipped('a thousand connections at once', why);

interface Report {
  readonly complete: number;
  /** Without an answer. */
  readonly failed: number;
  /** Answers by another status than 2xx. */
  readonly others: number;
}

async function ab(port: number, path: string): Promise<Report> {
  // -l: answers may differ in length.
  const { stdout } = await run('ab', [
    '-q',
    '-l',
    '-n',
    `${REQUESTS}`,
    '-c',
    '1000',
    `http://127.0.0.1:${port}${path}`,
  ]);
  const number = (label: string) => Number(new RegExp(`^${label}: +([\\d.]+)`, 'm').exec(stdout)?.[1] ?? 0);
  return {
    complete: number('Complete requests'),
    failed: number('Failed requests'),
    others: number('Non-2xx responses'),
  };
}

describe.skipIf(cannotRun)('a thousand connections that ask for addresses', () => {
  it('are all answered', async () => {
    const { coordinator, ask } = await serveHttp({}, samplePool(REQUESTS));
    expect(await ab(coordinator.adminPort, '/allocate/7/600')).toMatchObject({
      complete: REQUESTS,
      failed: 0,
      others: 0,
    });
    expect((await ask('/allocate/7/600')).body).toMatchObject({ code: 409, why: { states: { leased: REQUESTS } } });
  });

  it('get what is in the bucket, exactly, and the rest are told to come later', async () => {
    const { coordinator, ask, send } = await serveHttp({}, samplePool(REQUESTS));
    await send('POST', '/v1/clients', { client_id: '127.0.0.1', capacity: CAPACITY, rate_per_sec: 0 });
    const report = await ab(coordinator.adminPort, '/allocate/7/600');
    expect(report).toMatchObject({ complete: REQUESTS, failed: 0, others: REQUESTS - CAPACITY });
    const { leases } = (await ask('/v1/leases?limit=1000')).body as { leases: unknown[] };
    expect(leases).toHaveLength(CAPACITY);
  });

  it('get what comes back to the bucket meanwhile, and no more', async () => {
    const { coordinator, ask, send } = await serveHttp({}, samplePool(REQUESTS));
    await send('POST', '/v1/clients', { client_id: '127.0.0.1', capacity: CAPACITY, rate_per_sec: RATE_PER_SEC });
    const begunMs = performance.now();
    const report = await ab(coordinator.adminPort, '/allocate/7/600');
    const seconds = (performance.now() - begunMs) / 1_000;
    expect(report).toMatchObject({ complete: REQUESTS, failed: 0 });
    const passed = REQUESTS - report.others;
    expect(passed).toBeGreaterThanOrEqual(CAPACITY);
    expect(passed).toBeLessThanOrEqual(CAPACITY + RATE_PER_SEC * seconds);
    const refused = await ask('/allocate/7/600');
    if (refused.status === 429) expect(Number(refused.headers.get('retry-after'))).toBe(1);
    const { leases } = (await ask('/v1/leases?limit=1000')).body as { leases: unknown[] };
    expect(leases.length).toBe(passed + (refused.status === 200 ? 1 : 0));
  });
});
