/** An address for curl and any language: resource and TTL in the path, the record and its lease in the answer. */
import * as v from 'valibot';
import { assertNever } from '../../protocol/assert.ts';
import { addressRecordSchema } from '../../protocol/frames.ts';
import { type Caller, type Method, type Operation, operation } from '../admin/operation.ts';
import { answerOf, idempotencyKey, idSchema, json, keyHeader, rejection } from '../admin/requests.ts';
import { holderOf, type LeasePort, ownerOf, REFUSED_409, refusal } from './http-answers.ts';
import { COUNTRY_LENGTH_MAX } from './pool-record.ts';

const TTL_S_MAX = 1e12;
const TTL_MESSAGE = 'expected a number of seconds above 0';
const ttl = v.pipe(
  v.number(TTL_MESSAGE),
  v.gtValue(0, TTL_MESSAGE),
  v.maxValue(TTL_S_MAX, TTL_MESSAGE),
  v.description('Seconds; to the millisecond. What is beyond the bounds is cut, and `ttl_ms` says to what.'),
);
const params = { resource: idSchema, ttl };
const country = v.pipe(v.string(), v.maxLength(COUNTRY_LENGTH_MAX), v.description('Compared without case.'));

const allocated = v.pipe(
  v.looseObject({
    ...addressRecordSchema.entries,
    lease: idSchema,
    ttl_ms: v.number(),
    secret: v.exactOptional(
      v.pipe(v.string(), v.description('To renew, report and release it; absent where a key says whose it is.')),
    ),
  }),
  v.description('The whole address record, the lease, and its TTL as granted.'),
);

export interface AllocateOptions {
  readonly leases: LeasePort;
  /** A fresh secret for a lease without a client behind it. */
  readonly newSecret: () => string;
}

export function allocateRoutes(options: AllocateOptions): Operation[] {
  return (['get', 'post'] as const).flatMap((method) => [
    operation({
      ...common(method),
      id: method === 'get' ? 'allocate' : 'allocateByPost',
      path: '/allocate/{resource}/{ttl}',
      summary: 'Leases an address for the resource.',
      params,
      handle: ({ params: { resource, ttl: ttlS }, headers, caller }) =>
        allocate(options, { resource, ttlS, country: undefined, ...idempotencyKey(headers, caller) }, caller),
    }),
    operation({
      ...common(method),
      id: method === 'get' ? 'allocateInCountry' : 'allocateInCountryByPost',
      path: '/allocate/{resource}/{ttl}/{country}',
      summary: 'Leases an address of the country for the resource.',
      params: { ...params, country },
      handle: ({ params: { resource, ttl: ttlS, country: wanted }, headers, caller }) =>
        allocate(options, { resource, ttlS, country: wanted, ...idempotencyKey(headers, caller) }, caller),
    }),
  ]);
}

function common(method: Method & ('get' | 'post')) {
  return {
    tag: 'leases',
    method,
    role: 'collector',
    // A lease whose token nobody gets to see helps nobody: no HEAD.
    changes: true,
    headers: keyHeader,
    answers: { 200: { description: 'Leased.', schema: allocated } },
    problems: { 404: 'No such resource.', 409: REFUSED_409, 507: 'The disk is full.' },
  } as const;
}

interface Wish {
  readonly resource: number;
  readonly ttlS: number;
  readonly country: string | undefined;
  readonly key?: string;
  readonly problem?: Response;
}

async function allocate({ leases, newSecret }: AllocateOptions, wish: Wish, caller: Caller): Promise<Response> {
  if (wish.problem) return wish.problem;
  const secret = caller.isAuthenticated ? undefined : newSecret();
  const answer = await answerOf(leases, {
    type: 'AcquireLease',
    holder: holderOf(caller, secret)!,
    ...ownerOf(caller),
    request: 0,
    resource: wish.resource,
    ttlMs: Math.max(1, Math.round(wish.ttlS * 1_000)),
    key: wish.key,
    ...(wish.country === undefined ? {} : { where: { country: { eq: wish.country } } }),
  });
  switch (answer.type) {
    case 'granted': {
      const [grant] = answer.grants;
      if (!grant) throw new Error('an acquire of one lease was granted none');
      const { address, lease, ttl_ms } = grant;
      return json({ ...address, lease, ttl_ms, ...(secret === undefined ? {} : { secret }) });
    }
    case 'refused':
      return refusal(answer);
    case 'rejected':
      return rejection(answer);
    case 'queued':
      throw new Error('an acquire that may not wait was queued');
    default:
      return assertNever(answer);
  }
}
