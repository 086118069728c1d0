/** Quarantine over HTTP: of one address for one resource, or of an address for all of them. */
import { Hono } from 'hono';
import * as v from 'valibot';
import {
  answerOf,
  boundedBody,
  invalid,
  json,
  lookAt,
  positiveInteger,
  readBody,
  readPage,
  unknown,
} from '../admin/requests.ts';
import type { Address } from './address.ts';
import {
  addressPage,
  findAddress,
  isKnown,
  type LeasePort,
  quarantineFields,
  unknownAddress,
} from './address-routes.ts';
import { maskAddress } from './pool-file.ts';
import type { LeaseState } from './state.ts';

/** Longest that an operator may set; beyond it: none, until it is lifted. */
const QUARANTINE_MAX_MS = 365 * 86_400_000;

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const quarantineBody = v.strictObject({
  address_id: id,
  resource: v.exactOptional(id),
  for_ms: v.exactOptional(v.pipe(id, v.maxValue(QUARANTINE_MAX_MS))),
});

export function quarantineRoutes(leases: LeasePort): Hono {
  const app = new Hono();
  app.get('/v1/quarantine', async (context) => {
    const page = readPage(context.req.query());
    if (!page.ok) return page.problem;
    return json(
      await lookAt(leases, (state, nowMs) => {
        // `limit` counts addresses: all entries of one are on one page.
        const { found, next } = addressPage(state, page.value, isQuarantined);
        return { quarantine: found.flatMap((address) => entriesOf(address, nowMs)), ...next };
      }),
    );
  });
  app.post('/v1/quarantine', boundedBody, async (context) => {
    const body = await readBody(context.req, quarantineBody);
    return body.ok ? quarantine(leases, body.value) : body.problem;
  });
  for (const path of ['/v1/quarantine/:address_id', '/v1/quarantine/:address_id/:resource']) {
    app.delete(path, (context) => lift(leases, context.req.param('address_id'), context.req.param('resource')));
  }
  return app;
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

async function lift(leases: LeasePort, addressText: string | undefined, resourceText: string | undefined) {
  const addressId = positiveInteger(addressText);
  if (addressId === undefined) return invalid('address_id', 'a positive integer');
  const resource = resourceText === undefined ? undefined : positiveInteger(resourceText);
  if (resourceText !== undefined && resource === undefined) return invalid('resource', 'a positive integer');
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
