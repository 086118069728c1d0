/** One cell of the table: so many requests at one time, by one way, on an empty table. */
import { randomUUID } from 'node:crypto';
import type { Client } from '../../protocol/client.ts';
import { CONNECTIONS, type Database, type IsolationLevel } from './database.ts';
import { type Added, repeating } from './repeating.ts';
import type { Way } from './ways.ts';

export const REQUESTS = 100;
/** Its name at the coordinator. It stays there: what counts is by how much it rises. */
const OWN_COUNTER = 'concurrent-counter';

export interface Outcome {
  readonly total: number;
  /** From the first request to the last answer. */
  readonly tookMs: number;
  /** Second and later attempts of all requests together. */
  readonly retries: number;
  /** Requests that failed, by code: an SQLSTATE, or a word of the client library. */
  readonly failures: ReadonlyMap<string, number>;
}

export async function countBy(way: Way, level: IsolationLevel, database: Database): Promise<Outcome> {
  await database.empty();
  const meet = startLine(CONNECTIONS);
  const outcome = await allAtOnce(() => way.add(level, meet));
  return { ...outcome, total: (await database.totals()).get(way.row) ?? 0 };
}

/** The coordinator's own counter: durable, and added to in one step. By its key a request that is repeated counts once. */
export async function countByCoordinator(client: Client): Promise<Outcome> {
  const read = () => client.count({ counter: OWN_COUNTER, by: 0 });
  const before = await read();
  const outcome = await allAtOnce(() => {
    const key = randomUUID();
    return repeating(() => client.count({ counter: OWN_COUNTER, by: 1, key }));
  });
  return { ...outcome, total: (await read()) - before };
}

async function allAtOnce(add: () => Promise<Added>): Promise<Omit<Outcome, 'total'>> {
  const startMs = performance.now();
  const answers = await Promise.allSettled(Array.from({ length: REQUESTS }, add));
  const tookMs = performance.now() - startMs;
  const failures = new Map<string, number>();
  let retries = 0;
  for (const answer of answers) {
    if (answer.status === 'fulfilled') retries += answer.value.attempts - 1;
    else failures.set(codeOf(answer.reason), (failures.get(codeOf(answer.reason)) ?? 0) + 1);
  }
  return { tookMs, retries, failures };
}

function codeOf(error: unknown): string {
  const { code, reason, name } = error as { code?: string; reason?: string; name?: string };
  return code ?? reason ?? name ?? 'unknown';
}

/**
 * Lets the first `count` through once all of them are there, and whoever comes later at once. So as many transactions
 * have their snapshot before any of them writes, however slow or fast the machine is.
 */
export function startLine(count: number): () => Promise<void> {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let missing = count;
  return () => {
    missing -= 1;
    if (missing <= 0) open();
    return opened;
  };
}
