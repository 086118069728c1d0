/** Leases over HTTP: for curl and any language, and for the operator. */
import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import { assertNever } from '../../protocol/assert.ts';
import { problemResponse } from '../../protocol/problems.ts';
import type { DomainPort } from '../coordinator/coordinator.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './commands.ts';
import { maskAddress } from './pool-file.ts';
import type { Lease, LeaseState } from './state.ts';

const SECRET_BYTES = 24;
/** The secret of a lease without a client behind it, to release it. */
const SECRET_HEADER = 'Leasehold-Secret';
const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

export interface LeaseRoutesOptions {
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  /** The disk is behind: nothing new is taken. */
  readonly isOverloaded: () => boolean;
  readonly randomBytes: (size: number) => Buffer;
}

export function leaseRoutes(options: LeaseRoutesOptions): Hono {
  const app = new Hono();
  // A lease whose token nobody gets to see helps nobody: HEAD would be served as GET.
  app.use('/allocate/*', async (context, next) => {
    if (context.req.method === 'GET' || context.req.method === 'POST') return next();
    const response = problemResponse(405, 'GET or POST');
    response.headers.set('Allow', 'GET, POST');
    return response;
  });
  for (const path of ['/allocate/:resource/:ttl', '/allocate/:resource/:ttl/:country']) {
    app.on(['GET', 'POST'], path, (context) =>
      allocate(options, context.req.param('resource'), context.req.param('ttl'), context.req.param('country')),
    );
  }
  app.get('/v1/leases', (context) => list(options, context.req.query()));
  app.delete('/v1/leases/:lease', (context) =>
    end(options, context.req.param('lease'), context.req.header(SECRET_HEADER)),
  );
  return app;
}

async function allocate(
  { leases, isOverloaded, randomBytes }: LeaseRoutesOptions,
  resourceText: string | undefined,
  ttlText: string | undefined,
  country: string | undefined,
): Promise<Response> {
  const resource = positiveInteger(resourceText);
  if (resource === undefined) return invalid('resource', 'a positive integer');
  const ttlMs = ttlMsFromSeconds(ttlText);
  if (ttlMs === undefined) return invalid('ttl', 'a number of seconds above 0');
  if (isOverloaded()) {
    return problemResponse(503, 'the disk is behind; try again later', { reason: 'overloaded', retryAfterS: 1 });
  }
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const answer = await new Promise<LeaseAnswers['AcquireLease']>((resolve) => {
    leases.execute(
      {
        type: 'AcquireLease',
        holder: { kind: 'secret', secretHash: sha256(secret) },
        request: 0,
        resource,
        ttlMs,
        ...(country === undefined ? {} : { where: { country: { eq: country } } }),
      },
      resolve,
    );
  });
  switch (answer.type) {
    case 'granted': {
      const { address, lease, ttl_ms } = answer.grant;
      return json({ ...address, lease, ttl_ms, secret });
    }
    case 'refused': {
      const { reason, why, retryAfterMs } = answer;
      const message = reason === 'max_leases' ? 'the resource has all the leases it may have' : 'no address is free';
      const retryAfterS =
        retryAfterMs === undefined ? {} : { retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1_000)) };
      return problemResponse(409, message, { reason, why, ...retryAfterS });
    }
    case 'rejected':
      return problemResponse(404, answer.message, { reason: answer.code, path: 'resource' });
    default:
      return assertNever(answer);
  }
}

/** Live leases in the order of their tokens; `after` and `limit` page, `resource` filters. */
async function list({ leases }: LeaseRoutesOptions, query: Record<string, string>): Promise<Response> {
  const limit = query['limit'] === undefined ? PAGE_DEFAULT : positiveInteger(query['limit']);
  if (limit === undefined || limit > PAGE_MAX) return invalid('limit', `a positive integer up to ${PAGE_MAX}`);
  const after = query['after'] === undefined ? 0 : positiveInteger(query['after']);
  if (after === undefined) return invalid('after', 'a lease');
  const resource = query['resource'] === undefined ? undefined : positiveInteger(query['resource']);
  if (query['resource'] !== undefined && resource === undefined) return invalid('resource', 'a positive integer');
  const page = await new Promise<{ leases: object[]; next?: number }>((resolve) => {
    leases.read((state, nowMs) => leasePage(state, nowMs, { limit, after, resource }), resolve);
  });
  return json(page);
}

function leasePage(
  state: LeaseState,
  nowMs: number,
  { limit, after, resource }: { limit: number; after: number; resource: number | undefined },
): { leases: object[]; next?: number } {
  const held = resource === undefined ? state.leases.values() : (state.resources.get(resource)?.leases.values() ?? []);
  const page: Lease[] = [];
  for (const lease of held) {
    if (lease.token <= after || lease.deadlineMs <= nowMs) continue;
    page.push(lease);
    // Without a resource they come in the order of their tokens: one more than the page tells that there is a next.
    if (resource === undefined && page.length > limit) break;
  }
  if (resource !== undefined) page.sort((one, other) => one.token - other.token);
  const shown = page.slice(0, limit);
  const leases = shown.map((lease) => leaseEntry(state, lease, nowMs));
  return page.length > limit ? { leases, next: shown.at(-1)!.token } : { leases };
}

function leaseEntry(state: LeaseState, lease: Lease, nowMs: number): object {
  const { token, resource, addressId, holder, requests } = lease;
  return {
    lease: token,
    resource,
    address_id: addressId,
    address: maskAddress(state.addresses.get(addressId)?.address ?? ''),
    holder: holder.kind === 'session' ? { kind: holder.kind, session: holder.session } : { kind: holder.kind },
    ttl_ms: Math.floor(lease.deadlineMs - nowMs),
    requests,
  };
}

/** With the lease's secret its holder releases it; without, the operator revokes it, whoever holds it. */
async function end({ leases }: LeaseRoutesOptions, text: string | undefined, secret: string | undefined) {
  const lease = positiveInteger(text);
  if (lease === undefined) return invalid('lease', 'a positive integer');
  if (secret === undefined) {
    const answer = await new Promise<LeaseAnswers['RevokeLeases']>((resolve) => {
      leases.execute({ type: 'RevokeLeases', leases: [lease], reason: 'operator' }, resolve);
    });
    if (answer.leases.length === 1) return json({ lease, end: 'revoked' });
    return problemResponse(404, `no live lease ${lease}`, { reason: 'unknown_lease', path: 'lease' });
  }
  const holder = { kind: 'secret', secretHash: sha256(secret) } as const;
  const answer = await new Promise<LeaseAnswers['ReleaseLease']>((resolve) => {
    leases.execute({ type: 'ReleaseLease', holder, lease }, resolve);
  });
  if (answer.type === 'released') return json({ lease, end: 'released' });
  const isLost = answer.code === 'lease_lost';
  // Somebody else's lease looks like one that never was.
  const message = isLost ? answer.message : `no lease ${lease}`;
  return problemResponse(isLost ? 409 : 404, message, {
    reason: isLost ? 'lease_lost' : 'unknown_lease',
    path: 'lease',
  });
}

function positiveInteger(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,15}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function ttlMsFromSeconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,12}(\.\d{1,3})?$/.test(text)) return undefined;
  const ttlMs = Math.round(Number(text) * 1_000);
  return ttlMs > 0 ? ttlMs : undefined;
}

function invalid(path: string, expected: string): Response {
  return problemResponse(422, `${path}: expected ${expected}`, { path });
}

function json(value: object): Response {
  return Response.json(value, { headers: { 'Cache-Control': 'no-store' } });
}

function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
