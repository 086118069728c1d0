/** Leases over HTTP: acquire, renew, report and release for any language; list and revoke for the operator. */
import * as v from 'valibot';
import { LEASE_ENDS, OUTCOMES } from '../../protocol/codes.ts';
import { acquireFields, grantSchema, STICKY_MESSAGE, stickyAgrees } from '../../protocol/frames.ts';
import { REQUESTS_MAX, TTL_MAX_MS } from '../../protocol/limits.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { wholeWhereSchema } from '../../protocol/where.ts';
import { type Caller, type Operation, operation } from '../admin/operation.ts';
import {
  answerOf,
  idSchema,
  invalid,
  json,
  keyHeader,
  lookAt,
  nextSchema,
  pageOf,
  pageQuery,
  rejection,
  unknown,
} from '../admin/requests.ts';
import { REVOKED_AT_ONCE_MAX } from './decide-revoke.ts';
import { acquireOverHttp, type HttpAcquireOptions } from './http-acquire.ts';
import { holderOf, type LeasePort, REFUSED_409, SECRET_HEADER, secretHeader } from './http-answers.ts';
import { endLeases, leaseEntry, leaseFilter, leasePage, leaseShown } from './http-lease-pages.ts';

const LEASE_404 = 'No such lease, or another holder’s.';
const params = { lease: idSchema };

/** As the frame `acquire`: only sessions wait, and the key that makes it idempotent is a header. */
const { id: _id, key: _key, wait_ms: _wait, ...wishFields } = acquireFields;
const acquireBody = v.pipe(
  v.strictObject({ ...wishFields, where: v.exactOptional(wholeWhereSchema) }),
  v.forward(
    v.check((wish) => stickyAgrees(wish), STICKY_MESSAGE),
    ['sticky'],
  ),
);
const secretShown = v.exactOptional(
  v.pipe(v.string(), v.description('To renew, report and release; absent where a key says whose it is.')),
);
const acquired = v.union([
  v.object({ ...grantSchema.entries, secret: secretShown }),
  v.object({ leases: v.array(grantSchema), secret: secretShown }),
]);

const outcome = v.exactOptional(v.pipe(v.picklist(OUTCOMES), v.description('How the work through the address went.')));
const requests = v.exactOptional(
  v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(0),
    v.maxValue(REQUESTS_MAX),
    v.description('Requests made through the lease so far: a total, not a difference.'),
  ),
);
const deadline = v.exactOptional(
  v.pipe(
    v.number(`expected an integer from 0 to ${TTL_MAX_MS}`),
    v.safeInteger(`expected an integer from 0 to ${TTL_MAX_MS}`),
    v.minValue(0, `expected an integer from 0 to ${TTL_MAX_MS}`),
    v.maxValue(TTL_MAX_MS, `expected an integer from 0 to ${TTL_MAX_MS}`),
    v.description('Of a revocation: the holder is told now, and the lease ends in so many ms.'),
  ),
);

