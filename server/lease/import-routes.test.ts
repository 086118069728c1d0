import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { type HttpServed, serveHttp } from '../testing/http-client.ts';
import { IMPORT_CHANGES_MAX } from './import-routes.ts';

const PATH = '/v1/addresses/import';
const LINES = { 'Content-Type': 'application/x-ndjson' };

const line = (host: number) =>
  `${JSON.stringify({ address: `b${host}:1`, country: 'PT', rpw: 0, resource_ids: [8] })}\n`;

async function addresses({ ask }: HttpServed): Promise<number> {
  const { body } = await ask('/v1/addresses');
  return (body['addresses'] as unknown[]).length;
}

describe('POST /v1/addresses/import', () => {
  it('takes no more than everybody may be kept waiting for, and says what to do instead', async () => {
    const served = await serveHttp();
    const most = IMPORT_CHANGES_MAX / 2;
    const lines = Array.from({ length: most + 1 }, (_, host) => line(host));
    const refused = await served.ask(PATH, { method: 'POST', headers: LINES, body: lines.join('') });
    expect(refused).toMatchObject({ status: 413, body: { reason: 'too_many' } });
    expect(refused.body['message']).toMatch(/several requests, or --pool/);
    expect(await addresses(served)).toBe(2);
    const taken = await served.ask(PATH, { method: 'POST', headers: LINES, body: lines.slice(1).join('') });
    expect(taken).toMatchObject({ status: 200, body: { added: most } });
    // What stays as it is costs nothing.
    const again = await served.ask(PATH, { method: 'POST', headers: LINES, body: lines.join('') });
    expect(again).toMatchObject({ status: 200, body: { added: 1, unchanged: most } });
  });

  it('takes JSON in one array however many chunks it comes in', async () => {
    const { ask } = await serveHttp();
    const body = `[\n${Array.from({ length: 20_000 }, (_, host) => line(host)).join(',')}]`;
    const headers = { 'Content-Type': 'application/json' };
    expect(await ask(PATH, { method: 'POST', headers, body })).toMatchObject({ status: 200, body: { added: 20_000 } });
    const faulty = await ask(PATH, { method: 'POST', headers, body: body.replace('"b19999', 'b19999') });
    expect(faulty).toMatchObject({ status: 400, body: { message: 'line 20001, column 13: expected a value' } });
  });

  it('leaves the pool alone where no record is given to replace it', async () => {
    const served = await serveHttp();
    for (const headers of [LINES, { 'Content-Type': 'text/csv' }]) {
      const refused = await served.ask(`${PATH}?replace=true`, { method: 'POST', headers, body: '\n' });
      expect([refused.status, await addresses(served)]).toEqual([422, 2]);
    }
    const none = await served.ask(`${PATH}?replace=true`, { method: 'POST', headers: LINES, body: '' });
    expect(none).toMatchObject({ status: 422, body: { path: 'replace' } });
  });

  it('takes nothing of a peer that went away before all was there', async () => {
    const served = await serveHttp();
    const { adminPort } = served.coordinator;
    const leaving = request({ host: '127.0.0.1', port: adminPort, method: 'POST', path: PATH, headers: LINES });
    leaving.on('error', () => {});
    leaving.write(line(1));
    // It holds the one place there is from the moment it has begun; the other waits for it.
    const other = () => served.ask(PATH, { method: 'POST', headers: LINES, body: line(2) });
    while ((await other()).status !== 409);
    const gone = new Promise((resolve) => leaving.once('close', resolve));
    leaving.destroy();
    await gone;
    let answer = await other();
    while (answer.status === 409) answer = await other();
    expect(answer.status).toBe(200);
    const { body } = await served.ask('/v1/addresses');
    const shown = (body['addresses'] as { address: string }[]).map(({ address }) => address);
    expect(shown).not.toContain('b1:1');
    expect(shown).toContain('b2:1');
  });
});
