import { Hono } from 'hono';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { type Caller, type Operation, operation } from './operation.ts';
import { idSchema, json } from './requests.ts';

const CALLER: Caller = { client: '10.0.0.1', isAuthenticated: false, role: 'operator', key: undefined };

/** Serves what `handle` was asked. */
function ask(made: Operation, path: string, init: RequestInit = {}): Promise<Response> {
  const app = new Hono();
  app.all(made.path.replace(/\{(\w+)\}/g, ':$1'), (context) => made.serve(context.req, CALLER, () => undefined));
  return Promise.resolve(app.request(path, init));
}

const echo = operation({
  id: 'echo',
  tag: 'test',
  method: 'post',
  path: '/things/{thing}',
  role: 'operator',
  summary: 'Says what it was asked.',
  params: { thing: idSchema },
  query: {
    ids: v.exactOptional(v.pipe(v.array(idSchema), v.maxLength(3))),
    deep: v.exactOptional(v.boolean()),
    name: v.exactOptional(v.string()),
  },
  headers: { 'Thing-Secret': v.exactOptional(v.string()) },
  body: v.strictObject({ by: v.exactOptional(v.number()) }),
  isBodyOptional: true,
  answers: { 200: { description: 'It.' } },
  handle: ({ params, query, headers, body, caller }) => json({ params, query, headers, body, caller }),
});

describe('an operation', () => {
  it('takes texts of path and query for what its schemas ask for', async () => {
    const response = await ask(echo, '/things/7?ids=1,2&deep=true&name=12', {
      method: 'POST',
      body: '{"by": 2}',
      headers: { 'thing-secret': 's', Other: 'x' },
    });
    expect(await response.json()).toEqual({
      params: { thing: 7 },
      query: { ids: [1, 2], deep: true, name: '12' },
      headers: { 'Thing-Secret': 's' },
      body: { by: 2 },
      caller: CALLER,
    });
  });

  it('takes no body for an empty one where that is allowed', async () => {
    const response = await ask(echo, '/things/7', { method: 'POST' });
    expect(await response.json()).toMatchObject({ body: {}, query: {} });
  });

  it.each([
    ['/things/seven', '', 422, 'thing'],
    ['/things/0', '', 422, 'thing'],
    ['/things/1.5', '', 422, 'thing'],
    ['/things/9007199254740993', '', 422, 'thing'],
    ['/things/7?ids=1,x', '', 422, 'ids[1]'],
    ['/things/7?ids=', '', 422, 'ids[0]'],
    ['/things/7?ids=1,2,3,4', '', 422, 'ids'],
    ['/things/7?deep=yes', '', 422, 'deep'],
    ['/things/7?depe=true', '', 422, 'depe'],
    ['/things/7?name=a&name=b', '', 422, 'name'],
    ['/things/7?__proto__=1', '', 422, '__proto__'],
    ['/things/7', '{"by": "x"}', 422, 'by'],
    ['/things/7', '{"yb": 1}', 422, 'yb'],
    ['/things/7', '[]', 422, undefined],
    ['/things/7', '"x"', 422, undefined],
    ['/things/7', '{', 400, undefined],
  ])('refuses %s with %s by %i at %s', async (path, body, status, at) => {
    const response = await ask(echo, path, { method: 'POST', body });
    const problem = (await response.json()) as Record<string, unknown>;
    expect([response.status, problem['path'], problem['code']]).toEqual([status, at, status]);
  });

  it('charges collectors for what is not free, and waits for the disk where something changes', () => {
    const made = (
      role: 'collector' | 'operator',
      method: 'get' | 'post' | 'delete',
      rest: { isFree?: true; changes?: true },
    ) => {
      const { isCharged, isChange } = operation({
        id: 'x',
        tag: 'test',
        method,
        path: '/x',
        role,
        summary: 'x',
        answers: {},
        handle: () => json({}),
        ...rest,
      });
      return { isCharged, isChange };
    };
    expect(made('collector', 'post', {})).toEqual({ isCharged: true, isChange: true });
    expect(made('collector', 'get', { changes: true })).toEqual({ isCharged: true, isChange: true });
    expect(made('collector', 'delete', { isFree: true })).toEqual({ isCharged: false, isChange: false });
    expect(made('operator', 'get', {})).toEqual({ isCharged: false, isChange: false });
  });

  it('leaves a raw body to its handler, once type and length are as it takes them', async () => {
    const raw = operation({
      id: 'raw',
      tag: 'test',
      method: 'post',
      path: '/raw',
      role: 'operator',
      summary: 'Reads lines.',
      rawBody: { bytesMax: 10, content: { 'text/csv': undefined } },
      answers: { 200: { description: 'It.' } },
      handle: async ({ request }) => json({ text: await request.text() }),
    });
    const send = (type: string, body: string, headers = {}) =>
      ask(raw, '/raw', { method: 'POST', body, headers: { 'Content-Type': type, ...headers } });
    expect(await (await send('text/CSV; charset=utf-8', 'a,b')).json()).toEqual({ text: 'a,b' });
    expect((await send('text/plain', 'a,b')).status).toBe(415);
    expect((await send('text/csv', 'a,b', { 'Content-Length': '11' })).status).toBe(413);
  });
});
