/** The table that is counted in, and how transactions on it are made. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { findPostgres, startPostgres } from './postgres.ts';

export const ISOLATION_LEVELS = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'] as const;
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number];

/** Transactions at one time; further ones wait in line for a connection, … */
export const CONNECTIONS = 20;
/** … each at most so long. */
const CONNECTION_WAIT_MS_MAX = 60_000;

/**
 * `value` is what is counted; `token` is that of the lease under which the row was written last, 0 where none guards it.
 * A way to count has a row of its own, by its name: a lease binds only those who take it, so different ways must not be
 * mixed over the same data.
 */
const TABLE = `create table counters (
  name text primary key,
  value integer not null,
  token bigint not null default 0
)`;

/** One connection, in the middle of a transaction. */
export type Transaction = Pick<pg.PoolClient, 'query'>;

export class Database {
  readonly version: string;
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool, version: string) {
    this.#pool = pool;
    this.version = version;
  }

  /** Commits what `work` did, and resolves once the server has said so; rolls back where it throws. */
  async transaction<Result>(
    level: IsolationLevel,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    const connection = await this.#pool.connect();
    let isBroken = false;
    try {
      await connection.query(`begin isolation level ${level}`);
      const result = await work(connection);
      await connection.query('commit');
      return result;
    } catch (error) {
      await connection.query('rollback').catch(() => {
        isBroken = true;
      });
      throw error;
    } finally {
      connection.release(isBroken);
    }
  }

  /** What has been counted, by row. */
  async totals(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.#pool.query<{ name: string; value: number }>('select name, value from counters');
    return new Map(rows.map(({ name, value }) => [name, value]));
  }

  async empty(): Promise<void> {
    await this.#pool.query('truncate counters');
  }
}

type Cleanup = () => Promise<unknown>;

/**
 * An empty table on the server that `url` names, else on one of our own. What must be undone again is put into
 * `cleanups` as it comes about.
 */
export async function openDatabase(
  url: string | undefined,
  signal: AbortSignal,
  cleanups: Cleanup[],
): Promise<Database> {
  const connection = url === undefined ? await ownServer(signal, cleanups) : { connectionString: url };
  // A folder of its own for the table, so that on another's server it meets nothing that is there.
  const schema = `leasehold_counter_${randomBytes(6).toString('hex')}`;
  const pool = new pg.Pool({
    ...connection,
    options: `-c search_path=${schema}`,
    application_name: 'leasehold-counter',
    max: CONNECTIONS,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: CONNECTION_WAIT_MS_MAX,
  });
  // An idle connection that breaks is replaced, and where that fails, whoever needs it is told.
  pool.on('error', () => {});
  cleanups.push(() => pool.end());
  await pool.query(`create schema ${schema}`);
  if (url !== undefined) cleanups.push(() => pool.query(`drop schema ${schema} cascade`));
  await pool.query(TABLE);
  await openAll(pool);
  const { rows } = await pool.query<{ server_version: string }>('show server_version');
  return new Database(pool, rows[0]!.server_version);
}

async function ownServer(signal: AbortSignal, cleanups: Cleanup[]) {
  const programs = await findPostgres();
  if (programs === undefined) {
    throw new Error('no PostgreSQL is installed (Debian: apt-get install postgresql), and no DATABASE_URL is set');
  }
  const { connection, stop } = await startPostgres(programs, signal);
  cleanups.push(stop);
  return { ...connection, ssl: false };
}

/** All of them at once, so that later nobody waits for one to be opened. Rejects where the server hasn't so many to give. */
async function openAll(pool: pg.Pool): Promise<void> {
  const opened = await Promise.allSettled(Array.from({ length: CONNECTIONS }, () => pool.connect()));
  for (const connection of opened) if (connection.status === 'fulfilled') connection.value.release();
  for (const connection of opened) if (connection.status === 'rejected') throw connection.reason;
}
