/**
 * Sends 100 requests at one time to a counter that is served, and says what became of the count:
 *
 *   node dist/examples/concurrent-counter/drive.js -d 127.0.0.1:8080 -n 2 [--isolation LEVEL]
 *
 * Exits with 0 where it rose by exactly 100.
 */
import { parseArgs } from 'node:util';
import { REQUESTS } from './contest.ts';

const USAGE = `usage: drive -d HOST:PORT -n METHOD [--isolation LEVEL]
  -d HOST:PORT         where the counter is served
  -n METHOD            1: lease on the table, 2: lease on the row, 3: add in the database
  --isolation LEVEL    of its transactions (default: read committed)
`;
const EXIT_USAGE = 64;
/** The longest for all of the requests. */
const TIMEOUT_MS = 120_000;

class UsageError extends Error {}

interface Drive {
  /** `http://127.0.0.1:8080` */
  readonly origin: string;
  readonly method: string;
  readonly isolation: string | undefined;
}

function parseDrive(args: readonly string[]): Drive {
  const options = {
    destination: { type: 'string', short: 'd' },
    method: { type: 'string', short: 'n' },
    isolation: { type: 'string' },
  } as const;
  let values: { destination?: string; method?: string; isolation?: string };
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { destination = '', method = '', isolation } = values;
  const origin = `http://${destination}`;
  if (!/^[^/?#@]+:\d{1,5}$/.test(destination) || !URL.canParse(origin)) throw new UsageError('-d: expected HOST:PORT');
  if (!/^[123]$/.test(method)) throw new UsageError('-n: expected 1, 2 or 3');
  return { origin, method, isolation };
}

/** The exit code. */
async function drive({ origin, method, isolation }: Drive): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const query = isolation === undefined ? '' : `?isolation=${encodeURIComponent(isolation)}`;
  const url = `${origin}/api/v1/endpoint/counter/${method}${query}`;
  const before = await readCount(origin, signal);
  const startMs = performance.now();
  const answers = await Promise.allSettled(Array.from({ length: REQUESTS }, () => post(url, signal)));
  const tookMs = performance.now() - startMs;
  const after = await readCount(origin, signal);

  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [String(answer.reason)] : []));
  console.log(`count before: ${before}`);
  console.log(`count after:  ${after}, ${REQUESTS} requests and ${Math.round(tookMs)} ms later`);
  console.log(`failures:     ${failures.length}`);
  for (const failure of new Set(failures)) console.log(`  ${failure}`);
  return after - before === REQUESTS && failures.length === 0 ? 0 : 1;
}

async function post(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { method: 'POST', signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
}

async function readCount(origin: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(`${origin}/count`, { signal });
  const { count } = (await response.json()) as { count?: unknown };
  if (!response.ok || typeof count !== 'number') throw new Error(`${origin}/count answered ${response.status}`);
  return count;
}

try {
  process.exitCode = await drive(parseDrive(process.argv.slice(2)));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`${isUsage ? `${error.message}\n${USAGE}` : String((error as Error).cause ?? error)}\n`);
  process.exitCode = isUsage ? EXIT_USAGE : 1;
}
