/** Quarantine over HTTP: of one address for one resource, or of an address for all of them. */
import * as v from 'valibot';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, idSchema, json, lookAt, nextSchema, pageOf, pageQuery, unknown } from '../admin/requests.ts';
import type { Address } from './address.ts';
import {
  addressPage,
  findAddress,
  isKnown,
  quarantineEntries,
  quarantineFields,
  unknownAddress,
} from './http-addresses.ts';
import type { LeasePort } from './http-answers.ts';
import { maskAddress } from './masking.ts';
import type { LeaseState } from './state.ts';

/** Longest that an operator may set; beyond it: none, until it is lifted. */
const QUARANTINE_MAX_MS = 365 * 86_400_000;

const quarantineBody = v.strictObject({
  address_id: idSchema,
  resource: v.exactOptional(v.pipe(idSchema, v.description('Absent: for all of them.'))),
  for_ms: v.exactOptional(
    v.pipe(idSchema, v.maxValue(QUARANTINE_MAX_MS), v.description('Absent: until it is lifted.')),
  ),
});
const quarantineShown = v.object({
  address_id: idSchema,
  address: v.pipe(v.string(), v.description('Without its credentials.')),
  resource: v.exactOptional(idSchema),
  ...quarantineEntries,
});
const lifted = v.object({ address_id: idSchema, resource: v.exactOptional(idSchema), lifted: v.literal(true) });
const address_id = idSchema;

export function quarantineRoutes(leases: LeasePort): Operation[] {
  return [
    operation({
      id: 'listQuarantine',
      tag: 'quarantine',
      method: 'get',
      path: '/v1/quarantine',
      role: 'operator',
      summary: 'Lists what is kept out, why, and how long still.',
      description: '`limit` counts addresses: all entries of one are on one page.',
      query: pageQuery,
      answers: {
        200: { description: 'One page.', schema: v.object({ quarantine: v.array(quarantineShown), next: nextSchema }) },
      },
      handle: async ({ query }) =>
        json(
          await lookAt(leases, (state, nowMs) => {
            const { found, next } = addressPage(state, pageOf(query), isQuarantined);
            return { quarantine: found.flatMap((address) => entriesOf(address, nowMs)), ...next };
          }),
        ),
    }),
    operation({
      id: 'quarantine',
      tag: 'quarantine',
      method: 'post',
      path: '/v1/quarantine',
      role: 'operator',
      summary: 'Keeps an address out, for one resource or for all; live leases of it are revoked.',
      body: quarantineBody,
      answers: { 201: { description: 'As it is now.', schema: quarantineShown } },
      problems: { 404: 'No such address, or it does not serve the resource.' },
      handle: ({ body }) => quarantine(leases, body),
    }),
    operation({
      id: 'liftAddressQuarantine',
      tag: 'quarantine',
      method: 'delete',
      path: '/v1/quarantine/{address_id}',
      role: 'operator',
      summary: 'Lets a whole address back in, and forgets the bans behind its quarantine.',
      params: { address_id },
      answers: { 200: { description: 'Lifted.', schema: lifted } },
      problems: { 404: 'No such address, or it is not in quarantine.' },
      handle: ({ params }) => lift(leases, params.address_id, undefined),
    }),
    operation({
      id: 'liftPairQuarantine',
      tag: 'quarantine',
      method: 'delete',
      path: '/v1/quarantine/{address_id}/{resource}',
      role: 'operator',
      summary: 'Lets an address back in for one resource.',
      params: { address_id, resource: idSchema },
      answers: { 200: { description: 'Lifted.', schema: lifted } },
      problems: { 404: 'No such address, or it is not in quarantine for the resource.' },
      handle: ({ params }) => lift(leases, params.address_id, params.resource),
    }),
  ];
}

async function quarantine(
  leases: LeasePort,
  { address_id: addressId, resource, for_ms: forMs }: v.InferOutput<typeof quarantineBody>,
): Promise<Response> {
  if (!(await isKnown(leases, addressId))) return unknownAddress(addressId);
  const answered = answerOf(leases, {
    type: 'Quarantine',
    addressId,
    ...(resource === undefined ? {} : { resource }),
    ...(forMs === undefined ? {} : { forMs }),
  });
  const made = lookAt(leases, (state, nowMs) => findEntry(state, addressId, resource, nowMs));
  const answer = await answered;
  if (answer.type === 'rejected') {
    if (answer.code !== 'unknown_resource') return unknownAddress(addressId);
    return unknown('resource', `address ${addressId} doesn't serve ${resource}`, answer.code);
  }
  const entry = await made;
  return entry ? json(entry, 201) : unknownAddress(addressId);
}

async function lift(leases: LeasePort, addressId: number, resource: number | undefined): Promise<Response> {
  if (!(await isKnown(leases, addressId))) return unknownAddress(addressId);
  const entry = await lookAt(leases, (state, nowMs) => findEntry(state, addressId, resource, nowMs));
  if (!entry) {
    const where = resource === undefined ? '' : ` for ${resource}`;
    return unknown('address_id', `${addressId} is not in quarantine${where}`, 'unknown_quarantine');
  }
  await answerOf(leases, { type: 'LiftQuarantine', addressId, ...(resource === undefined ? {} : { resource }) });
  return json({ address_id: addressId, ...(resource === undefined ? {} : { resource }), lifted: true });
}

function isQuarantined({ quarantine: own, pairs }: Address): boolean {
  return own !== undefined || [...(pairs?.values() ?? [])].some((pair) => pair.quarantine !== undefined);
}

/** That of the address first, then those of its pairs by resource. */
function entriesOf(address: Address, nowMs: number): object[] {
  const own = entryOf(address, undefined, nowMs);
  const resources = [...(address.pairs?.keys() ?? [])].sort((one, other) => one - other);
  return [own, ...resources.map((resource) => entryOf(address, resource, nowMs))].filter(
    (entry) => entry !== undefined,
  );
}

function findEntry(state: LeaseState, addressId: number, resource: number | undefined, nowMs: number) {
  const address = findAddress(state, addressId);
  return address && entryOf(address, resource, nowMs);
}

function entryOf(address: Address, resource: number | undefined, nowMs: number): object | undefined {
  const quarantined = resource === undefined ? address : address.pairs?.get(resource);
  if (!quarantined?.quarantine) return undefined;
  return {
    address_id: address.id,
    address: maskAddress(address.address),
    ...(resource === undefined ? {} : { resource }),
    ...quarantineFields(quarantined.quarantine, quarantined.bans, nowMs),
  };
}
