/** The reference client as a program: flags, signals, one JSON line on stdout for each event. */
import { realpathSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LeaseholdError } from '../protocol/client.ts';
import type { CollectorOptions } from './reference-client.ts';

const USAGE = `usage: reference-client --url ws://HOST:PORT --resource ID --target URL
  --url wss://HOST:PORT  where the coordinator has TLS; NODE_EXTRA_CA_CERTS names the file of an authority of your own
  --name NAME            in the coordinator's logs (default: collector-PID)
  --country CODE         only addresses of this country
  --ttl-ms MS            of a lease, which is renewed while it is needed (default: 5000)
  --pages N              stop after so many (default: at SIGINT or SIGTERM)
  --pages-per-lease N    (default: 100)
  --wait-ms MS           the longest time in line for one request (default: 60000)
  --retry-max-ms MS      the longest pause where it can't be served now (default: 10000)
  --tell-target          send the headers x-lease and x-collector along
`;

const EXIT_USAGE = 64;

class UsageError extends Error {}

/**
 * Runs if `file` is what Node was started with. Until done or signalled: at the first signal it stops in order, at the
 * second at once, as the default is.
 */
export async function runIfProgram(
  file: string,
  runCollector: (options: CollectorOptions) => Promise<number>,
): Promise<void> {
  const program = process.argv[1];
  if (program === undefined || realpathSync(program) !== file) return;
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  try {
    const options = parseOptions(process.argv.slice(2), stop.signal);
    await runCollector(options);
  } catch (error) {
    // Told to stop before the coordinator was ever reached.
    if (error instanceof LeaseholdError && error.code === 'aborted') return;
    const isUsage = error instanceof UsageError;
    process.stderr.write(`${(error as Error).message}\n${isUsage ? USAGE : ''}`);
    process.exitCode = isUsage ? EXIT_USAGE : 1;
  }
}

export function parseOptions(argv: readonly string[], signal: AbortSignal): CollectorOptions {
  const flags = parseFlags(argv);
  const name = flags.name ?? `collector-${process.pid}`;
  return {
    url: flags.url ?? missing('url'),
    name,
    resource: count('resource', flags.resource ?? missing('resource')),
    target: target(flags.target ?? missing('target')),
    ...(flags.country === undefined ? {} : { country: flags.country }),
    ttlMs: count('ttl-ms', flags['ttl-ms'] ?? '5000'),
    ...(flags.pages === undefined ? {} : { pagesMax: count('pages', flags.pages) }),
    pagesPerLease: count('pages-per-lease', flags['pages-per-lease'] ?? '100'),
    waitMs: count('wait-ms', flags['wait-ms'] ?? '60000'),
    retryMaxMs: count('retry-max-ms', flags['retry-max-ms'] ?? '10000'),
    tellTarget: flags['tell-target'] ?? false,
    signal,
    log: (event) => console.log(JSON.stringify({ time: new Date().toISOString(), name, ...event })),
  };
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        url: { type: 'string' },
        name: { type: 'string' },
        resource: { type: 'string' },
        target: { type: 'string' },
        country: { type: 'string' },
        'ttl-ms': { type: 'string' },
        pages: { type: 'string' },
        'pages-per-lease': { type: 'string' },
        'wait-ms': { type: 'string' },
        'retry-max-ms': { type: 'string' },
        'tell-target': { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function missing(flag: string): never {
  throw new UsageError(`--${flag} is missing`);
}

function count(flag: string, text: string): number {
  if (!/^[1-9]\d{0,15}$/.test(text)) throw new UsageError(`--${flag}: expected a positive integer, got ${text}`);
  return Number(text);
}

/** Ends in a slash, so that what is below it can be named relative to it. */
function target(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new UsageError(`--target: expected a URL, got ${text}`);
  const url = new URL(text);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url.href;
}
