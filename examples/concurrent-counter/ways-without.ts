/**
 * The same three ways as a program without leases has them: locks of the database, and no second attempt. Under repeatable
 * read and serializable only the lock on the table comes to the right total.
 */
import type { Database, IsolationLevel, Transaction } from './database.ts';
import { addInDatabase, takeSnapshot, type Way } from './ways.ts';

/** By their numbers, from 1 on. */
export function waysWithoutLeases(database: Database): readonly [Way, Way, Way] {
  return [
    way('lock on the table', 'table', addUnderTableLock),
    way('lock on the row', 'row', addUnderRowLock),
    way('add in the database', 'add', addInDatabase),
  ];

  function way(name: string, row: string, work: typeof addInDatabase): Way {
    const add = async (level: IsolationLevel, meet: () => Promise<void>) => {
      const value = await database.transaction(level, (transaction) => work(transaction, row, meet));
      return { value, attempts: 1 };
    };
    return { name, row, add };
  }
}

/**
 * The lock first, before any statement that reads: what a transaction sees is decided by its first SELECT, INSERT, UPDATE
 * or DELETE, and LOCK is none of them (PostgreSQL's manual, "LOCK", on repeatable read and serializable).
 */
async function addUnderTableLock(transaction: Transaction, row: string, meet: () => Promise<void>): Promise<number> {
  await meet();
  await transaction.query('lock table counters in exclusive mode');
  const { rows } = await transaction.query<{ value: number }>('select value from counters where name = $1', [row]);
  const value = (rows[0]?.value ?? 0) + 1;
  await transaction.query(
    `insert into counters (name, value) values ($1, $2)
     on conflict (name) do update set value = excluded.value`,
    [row, value],
  );
  return value;
}

/** A row that isn't there can't be locked: whoever is first makes it, and the others find it made. */
async function addUnderRowLock(transaction: Transaction, row: string, meet: () => Promise<void>): Promise<number> {
  await takeSnapshot(transaction);
  await meet();
  await transaction.query('insert into counters (name, value) values ($1, 0) on conflict (name) do nothing', [row]);
  const { rows } = await transaction.query<{ value: number }>('select value from counters where name = $1 for update', [
    row,
  ]);
  const value = rows[0]!.value + 1;
  await transaction.query('update counters set value = $2 where name = $1', [row, value]);
  return value;
}
