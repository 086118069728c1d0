/** What the table makes of holders whose leases were over before their work was. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isSkipped } from '../../server/testing/is-skipped.ts';
import { type Database, ISOLATION_LEVELS, openDatabase } from './database.ts';
import { findPostgres, startPostgres } from './postgres.ts';
import { repeating } from './repeating.ts';
import { readAddWrite, readRow, writeRow } from './ways.ts';

const ROW = 'row';
const [FIRST, EARLIER, LATER] = [4, 5, 6];

const START_MS_MAX = 120_000;
const programs = await findPostgres();
const hasNone = isSkipped('late writes to PostgreSQL', programs === undefined ? 'none is found' : undefined);

function defer(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

let database: Database;
const cleanups: (() => Promise<unknown>)[] = [];

/** A server that is there already, as `DATABASE_URL` would name it. */
beforeAll(async () => {
  if (programs === undefined) return;
  const { signal } = new AbortController();
  const { connection, stop } = await startPostgres(programs, signal);
  cleanups.push(stop);
  const { host, user, database: name } = connection;
  database = await openDatabase(`postgres://${user}@/${name}?host=${encodeURIComponent(host)}`, signal, cleanups);
}, START_MS_MAX);
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

describe.skipIf(hasNone).each(ISOLATION_LEVELS)('at %s the table', (level) => {
  beforeEach(() => database.empty());

  /** Where the level itself refuses, it does so before the table can. */
  const refused = level.startsWith('read') ? 'late_write' : '40001';
  const write = (token: number) => database.transaction(level, (transaction) => readAddWrite(transaction, ROW, token));
  const total = async () => (await database.totals()).get(ROW);

  /** A holder that stops between its read and its write. */
  async function openReader(token: number) {
    const [hasRead, goOn] = [defer(), defer()];
    const done = database.transaction(level, async (transaction) => {
      const seen = await readRow(transaction, ROW);
      hasRead.resolve();
      await goOn.promise;
      return await writeRow(transaction, ROW, token, seen);
    });
    await Promise.race([hasRead.promise, done]);
    return () => {
      goOn.resolve();
      return done;
    };
  }

  /** A holder that stops between its write and its commit. */
  async function openWriter(token: number) {
    const [hasWritten, goOn] = [defer(), defer()];
    const done = database.transaction(level, async (transaction) => {
      await readAddWrite(transaction, ROW, token);
      hasWritten.resolve();
      await goOn.promise;
    });
    await Promise.race([hasWritten.promise, done]);
    return () => {
      goOn.resolve();
      return done;
    };
  }

  it('takes a later token and refuses one that is not', async () => {
    expect(await write(EARLIER)).toBe(1);
    expect(await write(LATER)).toBe(2);
    await expect(write(LATER)).rejects.toMatchObject({ code: 'late_write' });
    await expect(write(EARLIER)).rejects.toMatchObject({ code: 'late_write' });
    expect(await total()).toBe(2);
  });

  describe.each([
    ['an empty table', 0],
    ['a row', 1],
  ])('on %s', (_, before) => {
    beforeEach(async () => {
      if (before > 0) await write(FIRST);
    });

    it('refuses a holder whose successor has written since it read', async () => {
      const finishLate = await openReader(EARLIER);
      await write(LATER);
      await expect(finishLate()).rejects.toMatchObject({ code: refused });
      expect(await total()).toBe(before + 1);
    });

    it('refuses a holder whose predecessor committed after it had read, which then tries again', async () => {
      const commitLate = await openWriter(EARLIER);
      const finish = await openReader(LATER);
      await commitLate();
      await expect(finish()).rejects.toMatchObject({ code: refused });
      expect(await total()).toBe(before + 1);
      expect(await repeating(() => write(LATER))).toEqual({ value: before + 2, attempts: 1 });
    });

    it('lets a holder wait for the commit of its predecessor, refuses it and takes the next attempt', async () => {
      const commitLate = await openWriter(EARLIER);
      // Under way before the other one's commit, whichever comes first: the read, the write or the commit.
      const counting = repeating(() => write(LATER));
      await commitLate();
      expect((await counting).value).toBe(before + 2);
      expect(await total()).toBe(before + 2);
    });
  });
});

it.skipIf(hasNone)('what was made on a server that was there already is removed again', async () => {
  const schemas = () =>
    database.transaction('read committed', async (transaction) => {
      const sql = "select 1 from pg_namespace where nspname like 'leasehold%'";
      return (await transaction.query(sql)).rowCount;
    });
  expect(await schemas()).toBe(1);
  // What was put in last comes first: the schema, before the connections.
  await cleanups.pop()!();
  expect(await schemas()).toBe(0);
});
