/**
 * The live leases of a snapshot: of a million that is most of it, and reading it is most of a start. So a record holds
 * thousands of them, as columns, and address after address: whoever reads has each address at hand once, and its leases come
 * to lie side by side in memory. The place of each in the order of the tokens, which is the state's, stands with it.
 */

import { existing } from './existing.ts';
import { decodeHolder, encodeHolder, type Holder } from './holder.ts';
import { holderName } from './idempotency.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { linkLease, sessionOf, usageChanged } from './lease-index.ts';
import type { LeaseTable } from './lease-table.ts';
import { decodeNumbers, encodeNumbers } from './number-column.ts';
import { type LeaseRecord, type RecordOf, type StateRecord, VERSIONS } from './snapshot-format.ts';
import { decodeRevoking, decodeTerms, encodeRevoking, encodeTerms } from './snapshot-records.ts';
import { type Lease, type LeaseState, NO_REQUESTS, sharedHolder } from './state.ts';

/** A record is closed by the address whose leases reach this number. */
const LEASES_PER_RECORD = 8_192;

const CLAMPED = 1;
const SETTLED = 2;
const BANNED = 4;

type LeasesRecord = RecordOf<'leases'>;

/** Leases that are read, until the last of them is there. */
export class RestoredLeases {
  readonly #leases: Lease[] = [];
  readonly #tokens: Float64Array;
  #count = 0;

  constructor(total: number) {
    this.#leases.length = total;
    this.#tokens = new Float64Array(total);
  }

  get isComplete(): boolean {
    return this.#count === this.#leases.length;
  }

