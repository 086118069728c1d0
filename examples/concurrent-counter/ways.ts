/**
 * Three ways to count in a database, each of which comes to the right total at every isolation level:
 * 1. a lease on the whole table, 2. a lease on the row: whoever holds it reads, adds and writes, alone;
 * 3. an add in the database, which is made again where it met another one.
 * Beside them, a counter of the coordinator's own, which needs no database.
 */
import type { Client } from '../../protocol/client.ts';
import type { Database, IsolationLevel, Transaction } from './database.ts';
import { type Added, LateWriteError, repeating } from './repeating.ts';

/** Far longer than a transaction takes, and short enough to wait for where its holder is gone. */
const TTL_MS = 10_000;
/** For all who are ahead in line. */
const WAIT_MS = 60_000;

/**
 * What a lease is taken on. To the coordinator it is an address, which it leases to one at a time for a resource; nobody
 * connects to it. Resources are the kinds of things, addresses the things.
 */
export interface Guard {
  readonly resource: number;
  readonly address: string;
}
const TABLE: Guard = { resource: 901, address: 'counters:5432' };
const ROW: Guard = { resource: 902, address: 'row.counters:5432' };

const ADD_ROW = 'add';

/** What the coordinator's pool must hold. */
export const POOL = [TABLE, ROW].map(({ resource, address }) => ({
  address,
  country: 'XX',
  rpw: 0,
  resource_ids: [resource],
}));

export interface Way {
  readonly name: string;
  /** Where it counts. */
  readonly row: string;
  /** `meet` is awaited where nothing has been written yet: there a run may gather what is to be under way together. */
  add(level: IsolationLevel, meet: () => Promise<void>): Promise<Added>;
}

/** By their numbers, from 1 on. */
export function waysWithLeases(database: Database, client: Client, signal: AbortSignal): readonly [Way, Way, Way] {
  return [
    guardedWay('lease on the table', 'table', TABLE),
    guardedWay('lease on the row', 'row', ROW),
    { name: 'add in the database', row: ADD_ROW, add: (level, meet) => repeating(() => addInTransaction(level, meet)) },
  ];

  function addInTransaction(level: IsolationLevel, meet: () => Promise<void>): Promise<number> {
    return database.transaction(level, (transaction) => addInDatabase(transaction, ADD_ROW, meet));
  }

  function guardedWay(name: string, row: string, { resource, address }: Guard): Way {
    const addOnce = async (level: IsolationLevel) => {
      const where = { address: { eq: address } };
      await using lease = await client.acquire({ resource, where, ttlMs: TTL_MS, waitMs: WAIT_MS, signal });
      // Released only when the commit has been answered: the next holder's snapshot has what this one wrote. That is why
      // levels that refuse concurrent writes have nothing to refuse.
      return await database.transaction(level, (transaction) => readAddWrite(transaction, row, lease.token));
    };
    return { name, row, add: (level) => repeating(() => addOnce(level)) };
  }
}

/**
 * Reads, adds one and writes under a lease. That nobody else does so meanwhile is up to the lease, for as long as it
 * lives; the table itself makes sure that no harm is done by a holder whose lease was over before its work was. It takes
 * the write only
 * - with a later token than it has seen: so it refuses a holder that is late;
 * - on the row as it was read: so it refuses one whose predecessor was late, and committed after the row was read.
 * Under repeatable read and serializable the server itself says so, with a serialization failure.
 */
export async function readAddWrite(transaction: Transaction, row: string, token: number): Promise<number> {
  const seen = await readRow(transaction, row);
  return await writeRow(transaction, row, token, seen);
}

export interface RowSeen {
  readonly value: number;
  /** As text: the database's integers are larger than JavaScript's. Null: there was no row. */
  readonly token: string | null;
}

export async function readRow(transaction: Transaction, row: string): Promise<RowSeen> {
  const { rows } = await transaction.query<RowSeen>('select value, token from counters where name = $1', [row]);
  return rows[0] ?? { value: 0, token: null };
}

export async function writeRow(transaction: Transaction, row: string, token: number, seen: RowSeen): Promise<number> {
  const value = seen.value + 1;
  // Where there was no row and there is one now, `= null` refuses.
  const { rowCount } = await transaction.query(
    `insert into counters (name, value, token) values ($1, $2, $3)
     on conflict (name) do update set value = excluded.value, token = excluded.token
       where counters.token < excluded.token and counters.token = $4`,
    [row, value, token, seen.token],
  );
  if (rowCount === 0) throw new LateWriteError(`the table has seen a later write than token ${token} could know of`);
  return value;
}

/** One statement, atomic by itself: the first one makes the row. */
export async function addInDatabase(transaction: Transaction, row: string, meet: () => Promise<void>): Promise<number> {
  await takeSnapshot(transaction);
  await meet();
  const { rows } = await transaction.query<{ value: number }>(
    `insert into counters (name, value) values ($1, 1)
     on conflict (name) do update set value = counters.value + 1
     returning value`,
    [row],
  );
  return rows[0]!.value;
}

/**
 * A transaction hardly ever begins with its counter. Under repeatable read and serializable the first statement decides
 * what all of it sees, and that it can't write what others have written since.
 */
export async function takeSnapshot(transaction: Transaction): Promise<void> {
  await transaction.query('select 1');
}
