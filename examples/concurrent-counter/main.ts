/**
 * 100 concurrent requests to one counter, by three ways at each of PostgreSQL's four isolation levels, and by the
 * coordinator's own counter: thirteen times exactly 100. Beside it the same without leases and retries.
 *
 *   npm run example:counter                                            # the table
 *   node dist/examples/concurrent-counter/main.js --serve --port 8080  # the three ways over HTTP, until interrupted
 *
 * Starts a PostgreSQL and a coordinator, and removes them again. `DATABASE_URL` names a server to use instead, where it
 * makes a schema of its own and drops it again, `--url` a coordinator.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect, LeaseholdError } from '../../protocol/client.ts';
import { CoordinatorProcess, freePort } from '../demo-processes.ts';
import { type Cleanup, parseFlags, runExample, UsageError } from '../run-example.ts';
import { countBy, countByCoordinator, REQUESTS } from './contest.ts';
import { CONNECTIONS, type Database, ISOLATION_LEVELS, openDatabase } from './database.ts';
import { headerLines, isRight, type Row, rowLine, summaryLine } from './report.ts';
import { openServer } from './server.ts';
import { POOL, waysWithLeases } from './ways.ts';
import { waysWithoutLeases } from './ways-without.ts';

const USAGE = `usage: npm run example:counter -- [--serve] [--port N] [--url ws://HOST:PORT]
  --serve        the three ways over HTTP until interrupted, instead of the table
  --port N       where; 0 is any free one (default: 8080)
  --url URL      a coordinator to use instead of one of our own
  DATABASE_URL   (environment) a PostgreSQL to use instead of one of our own
`;
const PORT_DEFAULT = 8_080;
const PORT_MAX = 65_535;
const HEARTBEAT_MS = 2_000;

interface Flags {
  readonly serve: boolean;
  readonly port: number;
  readonly url: string | undefined;
}

function readFlags(args: readonly string[]): Flags {
  const options = { serve: { type: 'boolean' }, port: { type: 'string' }, url: { type: 'string' } } as const;
  const { serve = false, port = String(PORT_DEFAULT), url } = parseFlags(args, options);
  if (!/^\d{1,5}$/.test(port) || Number(port) > PORT_MAX) throw new UsageError(`--port: expected 0 to ${PORT_MAX}`);
  if (url !== undefined && !/^wss?:\/\//.test(url)) throw new UsageError('--url: expected ws://HOST:PORT');
  return { serve, port: Number(port), url };
}

/** A coordinator whose addresses stand for what is leased here. */
async function startCoordinator(signal: AbortSignal, cleanups: Cleanup[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-counter-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const pool = join(folder, 'pool.json');
  await writeFile(pool, JSON.stringify(POOL));
  const [port, adminPort] = [await freePort(), await freePort()];
  const dataDir = join(folder, 'snapshots');
  const coordinator = new CoordinatorProcess({ port, adminPort, dataDir, pool, heartbeatMs: HEARTBEAT_MS });
  cleanups.push(() => coordinator.stop());
  await coordinator.start(signal);
  return coordinator.url;
}

/** Rejects where the coordinator hasn't got what is to be leased: it may be another's. */
async function checkPool(client: Client): Promise<void> {
  for (const record of POOL) {
    const where = { address: { eq: record.address } };
    const explained = client.explain({ resource: record.resource_ids[0]!, where, ttlMs: 1_000 });
    const states = await explained.then(
      ({ why }) => Object.values(why.states),
      (error: unknown) => {
        if (error instanceof LeaseholdError && error.code === 'unknown_resource') return [];
        throw error;
      },
    );
    if (states.every((count) => count === 0)) {
      throw new Error(`the coordinator's pool lacks ${JSON.stringify(record)}`);
    }
  }
}

/** The exit code. */
async function printTable(database: Database, client: Client, signal: AbortSignal): Promise<number> {
  console.log(
    `${REQUESTS} requests at one time, on an empty table each time; PostgreSQL ${database.version}, ${CONNECTIONS} connections`,
  );
  for (const line of headerLines()) console.log(line);
  const rows: Row[] = [];
  const print = (row: Row) => {
    rows.push(row);
    console.log(rowLine(row));
  };
  const withouts = waysWithoutLeases(database);
  for (const [index, way] of waysWithLeases(database, client, signal).entries()) {
    for (const level of ISOLATION_LEVELS) {
      const outcome = await countBy(way, level, database);
      signal.throwIfAborted();
      const without = await countBy(withouts[index]!, level, database);
      signal.throwIfAborted();
      print({ way: way.name, level, outcome, without });
    }
  }
  print({ way: 'counter of Leasehold', level: '-', outcome: await countByCoordinator(client) });
  signal.throwIfAborted();
  console.log(summaryLine(rows));
  return rows.every(({ outcome }) => isRight(outcome)) ? 0 : 1;
}

/** Until interrupted. */
async function serve(database: Database, client: Client, port: number, signal: AbortSignal): Promise<void> {
  const server = await openServer(waysWithLeases(database, client, signal), database, port);
  console.log(`http://127.0.0.1:${server.port}/api/v1/endpoint/counter/{1|2|3} and /count`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
}

async function run({ serve: isServing, port, url }: Flags, signal: AbortSignal, cleanups: Cleanup[]): Promise<number> {
  const client = await connect({ url: url ?? (await startCoordinator(signal, cleanups)), client: 'counter', signal });
  cleanups.push(() => client.close());
  await checkPool(client);
  const database = await openDatabase(process.env['DATABASE_URL'], signal, cleanups);
  if (!isServing) return printTable(database, client, signal);
  await serve(database, client, port, signal);
  return 0;
}

await runExample(USAGE, ({ args, signal, cleanups }) => run(readFlags(args), signal, cleanups));
