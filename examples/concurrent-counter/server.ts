/**
 * The ways behind HTTP:
 *
 *   GET or POST /api/v1/endpoint/counter/{1|2|3}   adds one by that way; `?isolation=serializable` and the like
 *   GET /count                                     what has been counted so far, in all and by each way
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { LeaseholdError, RefusedError } from '../../protocol/client.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { type Database, ISOLATION_LEVELS, type IsolationLevel } from './database.ts';
import type { Way } from './ways.ts';

/** Requests being answered or waiting for their turn; beyond it they are told to come again. */
const REQUESTS_MAX = 1_000;
const RETRY_AFTER_S = 1;
const HOST = '127.0.0.1';

export interface CounterServer {
  readonly port: number;
  /** Takes no more requests; resolves when those under way have come to an end. */
  close(): Promise<void>;
}

/** Rejects where the port can't be listened on. Port 0: any free one. */
export async function openServer(ways: readonly Way[], database: Database, port: number): Promise<CounterServer> {
  const underWay = new Set<Promise<unknown>>();
  const server = createAdaptorServer({ fetch: counterApp(ways, database, underWay).fetch }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await Promise.allSettled(underWay);
      server.closeAllConnections();
      await closed;
    },
  };
}

function counterApp(ways: readonly Way[], database: Database, underWay: Set<Promise<unknown>>): Hono {
  const app = new Hono();
  app.on(['GET', 'POST'], '/api/v1/endpoint/counter/:method', async (context) => {
    const { method } = context.req.param();
    const way = /^[1-9]$/.test(method) ? ways[Number(method) - 1] : undefined;
    if (!way) return problemResponse(404, `no such way to count; there are 1 to ${ways.length}`, { path: 'method' });
    const level = levelOf(context.req.query('isolation'));
    if (level === undefined) {
      return problemResponse(422, `expected one of: ${ISOLATION_LEVELS.join(', ')}`, { path: 'isolation' });
    }
    if (underWay.size >= REQUESTS_MAX) {
      return problemResponse(503, 'too many requests at one time', {
        reason: 'overloaded',
        retryAfterS: RETRY_AFTER_S,
      });
    }
    const adding = way.add(level, async () => {});
    underWay.add(adding);
    try {
      const { value, attempts } = await adding;
      return context.json({ method: Number(method), isolation: level, value, attempts });
    } finally {
      underWay.delete(adding);
    }
  });
  app.get('/count', async (context) => {
    const totals = await database.totals();
    const counts = ways.map(({ row }, index) => [index + 1, totals.get(row) ?? 0] as const);
    return context.json({ count: sum(counts.map(([, value]) => value)), by_method: Object.fromEntries(counts) });
  });
  app.all('/api/v1/endpoint/counter/:method', () => notAllowed('GET, POST'));
  app.all('/count', () => notAllowed('GET'));
  app.notFound((context) => problemResponse(404, `nothing is at ${context.req.path}`));
  app.onError((error) => {
    if (error instanceof RefusedError || error instanceof LeaseholdError) {
      const reason = error instanceof RefusedError ? error.reason : error.code;
      return problemResponse(503, 'no lease could be had', { reason, retryAfterS: RETRY_AFTER_S });
    }
    // What the database says may name what is no business of the caller's.
    console.error(error);
    return problemResponse(500, 'not counted, or not known to be: the database failed');
  });
  return app;
}

/** `read committed`, PostgreSQL's own default, unless something is said. Undefined for what is no level. */
function levelOf(text: string | undefined): IsolationLevel | undefined {
  return text === undefined ? 'read committed' : ISOLATION_LEVELS.find((level) => level === text);
}

function notAllowed(allowed: string): Response {
  const response = problemResponse(405, `only ${allowed}`);
  response.headers.set('Allow', allowed);
  return response;
}

function sum(values: readonly number[]): number {
  return values.reduce((left, right) => left + right, 0);
}