export function leaseOperations(options: HttpAcquireOptions): Operation[] {
  const { leases } = options;
  return [
    operation({
      id: 'listLeases',
      tag: 'leases',
      method: 'get',
      path: '/v1/leases',
      role: 'operator',
      summary: 'Lists live leases by rising tokens.',
      description:
        'A page looks at a bounded number of leases, so it may be shorter than asked for while `next` is there.',
      query: { ...pageQuery, ...leaseFilter },
      answers: {
        200: { description: 'One page.', schema: v.object({ leases: v.array(leaseShown), next: nextSchema }) },
      },
      handle: async ({ query }) =>
        json(await lookAt(leases, (state, nowMs) => leasePage(state, nowMs, pageOf(query), query))),
    }),
    operation({
      id: 'getLease',
      tag: 'leases',
      method: 'get',
      path: '/v1/leases/{lease}',
      role: 'operator',
      summary: 'Shows one live lease.',
      params,
      answers: { 200: { description: 'The lease.', schema: leaseShown } },
      problems: { 404: 'No such live lease.' },
      async handle({ params: { lease } }) {
        const entry = await lookAt(leases, (state, nowMs) => leaseEntry(state, state.leases.get(lease), nowMs));
        return entry ? json(entry) : unknown('lease', `no live lease ${lease}`, 'unknown_lease');
      },
    }),
    operation({
      id: 'acquireLease',
      tag: 'leases',
      method: 'post',
      path: '/v1/leases',
      role: 'collector',
      summary: 'Leases an address, or several, by any condition.',
      headers: keyHeader,
      body: acquireBody,
      answers: {
        201: {
          description: 'Leased; with `count`, a list.',
          schema: acquired,
          headers: { Location: 'Where the lease is, of a single one.' },
        },
      },
      problems: { 404: 'No such resource.', 409: REFUSED_409, 507: 'The disk is full.' },
      handle: ({ body: { ttl_ms: ttlMs, ...wish }, ...request }) =>
        acquireOverHttp(options, request, { ttlMs, ...wish }, ({ grants, isMany }, own) => {
          if (isMany) return json({ leases: grants, ...own }, 201);
          const [grant] = grants;
          if (!grant) throw new Error('an acquire of one lease was granted none');
          const response = json({ ...grant, ...own }, 201);
          response.headers.set('Location', `/v1/leases/${grant.lease}`);
          return response;
        }),
    }),
    operation({
      id: 'renewLease',
      tag: 'leases',
      method: 'post',
      path: '/v1/leases/{lease}/renew',
      role: 'collector',
      summary: 'Prolongs a lease for its holder, from now on.',
      params,
      headers: secretHeader,
      body: v.strictObject({ ttl_ms: acquireTtl('Absent: the TTL that was last asked for.') }),
      isBodyOptional: true,
      answers: {
        200: {
          description: 'Renewed.',
          schema: v.object({ lease: idSchema, ttl_ms: v.number(), clamped: v.exactOptional(v.boolean()) }),
        },
      },
      problems: { 404: LEASE_404, 409: 'The lease has ended.', 507: 'The disk is full.' },
      handle: ({ params: { lease }, headers, body, caller }) =>
        renew(leases, lease, holderOf(caller, headers[SECRET_HEADER]), body.ttl_ms),
    }),
    operation({
      id: 'reportLease',
      tag: 'leases',
      method: 'post',
      path: '/v1/leases/{lease}/report',
      role: 'collector',
      summary: 'Says how the work through a lease goes, or went: until ten minutes after its end.',
      params,
      headers: secretHeader,
      body: v.strictObject({ outcome, requests }),
      isBodyOptional: true,
      answers: { 200: { description: 'Taken.', schema: v.object({ lease: idSchema, reported: v.literal(true) }) } },
      problems: { 404: LEASE_404, 507: 'The disk is full.' },
      async handle({ params: { lease }, headers, body, caller }) {
        const holder = holderOf(caller, headers[SECRET_HEADER]);
        if (!holder) return unknownLease(lease);
        const answer = await answerOf(leases, { type: 'ReportLease', holder, lease, ...body });
        if (answer.type === 'reported') return json({ lease, reported: true });
        return answer.code === 'not_holder' ? unknownLease(lease) : rejection(answer);
      },
    }),
    operation({
      id: 'endLease',
      tag: 'leases',
      method: 'delete',
      path: '/v1/leases/{lease}',
      role: 'collector',
      isFree: true,
      summary: 'Releases a lease for its holder; revokes it for an operator who is not its holder.',
      params,
      query: { deadline_ms: deadline, outcome, requests },
      headers: secretHeader,
      answers: {
        200: {
          description: 'It has ended.',
          schema: v.object({ lease: idSchema, end: v.picklist(LEASE_ENDS) }),
        },
        202: {
          description: 'Its revocation is announced.',
          schema: v.object({ lease: idSchema, revoking: v.literal(true), deadline_ms: v.number() }),
        },
      },
      problems: { 404: LEASE_404, 409: 'The lease had ended before.' },
      handle: ({ params: { lease }, query, headers, caller }) =>
        end(leases, lease, { ...query, secret: headers[SECRET_HEADER], caller }),
    }),
    operation({
      id: 'revokeLeases',
      tag: 'leases',
      method: 'post',
      path: '/v1/leases/revoke',
      role: 'operator',
      summary: 'Revokes many leases: those named, or all that meet a filter.',
      description:
        'Those that there are when it is asked; what is granted while it runs, substitutes for them included, stays.',
      body: v.pipe(
        v.strictObject({
          leases: v.exactOptional(v.pipe(v.array(idSchema), v.minLength(1), v.maxLength(REVOKED_AT_ONCE_MAX))),
          ...leaseFilter,
          deadline_ms: deadline,
        }),
        v.check(({ leases: named, deadline_ms: _deadline, ...filter }) => {
          return (named === undefined) !== (Object.keys(filter).length === 0);
        }, 'expected either leases or a filter'),
      ),
      answers: {
        200: {
          description: 'How many have ended, or will at the deadline.',
          schema: v.object({ revoked: v.number() }),
        },
      },
      async handle({ body: { leases: named, deadline_ms: deadlineMs = 0, ...filter }, request: { signal } }) {
        if (named) {
          const command = { type: 'RevokeLeases', leases: named, reason: 'operator', deadlineMs } as const;
          return json({ revoked: (await answerOf(leases, command)).leases.length });
        }
        return json({ revoked: await endLeases(leases, filter, { deadlineMs, signal }) });
      },
    }),
  ];
}

