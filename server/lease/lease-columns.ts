/**
 * The live leases of a snapshot: of a million that is most of it, and reading it is most of a start. So a record holds
 * hundreds of them, as columns, and address after address: whoever reads has each address at hand once, and its leases come
 * to lie side by side in memory. The place of each in the order of the tokens, which is the state's, stands with it. Who holds
 * them stands in snapshot-holders.ts.
 */

import type { Address } from './address.ts';
import { existing } from './existing.ts';
import { decodeHolder, type Holder, type HolderRecord } from './holder.ts';
import { BANNED, CLAMPED, SETTLED } from './lease-fields.ts';
import { armLease, countLease, listLeases, sessionOf, usageChanged } from './lease-index.ts';
import type { LeaseRows } from './lease-rows.ts';
import type { LeaseTable } from './lease-table.ts';
import { decodeNumbers, encodeNumbers } from './number-column.ts';
import { type LeaseRecord, type RecordOf, type StateRecord, VERSIONS } from './snapshot-format.ts';
import { HolderNumbers, holderCountOf, holdersOf } from './snapshot-holders.ts';
import { decodeRevoking, decodeTerms, encodeRevoking, encodeTerms } from './snapshot-records.ts';
import { ensureResource, type LeaseState, type Resource, type Session, sharedHolder } from './state.ts';

/** A record is closed by the address whose leases reach this number: less than a millisecond's work. */
const LEASES_PER_RECORD = 512;

type LeasesRecord = RecordOf<'leases'>;

/** Room for `total` leases and some more: the first grant after a start isn't to wait until all have moved elsewhere. */
function roomFor(total: number): number {
  return total + (total >> 3) + 64;
}

interface RestoredHolder {
  readonly holder: Holder;
  readonly session: Session | undefined;
}

/** Leases that are read, until the last of them is there. */
export class RestoredLeases {
  /** By the numbers that they have in the snapshot, as far as it has been read. */
  readonly holders: RestoredHolder[] = [];
  readonly #tokens: Float64Array;
  readonly #rows: Int32Array;
  readonly #total: number;
  #count = 0;

  constructor(total: number) {
    this.#total = total;
    this.#tokens = new Float64Array(total);
    this.#rows = new Int32Array(total);
  }

  get isComplete(): boolean {
    return this.#count === this.#total;
  }

