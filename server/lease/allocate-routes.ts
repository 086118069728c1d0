/** An address for curl and any language: resource and TTL in the path, the record and its lease in the answer. */
import * as v from 'valibot';
import { addressRecordSchema } from '../../protocol/frames.ts';
import { type Method, type Operation, operation } from '../admin/operation.ts';
import { idSchema, json, keyHeader } from '../admin/requests.ts';
import { acquireOverHttp, type HttpAcquireOptions } from './http-acquire.ts';
import { REFUSED_409 } from './http-answers.ts';
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

export function allocateRoutes(options: HttpAcquireOptions): Operation[] {
  return (['get', 'post'] as const).flatMap((method) => [
    operation({
      ...common(method),
      id: method === 'get' ? 'allocate' : 'allocateByPost',
      path: '/allocate/{resource}/{ttl}',
      summary: 'Leases an address for the resource.',
      params,
      handle: (request) => allocate(options, request, request.params),
    }),
    operation({
      ...common(method),
      id: method === 'get' ? 'allocateInCountry' : 'allocateInCountryByPost',
      path: '/allocate/{resource}/{ttl}/{country}',
      summary: 'Leases an address of the country for the resource.',
      params: { ...params, country },
      handle: (request) => allocate(options, request, request.params),
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

async function allocate(
  options: HttpAcquireOptions,
  request: Parameters<typeof acquireOverHttp>[1],
  wish: { readonly resource: number; readonly ttl: number; readonly country?: string },
): Promise<Response> {
  const { resource, ttl: ttlS, country: wanted } = wish;
  const where = wanted === undefined ? {} : { where: { country: { eq: wanted } } };
  const ttlMs = Math.max(1, Math.round(ttlS * 1_000));
  return acquireOverHttp(options, request, { resource, ttlMs, ...where }, ({ grants }, own) => {
    const [grant] = grants;
    if (!grant) throw new Error('an acquire of one lease was granted none');
    const { address, lease, ttl_ms } = grant;
    return json({ ...address, lease, ttl_ms, ...own });
  });
}