function acquireTtl(description: string) {
  return v.exactOptional(v.pipe(acquireFields.ttl_ms, v.description(description)));
}

function unknownLease(lease: number): Response {
  return unknown('lease', `no lease ${lease}`, 'unknown_lease');
}

async function renew(
  leases: LeasePort,
  lease: number,
  holder: ReturnType<typeof holderOf>,
  ttlMs: number | undefined,
): Promise<Response> {
  if (!holder) return unknownLease(lease);
  const answer = await answerOf(leases, { type: 'RenewLeases', holder, leases: [lease], ttlMs });
  if (answer.type === 'rejected') return rejection(answer);
  const [only] = answer.leases;
  if (!only) throw new Error('a renewal of one lease was answered for none');
  // Somebody else's lease looks like one that never was.
  if ('rejected' in only) return only.rejected.code === 'not_holder' ? unknownLease(lease) : rejection(only.rejected);
  return json({ lease, ttl_ms: only.ttlMs, ...(only.clamped ? { clamped: true } : {}) });
}

interface EndWish {
  readonly deadline_ms?: number;
  readonly outcome?: (typeof OUTCOMES)[number];
  readonly requests?: number;
  readonly secret: string | undefined;
  readonly caller: Caller;
}

async function end(leases: LeasePort, lease: number, wish: EndWish): Promise<Response> {
  const { deadline_ms: deadlineMs, secret, caller } = wish;
  const holder = holderOf(caller, secret);
  const mayRevoke = caller.role === 'operator' && secret === undefined;
  if (deadlineMs !== undefined && !mayRevoke) return invalid('deadline_ms', 'none: a lease is released at once');
  if (holder && deadlineMs === undefined) {
    const { outcome: how, requests: total } = wish;
    const answer = await answerOf(leases, { type: 'ReleaseLease', holder, lease, outcome: how, requests: total });
    if (answer.type === 'released') return json({ lease, end: 'released' });
    if (answer.code === 'lease_lost') {
      return problemResponse(409, answer.message, { reason: 'lease_lost', path: 'lease' });
    }
  }
  // Somebody else's lease looks like one that never was.
  return mayRevoke ? revoke(leases, lease, deadlineMs ?? 0) : unknownLease(lease);
}

async function revoke(leases: LeasePort, lease: number, deadlineMs: number): Promise<Response> {
  const answered = answerOf(leases, { type: 'RevokeLeases', leases: [lease], reason: 'operator', deadlineMs });
  // In the same turn: an earlier announcement may have set a nearer deadline.
  const announced = lookAt(leases, (state, nowMs) => {
    const revoking = state.leases.get(lease)?.revoking;
    return revoking && Math.max(0, Math.floor(revoking.atMs - nowMs));
  });
  const answer = await answered;
  if (answer.leases.length === 0) return unknown('lease', `no live lease ${lease}`, 'unknown_lease');
  const remainingMs = await announced;
  if (remainingMs === undefined) return json({ lease, end: 'revoked' });
  return json({ lease, revoking: true, deadline_ms: remainingMs }, 202);
}
