/** The pool over HTTP, address by address: what there is, and in what shape; put in, changed, taken out. */
import * as v from 'valibot';
import { addressRecordSchema } from '../../protocol/frames.ts';
import { TTL_MAX_MS } from '../../protocol/limits.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, idSchema, json, lookAt, nextSchema, pageOf, pageQuery, rejection } from '../admin/requests.ts';
import type { Address } from './address.ts';
import { addressEntry, addressPage, addressShown, findAddress, isKnown, unknownAddress } from './http-addresses.ts';
import type { LeasePort } from './http-answers.ts';
import { parseOneRecord } from './pool-intake.ts';
import type { PoolRecord } from './pool-record.ts';
import { knownResources } from './resources-bound.ts';
import type { LeaseState } from './state.ts';

export interface AddressRoutesOptions {
  readonly leases: LeasePort;
  /** Distinct resources at most. */
  readonly resourcesMax: number;
}

const params = { address_id: idSchema };
const { address: _address, ...otherFields } = addressRecordSchema.entries;
const labels = v.record(v.string(), v.string());

/** What a record may say beside the four fields is kept and returned as it is. */
const recordBody = v.pipe(
  v.looseObject({
    ...addressRecordSchema.entries,
    rpw: v.exactOptional(v.pipe(otherFields.rpw, v.description('0 where absent.'))),
    labels: v.exactOptional(labels),
    weight: v.exactOptional(v.number()),
  }),
  v.description('A pool record. Whatever else it carries is kept and returned with a grant.'),
);
const replacementBody = v.pipe(
  v.looseObject({
    ...recordBody.pipe[0].entries,
    address: v.exactOptional(v.pipe(v.string(), v.description('What it is known by; it can’t be another.'))),
  }),
  v.description('The whole record, but for its address, which stays.'),
);
const changes = v.strictObject({
  draining: v.exactOptional(v.pipe(v.boolean(), v.description('True: no new leases, and none revoked.'))),
  country: v.exactOptional(otherFields.country),
  rpw: v.exactOptional(otherFields.rpw),
  resource_ids: v.exactOptional(otherFields.resource_ids),
  labels: v.exactOptional(v.pipe(v.nullable(labels), v.description('null: none.'))),
  weight: v.exactOptional(v.pipe(v.nullable(v.number()), v.description('null: none.'))),
});
const deadline = v.pipe(
  v.number(),
  v.safeInteger(),
  v.minValue(0),
  v.maxValue(TTL_MAX_MS),
  v.description('Until its leases end; absent: as the policies of their resources say.'),
);

