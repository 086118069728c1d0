/** Leases over HTTP, for curl and any language, and what the operator does about leases and the pool. */
import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import * as v from 'valibot';
import { assertNever } from '../../protocol/assert.ts';
import type { RefusedReason } from '../../protocol/codes.ts';
import { acquireFields, STICKY_MESSAGE, stickyAgrees } from '../../protocol/frames.ts';
import { TTL_MAX_MS } from '../../protocol/limits.ts';
import { type ProblemExtras, problemResponse } from '../../protocol/problems.ts';
import { wholeWhereSchema } from '../../protocol/where.ts';
import {
  answerOf,
  boundedBody,
  invalid,
  json,
  lookAt,
  type Page,
  positiveInteger,
  readBody,
  readPage,
  unknown,
} from '../admin/requests.ts';
import { addressRoutes, type LeasePort } from './address-routes.ts';
import type { Rejected } from './commands.ts';
import { maskAddress } from './pool-file.ts';
import { quarantineRoutes } from './quarantine-routes.ts';
import { endsAtMs, type Lease, type LeaseState } from './state.ts';

const SECRET_BYTES = 24;
/** The secret of a lease without a client behind it, to release it. */
const SECRET_HEADER = 'Leasehold-Secret';

export interface LeaseRoutesOptions {
  readonly leases: LeasePort;
  /** The disk is behind: nothing new is taken. */
  readonly isOverloaded: () => boolean;
  readonly randomBytes: (size: number) => Buffer;
}

export function leaseRoutes(options: LeaseRoutesOptions): Hono {
  const app = new Hono();
  // A lease whose token nobody gets to see helps nobody: HEAD would be served as GET.
  app.use('/allocate/*', async (context, next) => {
    if (context.req.method !== 'GET' && context.req.method !== 'POST') {
      const response = problemResponse(405, 'GET or POST');
      response.headers.set('Allow', 'GET, POST');
      return response;
    }
    return options.isOverloaded() ? overloaded() : next();
  });
  for (const path of ['/allocate/:resource/:ttl', '/allocate/:resource/:ttl/:country']) {
    app.on(['GET', 'POST'], path, (context) =>
      allocate(options, context.req.param('resource'), context.req.param('ttl'), context.req.param('country')),
    );
  }
  for (const path of ['/v1/addresses/*', '/v1/quarantine/*', '/v1/explain']) {
    app.on(['POST', 'PATCH'], path, (_, next) => (options.isOverloaded() ? Promise.resolve(overloaded()) : next()));
  }
  app.post('/v1/explain', boundedBody, async (context) => {
    const body = await readBody(context.req, explainBody);
    return body.ok ? explain(options.leases, body.value) : body.problem;
  });
  app.get('/v1/leases', (context) => list(options, context.req.query()));
  app.delete('/v1/leases/:lease', (context) =>
    end(options, context.req.param('lease'), context.req.header(SECRET_HEADER), context.req.query('deadline_ms')),
  );
  app.route('/', addressRoutes(options.leases));
  app.route('/', quarantineRoutes(options.leases));
  return app;
}

function overloaded(): Response {
  return problemResponse(503, 'the disk is behind; try again later', { reason: 'overloaded', retryAfterS: 1 });
}

async function allocate(
  { leases, randomBytes }: LeaseRoutesOptions,
  resourceText: string | undefined,
  ttlText: string | undefined,
  country: string | undefined,
): Promise<Response> {
  const resource = positiveInteger(resourceText);
  if (resource === undefined) return invalid('resource', 'a positive integer');
  const ttlMs = ttlMsFromSeconds(ttlText);
  if (ttlMs === undefined) return invalid('ttl', 'a number of seconds above 0');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const answer = await answerOf(leases, {
    type: 'AcquireLease',
    holder: { kind: 'secret', secretHash: sha256(secret) },
    request: 0,
    resource,
    ttlMs,
    ...(country === undefined ? {} : { where: { country: { eq: country } } }),
  });
  switch (answer.type) {
    case 'granted': {
      const [grant] = answer.grants;
      if (!grant) throw new Error('an acquire of one lease was granted none');
      const { address, lease, ttl_ms } = grant;
      return json({ ...address, lease, ttl_ms, secret });
    }
    case 'refused': {
      const { reason, why, retryAfterMs } = answer;
      const extras: ProblemExtras = { reason, why };
      if (retryAfterMs === undefined) return problemResponse(409, REFUSALS[reason], extras);
      const retryAfterS = Math.max(1, Math.ceil(retryAfterMs / 1_000));
      return problemResponse(409, REFUSALS[reason], { ...extras, retryAfterS });
    }
    case 'rejected':
      return rejection(answer);
    case 'queued':
      throw new Error('an acquire that may not wait was queued');
    default:
      return assertNever(answer);
  }
}

const REFUSALS: Readonly<Record<RefusedReason, string>> = {
  none_available: 'no address is free',
  max_leases: 'the resource has all the leases it may have',
  slowed: 'too much of the pool is in quarantine: grants are kept apart',
  wait_timeout: 'no address came free in time',
};

function rejection({ code, message, path, retryAfterMs }: Rejected): Response {
  const status = code === 'unknown_resource' ? 404 : code === 'storage_full' ? 507 : 422;
  return problemResponse(status, message, {
    reason: code,
    ...(path === undefined ? {} : { path }),
    ...(retryAfterMs === undefined ? {} : { retryAfterS: Math.ceil(retryAfterMs / 1_000) }),
  });
}

