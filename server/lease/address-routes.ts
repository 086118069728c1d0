/** The pool over HTTP: what there is, and in what shape. */
import { Hono } from 'hono';
import * as v from 'valibot';
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
import type { DomainPort } from '../coordinator/coordinator.ts';
import type { Address } from './address.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './commands.ts';
import type { Bans, QuarantineRecord } from './pair.ts';
import { maskAddress } from './pool-file.ts';
import type { LeaseState } from './state.ts';

export type LeasePort = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

/** Ids that one page looks at, at most: a page may hold less than was asked for, and `next` says whether to go on. */
export const SCANNED_MAX = 10_000;

const changes = v.strictObject({ draining: v.boolean() });

export function addressRoutes(leases: LeasePort): Hono {
  const app = new Hono();
  app.get('/v1/addresses', async (context) => {
    const query = context.req.query();
    const page = readPage(query);
    if (!page.ok) return page.problem;
    const resource = query['resource'] === undefined ? undefined : positiveInteger(query['resource']);
    if (query['resource'] !== undefined && resource === undefined) return invalid('resource', 'a positive integer');
    return json(
      await lookAt(leases, (state, nowMs) => {
        const { found, next } = addressPage(state, page.value, (it) => resource === undefined || it.serves(resource));
        return { addresses: found.map((address) => addressEntry(address, nowMs)), ...next };
      }),
    );
  });
  app.patch('/v1/addresses/:address_id', boundedBody, async (context) => {
    const addressId = positiveInteger(context.req.param('address_id'));
    if (addressId === undefined) return invalid('address_id', 'a positive integer');
    const body = await readBody(context.req, changes);
    if (!body.ok) return body.problem;
    if (!(await isKnown(leases, addressId))) return unknownAddress(addressId);
    const { draining: isDraining } = body.value;
    const answered = answerOf(leases, { type: 'DrainAddress', addressId, isDraining });
    const changed = lookAt(leases, (state, nowMs) => {
      const address = findAddress(state, addressId);
      return address && addressEntry(address, nowMs);
    });
    await answered;
    const entry = await changed;
    return entry ? json(entry) : unknownAddress(addressId);
  });
  return app;
}

/** One that is still in the pool: a removed one only waits for its last lease to end. */
export function findAddress(state: LeaseState, addressId: number): Address | undefined {
  const address = state.addresses.get(addressId);
  return address?.removed ? undefined : address;
}

export function isKnown(leases: LeasePort, addressId: number): Promise<boolean> {
  return lookAt(leases, (state) => findAddress(state, addressId) !== undefined);
}

export function unknownAddress(addressId: number): Response {
  return unknown('address_id', `no address ${addressId}`, 'unknown_address');
}

/** The addresses behind `after` that are `wanted`, by rising ids, and where the next page begins if there is one. */
export function addressPage(
  state: LeaseState,
  { after, limit }: Page,
  wanted: (address: Address) => boolean,
): { readonly found: readonly Address[]; readonly next: { readonly next?: number } } {
  const found: Address[] = [];
  const last = Math.min(state.lastAddressId, after + SCANNED_MAX);
  for (let id = after + 1; id <= last; id += 1) {
    const address = findAddress(state, id);
    if (address && wanted(address)) found.push(address);
    if (found.length === limit) return { found, next: id < state.lastAddressId ? { next: id } : {} };
  }
  return { found, next: last < state.lastAddressId ? { next: last } : {} };
}

function addressEntry(address: Address, nowMs: number): object {
  const { id, country, rpw, resourceIds, isUnhealthy, isDraining, quarantine, bans } = address;
  return {
    address_id: id,
    address: maskAddress(address.address),
    country,
    rpw,
    resource_ids: resourceIds,
    healthy: !isUnhealthy,
    draining: isDraining,
    ...(quarantine ? { quarantine: quarantineFields(quarantine, bans, nowMs) } : {}),
  };
}

/** `level` counts the bans behind it; without `remaining_ms` it stands until it is lifted. */
export function quarantineFields({ reason, untilMs }: QuarantineRecord, bans: Bans | undefined, nowMs: number): object {
  const level = bans?.level ?? 0;
  return untilMs === Infinity
    ? { reason, level }
    : { reason, level, remaining_ms: Math.max(0, Math.floor(untilMs - nowMs)) };
}