export function addressRoutes(options: AddressRoutesOptions): Operation[] {
  const { leases } = options;
  return [
    operation({
      id: 'listAddresses',
      tag: 'addresses',
      method: 'get',
      path: '/v1/addresses',
      role: 'operator',
      summary: 'Lists the pool by rising ids.',
      description:
        'A page looks at a bounded part of the pool, so it may be shorter than asked for while `next` is there.',
      query: {
        ...pageQuery,
        resource: v.exactOptional(v.pipe(idSchema, v.description('Only addresses that may serve this resource.'))),
      },
      answers: {
        200: { description: 'One page.', schema: v.object({ addresses: v.array(addressShown), next: nextSchema }) },
      },
      handle: async ({ query }) =>
        json(
          await lookAt(leases, (state, nowMs) => {
            const { resource } = query;
            const wanted = (it: Address) => resource === undefined || it.serves(resource);
            const { found, next } = addressPage(state, pageOf(query), wanted);
            return { addresses: found.map((address) => addressEntry(address, nowMs)), ...next };
          }),
        ),
    }),
    operation({
      id: 'addAddress',
      tag: 'addresses',
      method: 'post',
      path: '/v1/addresses',
      role: 'operator',
      summary: 'Puts an address into the pool.',
      body: recordBody,
      answers: {
        201: { description: 'As it is now.', schema: addressShown, headers: { Location: 'Where the address is.' } },
      },
      problems: { 409: 'It is in the pool already; `address_id` says as which.', 507: 'The disk is full.' },
      async handle({ body }) {
        const { resourcesMax } = options;
        const parsed = await lookAt(leases, (state) => parseRecord(state, resourcesMax, body));
        if ('problem' in parsed) return parsed.problem;
        const { record } = parsed;
        const answer = await answerOf(leases, { type: 'AddAddress', record, resourcesMax });
        if (answer.type === 'rejected') return rejection(answer);
        const { addressId } = answer;
        if (answer.type === 'duplicate') {
          const extras = { reason: 'duplicate_address', path: 'address', address_id: addressId };
          return problemResponse(409, `the address is in the pool already, as ${addressId}`, extras);
        }
        const response = await shown(leases, addressId, 201);
        response.headers.set('Location', `/v1/addresses/${addressId}`);
        return response;
      },
    }),
    operation({
      id: 'getAddress',
      tag: 'addresses',
      method: 'get',
      path: '/v1/addresses/{address_id}',
      role: 'operator',
      summary: 'Shows one address.',
      params,
      answers: { 200: { description: 'The address.', schema: addressShown } },
      problems: { 404: 'No such address.' },
      handle: ({ params: { address_id: addressId } }) => shown(leases, addressId),
    }),
    operation({
      id: 'replaceAddress',
      tag: 'addresses',
      method: 'put',
      path: '/v1/addresses/{address_id}',
      role: 'operator',
      summary: 'Gives an address another record. Leases of resources that it no longer serves are revoked.',
      params,
      body: replacementBody,
      answers: { 200: { description: 'As it is now.', schema: addressShown } },
      problems: { 404: 'No such address.', 507: 'The disk is full.' },
      handle: ({ params: { address_id: addressId }, body }) =>
        update(options, addressId, (known) => ({ ...body, address: body.address ?? known.address })),
    }),
    operation({
      id: 'updateAddress',
      tag: 'addresses',
      method: 'patch',
      path: '/v1/addresses/{address_id}',
      role: 'operator',
      summary: 'Changes some of what an address says of itself; drains it, or takes it into service again.',
      params,
      body: v.pipe(
        changes,
        v.check((given) => Object.keys(given).length > 0, 'expected at least one field'),
      ),
      answers: { 200: { description: 'As it is now.', schema: addressShown } },
      problems: { 404: 'No such address.', 507: 'The disk is full.' },
      async handle({ params: { address_id: addressId }, body: { draining, ...fields } }) {
        if (Object.keys(fields).length > 0) {
          const updated = await update(options, addressId, (known) => changed(known, fields));
          if (updated.status !== 200 || draining === undefined) return updated;
        }
        if (!(await isKnown(leases, addressId))) return unknownAddress(addressId);
        await answerOf(leases, { type: 'DrainAddress', addressId, isDraining: draining! });
        return shown(leases, addressId);
      },
    }),
    operation({
      id: 'removeAddress',
      tag: 'addresses',
      method: 'delete',
      path: '/v1/addresses/{address_id}',
      role: 'operator',
      summary: 'Takes an address out of the pool; its leases are revoked.',
      description:
        'The pool file of the next start doesn’t bring it back, unless its record there has changed. What goes through ' +
        'the forward proxy over it is cut at once, whatever the deadline.',
      params,
      query: { deadline_ms: v.exactOptional(deadline) },
      answers: { 204: { description: 'It is out.' } },
      problems: { 404: 'No such address.' },
      async handle({ params: { address_id: addressId }, query: { deadline_ms: deadlineMs } }) {
        const answer = await answerOf(leases, {
          type: 'RemoveAddress',
          addressId,
          ...(deadlineMs === undefined ? {} : { deadlineMs }),
        });
        return answer.type === 'rejected' ? unknownAddress(addressId) : new Response(null, { status: 204 });
      },
    }),
  ];
}

async function shown(leases: LeasePort, addressId: number, status = 200): Promise<Response> {
  const entry = await lookAt(leases, (state, nowMs) => {
    const address = findAddress(state, addressId);
    return address && addressEntry(address, nowMs);
  });
  return entry ? json(entry, status) : unknownAddress(addressId);
}

/** In one turn, so that nothing comes between what is known of the address and what is made of it. */
async function update(
  { leases, resourcesMax }: AddressRoutesOptions,
  addressId: number,
  make: (known: PoolRecord) => object,
): Promise<Response> {
  let parsed: ParsedRecord | undefined;
  const looked = lookAt(leases, (state) => {
    const known = findAddress(state, addressId)?.record;
    parsed = known && parseRecord(state, resourcesMax, make(known));
  });
  const answered =
    parsed && 'record' in parsed
      ? answerOf(leases, { type: 'UpdateAddress', addressId, record: parsed.record, resourcesMax })
      : undefined;
  await looked;
  if (!parsed) return unknownAddress(addressId);
  if ('problem' in parsed) return parsed.problem;
  const answer = await answered!;
  if (answer.type !== 'rejected') return shown(leases, addressId);
  return answer.path === 'address_id' ? unknownAddress(addressId) : rejection(answer);
}

/** null takes an optional field away; one that the record carries itself stays. */
function changed(known: PoolRecord, fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries({ ...known, ...fields }).filter(([name]) => fields[name] !== null));
}

type ParsedRecord = { readonly record: PoolRecord } | { readonly problem: Response };

/** By the rules of a pool file. */
function parseRecord(state: LeaseState, resourcesMax: number, value: object): ParsedRecord {
  const parsed = parseOneRecord(value, { resourcesMax, knownResources: knownResources(state) });
  if (parsed.ok) return parsed;
  const { problems } = parsed;
  const path = /^(\w+): /.exec(problems[0]!)?.[1];
  return { problem: problemResponse(422, problems.join('; '), path === undefined ? {} : { path }) };
}