  put(rank: number, lease: Lease): void {
    if (!(rank < this.#tokens.length) || this.#tokens[rank] !== 0) throw new Error(`two leases have rank ${rank}`);
    this.#leases[rank] = lease;
    this.#tokens[rank] = lease.token;
    this.#count += 1;
  }

  moveTo(table: LeaseTable): void {
    table.fill(this.#tokens, this.#leases);
  }
}

export function* encodeLeases(state: LeaseState): Generator<StateRecord> {
  const tokens = Float64Array.from(state.leases.keys());
  let leases: Lease[] = [];
  for (const address of state.addresses.values()) {
    leases.push(...address.leases);
    if (leases.length < LEASES_PER_RECORD) continue;
    yield encodeColumns(leases, tokens);
    leases = [];
  }
  if (leases.length > 0) yield encodeColumns(leases, tokens);
}

/** `tokens`: of all leases, in their order. */
function encodeColumns(leases: readonly Lease[], tokens: Float64Array): StateRecord {
  // By name: which leases share one object is no matter of the state.
  const holders = new Map<string, { readonly holder: Holder; readonly index: number }>();
  const addresses: number[] = [];
  for (const { holder, addressId } of leases) {
    const name = holderName(holder);
    if (!holders.has(name)) holders.set(name, { holder, index: holders.size });
    if (addresses.at(-2) === addressId) addresses[addresses.length - 1]! += 1;
    else addresses.push(addressId, 1);
  }
  const column = (of: (lease: Lease) => number) => encodeNumbers(leases.map(of));
  const sparse = <Value>(of: (lease: Lease) => Value | undefined) =>
    leases.flatMap((lease, index) => {
      const value = of(lease);
      return value === undefined ? [] : [[index, value] as const];
    });
  return [
    'leases',
    VERSIONS.leases,
    tokens.length,
    encodeNumbers(addresses),
    Array.from(holders.values(), ({ holder }) => encodeHolder(holder)),
    column(({ token }) => rankOf(tokens, token)),
    column(({ token }) => token),
    column(({ resource }) => resource),
    column(({ holder }) => holders.get(holderName(holder))!.index),
    column(({ request }) => request),
    column(({ ttlMs }) => ttlMs),
    column(({ deadlineMs }) => deadlineMs),
    column(({ grantedDay }) => grantedDay),
    column(({ requests }) => requests),
    column((lease) => (lease.clamped ? CLAMPED : 0) | (lease.settled ? SETTLED : 0) | (lease.isBanned ? BANNED : 0)),
    sparse(({ terms }) => terms && encodeTerms(terms)),
    sparse(({ revoking }) => revoking && encodeRevoking(revoking)),
    sparse(({ otherRequests }) => (otherRequests.length > 0 ? otherRequests : undefined)),
  ];
}

/** Where `token` stands among `tokens`, which rise. */
function rankOf(tokens: Float64Array, token: number): number {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (tokens[middle]! < token) low = middle + 1;
    else high = middle;
  }
  if (tokens[low] !== token) throw new Error(`lease ${token} is on an address, and not among the leases`);
  return low;
}

function columnsOf(record: LeasesRecord) {
  return {
    addresses: decodeNumbers(record[3]),
    ranks: decodeNumbers(record[5]),
    tokens: decodeNumbers(record[6]),
    resources: decodeNumbers(record[7]),
    heldBy: decodeNumbers(record[8]),
    requestIds: decodeNumbers(record[9]),
    ttlsMs: decodeNumbers(record[10]),
    deadlinesMs: decodeNumbers(record[11]),
    grantedDays: decodeNumbers(record[12]),
    requests: decodeNumbers(record[13]),
    flags: decodeNumbers(record[14]),
  };
}

export function restoreLeases(state: LeaseState, record: LeasesRecord): void {
  const [, , total, , holderRecords] = record;
  const { addresses, ranks, tokens, resources, heldBy, requestIds, ttlsMs, deadlinesMs, grantedDays, requests, flags } =
    columnsOf(record);
  const [terms, revoking, otherRequests] = [new Map(record[15]), new Map(record[16]), new Map(record[17])];
  const holders = holderRecords.map((holder) => sharedHolder(state, decodeHolder(holder)));
  const sessions = holders.map((holder) => sessionOf(state, holder));
  state.restored ??= new RestoredLeases(total);
  let index = 0;
  for (let run = 0; run < addresses.length; run += 2) {
    const address = existing(state.addresses, addresses[run]!);
    for (const end = index + addresses[run + 1]!; index < end; index += 1) {
      const termsFields = terms.get(index);
      const revokingFields = revoking.get(index);
      const lease: Lease = {
        token: tokens[index]!,
        resource: resources[index]!,
        addressId: address.id,
        holder: holders[heldBy[index]!]!,
        request: requestIds[index]!,
        otherRequests: otherRequests.get(index) ?? NO_REQUESTS,
        ttlMs: ttlsMs[index]!,
        clamped: (flags[index]! & CLAMPED) !== 0,
        deadlineMs: deadlinesMs[index]!,
        grantedDay: grantedDays[index]!,
        terms: termsFields && decodeTerms(termsFields),
        revoking: revokingFields && decodeRevoking(revokingFields),
        isBanned: (flags[index]! & BANNED) !== 0,
        requests: requests[index]!,
        settled: (flags[index]! & SETTLED) !== 0,
        end: undefined,
        endedAtMs: 0,
        expiryPlace: NOT_IN_HEAP,
        noticePlace: NOT_IN_HEAP,
        withdrawnPlace: NOT_IN_HEAP,
        listPlace: 0,
      };
      state.restored.put(ranks[index]!, lease);
      linkLease(state, lease, address, sessions[heldBy[index]!]);
    }
    // Strategies go by the leases that an address has.
    usageChanged(state, address);
  }
  if (!state.restored.isComplete) return;
  state.restored.moveTo(state.leases);
  state.restored = undefined;
}

/** The same, lease by lease: for who reads a record and has no state. */
export function leaseRecordsOf(record: LeasesRecord): LeaseRecord[] {
  const [, , , , holders] = record;
  const { addresses, tokens, resources, heldBy, requestIds, ttlsMs, deadlinesMs, grantedDays, requests, flags } =
    columnsOf(record);
  const [terms, revoking, otherRequests] = [new Map(record[15]), new Map(record[16]), new Map(record[17])];
  const addressIds: number[] = [];
  for (let run = 0; run < addresses.length; run += 2) {
    for (let nth = 0; nth < addresses[run + 1]!; nth += 1) addressIds.push(addresses[run]!);
  }
  return Array.from(tokens, (token, index) => [
    token,
    resources[index]!,
    addressIds[index]!,
    holders[heldBy[index]!]!,
    requestIds[index]!,
    ttlsMs[index]!,
    (flags[index]! & CLAMPED) !== 0,
    deadlinesMs[index]!,
    grantedDays[index]!,
    requests[index]!,
    (flags[index]! & SETTLED) !== 0,
    (flags[index]! & BANNED) !== 0,
    terms.get(index) ?? null,
    revoking.get(index) ?? null,
    otherRequests.get(index) ?? NO_REQUESTS,
  ]);
}