  put(rank: number, token: number, row: number): void {
    if (!(rank < this.#total) || this.#tokens[rank] !== 0) throw new Error(`two leases have rank ${rank}`);
    this.#tokens[rank] = token;
    this.#rows[rank] = row;
    this.#count += 1;
  }

  /** In the order in which they were granted. */
  moveTo(table: LeaseTable): void {
    table.fill(this.#tokens, this.#rows);
  }
}

/** All but those of this process, which die with it. */
export function* encodeLeases(state: LeaseState): Generator<StateRecord> {
  const { holders } = state.leases.rows;
  const isWritten = (row: number) => holders[row]!.kind !== 'process';
  const ephemeral = new Set<number>();
  for (const { leaseRows } of state.addresses.values()) {
    for (const row of leaseRows) if (!isWritten(row)) ephemeral.add(state.leases.rows.tokens[row]!);
  }
  const all = Float64Array.from(state.leases.keys());
  const tokens = ephemeral.size > 0 ? all.filter((token) => !ephemeral.has(token)) : all;
  const numbers = new HolderNumbers();
  let rows: number[] = [];
  for (const { leaseRows } of state.addresses.values()) {
    rows.push(...(ephemeral.size > 0 ? leaseRows.filter(isWritten) : leaseRows));
    if (rows.length < LEASES_PER_RECORD) continue;
    yield encodeColumns(state.leases.rows, rows, tokens, numbers);
    rows = [];
  }
  if (rows.length > 0) yield encodeColumns(state.leases.rows, rows, tokens, numbers);
}

/** Of those in `rows`, address after address. `tokens`: of all leases, in their order. */
function encodeColumns(
  leases: LeaseRows,
  rows: readonly number[],
  tokens: Float64Array,
  numbers: HolderNumbers,
): StateRecord {
  const addresses: number[] = [];
  const heldBy = rows.map((row) => numbers.numberOf(leases.holders[row]!));
  for (const row of rows) {
    const addressId = leases.addressIds[row]!;
    if (addresses.at(-2) === addressId) addresses[addresses.length - 1]! += 1;
    else addresses.push(addressId, 1);
  }
  const column = (values: ArrayLike<number>) => encodeNumbers(rows.map((row) => values[row]!));
  const sparse = <Value, Fields>(values: ReadonlyMap<number, Value>, encode: (value: Value) => Fields) => {
    if (values.size === 0) return [];
    return rows.flatMap((row, index) => {
      const value = values.get(row);
      return value === undefined ? [] : [[index, encode(value)] as const];
    });
  };
  return [
    'leases',
    VERSIONS.leases,
    tokens.length,
    encodeNumbers(addresses),
    numbers.take(),
    encodeNumbers(rows.map((row) => rankOf(tokens, leases.tokens[row]!))),
    column(leases.tokens),
    column(leases.resources),
    encodeNumbers(heldBy),
    column(leases.requestIds),
    column(leases.ttlsMs),
    column(leases.deadlinesMs),
    column(leases.grantedDays),
    column(leases.requests),
    column(leases.flags),
    sparse(leases.terms, encodeTerms),
    sparse(leases.revoking, encodeRevoking),
    sparse<readonly number[], readonly number[]>(leases.otherRequests, (requests) => requests),
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

/** `knownHolders`: how many of them the records before it have named. */
function columnsOf(record: LeasesRecord, knownHolders: number) {
  const addresses = decodeNumbers(record[3]);
  const tokens = decodeNumbers(record[6]);
  const columns = {
    ranks: decodeNumbers(record[5]),
    tokens,
    resources: decodeNumbers(record[7]),
    addressIds: addressIdsOf(addresses, tokens.length),
    heldBy: decodeNumbers(record[8]),
    requestIds: decodeNumbers(record[9]),
    ttlsMs: decodeNumbers(record[10]),
    deadlinesMs: decodeNumbers(record[11]),
    grantedDays: decodeNumbers(record[12]),
    requests: decodeNumbers(record[13]),
    flags: decodeNumbers(record[14]),
  };
  for (const [name, { length }] of Object.entries(columns)) {
    if (length !== tokens.length) throw new Error(`${tokens.length} leases have ${length} ${name}`);
  }
  const { ttlsMs, deadlinesMs, grantedDays, requests, resources, flags } = columns;
  const areSound = {
    ttlsMs: !(ttlsMs instanceof Float64Array) && ttlsMs.every((ttlMs) => ttlMs > 0),
    deadlinesMs: deadlinesMs.every(Number.isFinite),
    grantedDays: !(grantedDays instanceof Float64Array),
    requests: requests.every(Number.isFinite),
    resources: resources.every((resource) => Number.isSafeInteger(resource) && resource > 0),
    flags: flags instanceof Uint8Array,
  };
  for (const [name, isSound] of Object.entries(areSound)) {
    if (!isSound) throw new Error(`some ${name} of leases are no such thing`);
  }
  const holderCount = holderCountOf(record, knownHolders);
  const isHolder = (index: number) => index >= 0 && index < holderCount;
  if (columns.heldBy instanceof Float64Array || !columns.heldBy.every(isHolder))
    throw new Error('a lease has no holder');
  for (const sparse of [record[15], record[16], record[17]]) {
    for (const [index] of sparse) {
      if (!(index in tokens)) throw new Error(`something is said of lease ${index} of ${tokens.length}`);
    }
  }
  return { ...columns, addresses };
}

/** By lease, from each address and how many of them are on it. */
function addressIdsOf(addresses: ArrayLike<number>, count: number): Float64Array {
  const ids = new Float64Array(count);
  let index = 0;
  for (let run = 0; run < addresses.length; run += 2) {
    const [id, leases] = [addresses[run]!, addresses[run + 1]!];
    // Two that make up for each other would be taken for leases that aren't there, however many.
    if (!(Number.isInteger(leases) && leases >= 0)) throw new Error(`address ${id} has ${leases} leases`);
    ids.fill(id, index, index + leases);
    index += leases;
  }
  if (index !== count) throw new Error(`${index} of ${count} leases have an address`);
  return ids;
}

export function restoreLeases(state: LeaseState, record: LeasesRecord): void {
  const restored = state.restored ?? new RestoredLeases(record[2]);
  const columns = columnsOf(record, restored.holders.length);
  const { addresses, ranks, tokens, heldBy } = columns;
  const holders = holdersOf(record, restored.holders, (fields) => {
    const holder = sharedHolder(state, decodeHolder(fields));
    return { holder, session: sessionOf(state, holder) };
  });
  const { rows } = state.leases;
  if (!state.restored) {
    state.restored = restored;
    rows.reserve(roomFor(record[2]));
  }
  const first = rows.addAll(columns);
  for (const [index, fields] of record[15]) rows.terms.set(first + index, decodeTerms(fields));
  for (const [index, fields] of record[16]) rows.revoking.set(first + index, decodeRevoking(fields));
  for (const [index, requests] of record[17]) rows.otherRequests.set(first + index, requests);
  for (let index = 0; index < tokens.length; index += 1) {
    rows.holders[first + index] = holders[heldBy[index]!]!.holder;
    restored.put(ranks[index]!, tokens[index]!, first + index);
  }
  const served = new Map<number, ServedResource>();
  let row = first;
  for (let run = 0; run < addresses.length; run += 2) {
    const address = existing(state.addresses, addresses[run]!);
    const end = row + addresses[run + 1]!;
    address.setLeases(rows, row, end);
    for (; row < end; row += 1) {
      const resource = serve(state, served, address, rows.resources[row]!);
      const { holder, session } = holders[heldBy[row - first]!]!;
      countLease(state, { holder, ttlMs: rows.ttlsMs[row]! }, resource, session);
      if (!state.isReplaying) armLease(state, rows.at(row), address, resource, session);
    }
    // Strategies go by the leases that an address has.
    usageChanged(state, address);
  }
  if (!restored.isComplete) return;
  restored.moveTo(state.leases);
  state.restored = undefined;
  if (!state.isReplaying) listLeases(state);
}

/** A resource with leases in a record. */
interface ServedResource {
  readonly resource: Resource;
  /** Whose lease of it was the last; no other is to be on the same address. */
  addressId: number | undefined;
}

/** By what the record had before of the resource: whether each lease of an address is of another one costs one look each. */
function serve(state: LeaseState, served: Map<number, ServedResource>, address: Address, resourceId: number): Resource {
  let known = served.get(resourceId);
  if (!known) {
    known = { resource: ensureResource(state, resourceId), addressId: undefined };
    served.set(resourceId, known);
  }
  if (known.addressId === address.id)
    throw new Error(`address ${address.id} is granted twice for resource ${resourceId}`);
  known.addressId = address.id;
  return known.resource;
}

/**
 * The same, lease by lease: for who reads a snapshot and has no state. `known`: the holders that the records before it have
 * named; those that it names are added.
 */
export function leaseRecordsOf(record: LeasesRecord, known: HolderRecord[]): LeaseRecord[] {
  const { tokens, resources, addressIds, heldBy, requestIds, ttlsMs, deadlinesMs, grantedDays, requests, flags } =
    columnsOf(record, known.length);
  const holders = holdersOf(record, known, (holder) => holder);
  const [terms, revoking, otherRequests] = [new Map(record[15]), new Map(record[16]), new Map(record[17])];
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
    otherRequests.get(index) ?? [],
  ]);
}