/** As the frame `explain`; the key that makes an acquire idempotent has no part in it. */
const { id: _id, key: _key, ...wishFields } = acquireFields;
const explainBody = v.pipe(
  v.strictObject({ ...wishFields, where: v.exactOptional(wholeWhereSchema) }),
  v.forward(
    v.check((wish) => stickyAgrees(wish), STICKY_MESSAGE),
    ['sticky'],
  ),
);

async function explain(
  leases: LeasePort,
  { resource, ttl_ms: ttlMs, wait_ms: waitMs, ...wish }: v.InferOutput<typeof explainBody>,
): Promise<Response> {
  const answer = await answerOf(leases, {
    type: 'ExplainAcquire',
    // As a collector would be answered: nobody else may wait.
    holder: { kind: 'session', session: '' },
    resource,
    ttlMs,
    ...(waitMs === undefined ? {} : { waitMs }),
    ...wish,
  });
  return answer.type === 'rejected' ? rejection(answer) : json({ would: answer.would, why: answer.why });
}

/** Live leases in the order of their tokens; `after` and `limit` page, `resource` filters. */
async function list({ leases }: LeaseRoutesOptions, query: Record<string, string>): Promise<Response> {
  const page = readPage(query);
  if (!page.ok) return page.problem;
  const resource = query['resource'] === undefined ? undefined : positiveInteger(query['resource']);
  if (query['resource'] !== undefined && resource === undefined) return invalid('resource', 'a positive integer');
  return json(await lookAt(leases, (state, nowMs) => leasePage(state, nowMs, page.value, resource)));
}

function leasePage(
  state: LeaseState,
  nowMs: number,
  { limit, after }: Page,
  resource: number | undefined,
): { leases: object[]; next?: number } {
  const page: Lease[] = [];
  // In the order of their tokens.
  for (const lease of state.leases.values(after + 1)) {
    const isWanted = resource === undefined || lease.resource === resource;
    if (endsAtMs(lease) <= nowMs || !isWanted) continue;
    // One more than the page tells that there is a next.
    if (page.push(lease) > limit) break;
  }
  const shown = page.slice(0, limit);
  const leases = shown.map((lease) => leaseEntry(state, lease, nowMs));
  return page.length > limit ? { leases, next: shown.at(-1)!.token } : { leases };
}

function leaseEntry(state: LeaseState, lease: Lease, nowMs: number): object {
  const { token, resource, addressId, holder, requests, revoking } = lease;
  return {
    lease: token,
    resource,
    address_id: addressId,
    address: maskAddress(state.addresses.get(addressId)?.address ?? ''),
    holder: holder.kind === 'session' ? { kind: holder.kind, session: holder.session } : { kind: holder.kind },
    ttl_ms: Math.floor(lease.deadlineMs - nowMs),
    requests,
    ...(revoking ? { revoking: { reason: revoking.reason, deadline_ms: Math.floor(revoking.atMs - nowMs) } } : {}),
  };
}

/** With the lease's secret its holder releases it; without, the operator revokes it, whoever holds it. */
async function end(
  { leases }: LeaseRoutesOptions,
  text: string | undefined,
  secret: string | undefined,
  deadlineText: string | undefined,
): Promise<Response> {
  const lease = positiveInteger(text);
  if (lease === undefined) return invalid('lease', 'a positive integer');
  if (secret === undefined) return revoke(leases, lease, deadlineText);
  if (deadlineText !== undefined) return invalid('deadline_ms', 'none: a lease is released at once');
  const holder = { kind: 'secret', secretHash: sha256(secret) } as const;
  const answer = await answerOf(leases, { type: 'ReleaseLease', holder, lease });
  if (answer.type === 'released') return json({ lease, end: 'released' });
  if (answer.code === 'lease_lost')
    return problemResponse(409, answer.message, { reason: 'lease_lost', path: 'lease' });
  // Somebody else's lease looks like one that never was.
  return unknown('lease', `no lease ${lease}`, 'unknown_lease');
}

async function revoke(leases: LeasePort, lease: number, deadlineText: string | undefined): Promise<Response> {
  const deadlineMs = deadlineText === undefined || deadlineText === '0' ? 0 : positiveInteger(deadlineText);
  if (deadlineMs === undefined || deadlineMs > TTL_MAX_MS) {
    return invalid('deadline_ms', `an integer from 0 to ${TTL_MAX_MS}`);
  }
  const answered = answerOf(leases, { type: 'RevokeLeases', leases: [lease], reason: 'operator', deadlineMs });
  // In the same turn: an earlier announcement may have set a nearer deadline.
  const announced = lookAt(leases, (state, nowMs) => {
    const revoking = state.leases.get(lease)?.revoking;
    return revoking && Math.max(0, Math.floor(revoking.atMs - nowMs));
  });
  const answer = await answered;
  if (answer.leases.length === 0) {
    return unknown('lease', `no live lease ${lease}`, 'unknown_lease');
  }
  const remainingMs = await announced;
  if (remainingMs === undefined) return json({ lease, end: 'revoked' });
  return json({ lease, revoking: true, deadline_ms: remainingMs }, 202);
}

function ttlMsFromSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,12}(\.\d{1,3})?$/.test(text)) return undefined;
  const ttlMs = Math.round(Number(text) * 1_000);
  return ttlMs > 0 ? ttlMs : undefined;
}

function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
