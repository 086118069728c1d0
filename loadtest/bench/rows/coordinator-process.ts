/** The coordinator as it ships, in a process and on a data folder of its own. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, withFolder } from '../processes.ts';
import { startCoordinator } from '../started-coordinator.ts';

const COLLECTOR = join(import.meta.dirname, 'collect-on-signal.js');
/** Imports of a million addresses at the start included. */
const READY_MS_MAX = 180_000;
/** Collections before memory is read: what one frees lets the next free more. */
const COLLECTIONS = 3;
const COLLECTION_PAUSE_MS = 400;
/** A bound of the coordinator's own histogram. */
export const SLOW_COMMIT_MS = 25;

/** Of a process, as the kernel and V8 count it. */
export interface Memory {
  /** All that is resident but files: heap, buffers, what libraries have allocated (RssAnon in /proc/PID/status). */
  readonly residentBytes: number;
  /** V8's heap in use and what hangs on it from outside: buffers, typed arrays. */
  readonly heapBytes: number;
}

export interface CoordinatorFlags {
  /** By name without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Written into a file that `--pool` names. */
  readonly pool?: Iterable<object>;
}

/** No snapshot is made by size while something is measured. */
export const WITHOUT_SNAPSHOTS = { 'snapshot-bytes': String(2 ** 36) };

export class CoordinatorProcess {
  readonly #server: Program;
  readonly port: number;
  readonly #adminUrl: string;
  /** From the spawn to the line that says so. */
  readonly readyMs: number;

  private constructor(server: Program, port: number, adminPort: number, readyMs: number) {
    this.#server = server;
    this.port = port;
    this.#adminUrl = `http://127.0.0.1:${adminPort}`;
    this.readyMs = readyMs;
  }

  /** Resolves when it is ready. Throws with the end of its log where it isn't in time. */
  static async start(folder: string, { flags = {}, pool }: CoordinatorFlags): Promise<CoordinatorProcess> {
    const poolFile = join(folder, 'pool.json');
    if (pool) await writePool(poolFile, pool);
    const startMs = performance.now();
    const { server, port, adminPort } = await startCoordinator(
      ['--expose-gc', '--import', COLLECTOR],
      { transport: 'uws', 'data-dir': join(folder, 'data'), ...(pool ? { pool: poolFile } : {}), ...flags },
      READY_MS_MAX,
    );
    return new CoordinatorProcess(server, port, adminPort, performance.now() - startMs);
  }

  /** The body of an answer of the HTTP API. Throws where it isn't 2xx. */
  async post(path: string, body: string, type = 'application/json'): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.#adminUrl}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path} is answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  async get(path: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.#adminUrl}${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${path} is answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** What it holds: read after it was made to collect all garbage, several times. */
  async settledMemory(): Promise<Memory> {
    await this.#heapBytes();
    for (let collection = 0; collection < COLLECTIONS; collection += 1) {
      this.#server.signal('SIGUSR2');
      // Answered behind the collection: there is one thread for both.
      await sleep(COLLECTION_PAUSE_MS);
      await this.#heapBytes();
    }
    return this.memory();
  }

  /** As it is, garbage included. */
  async memory(): Promise<Memory> {
    const heapBytes = await this.#heapBytes();
    const status = await readFile(`/proc/${this.#server.pid}/status`, 'utf8');
    return { residentBytes: 1_024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]), heapBytes };
  }

  /** Commits so far, and how many of them took the disk longer than SLOW_COMMIT_MS. */
  async commits(): Promise<{ readonly all: number; readonly slow: number }> {
    const [all = Number.NaN, quick = Number.NaN] = await this.#metrics([
      'leasehold_journal_commit_duration_seconds_count',
      `leasehold_journal_commit_duration_seconds_bucket{le="${SLOW_COMMIT_MS / 1_000}"}`,
    ]);
    return { all, slow: all - quick };
  }

  async #heapBytes(): Promise<number> {
    const [heap = Number.NaN, external = Number.NaN] = await this.#metrics([
      'nodejs_heap_size_used_bytes',
      'nodejs_external_memory_bytes',
    ]);
    return heap + external;
  }

  /** NaN for one that there isn't. */
  async #metrics(names: readonly string[]): Promise<number[]> {
    const response = await fetch(`${this.#adminUrl}/metrics`);
    const lines = (await response.text()).split('\n');
    return names.map((name) => Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)));
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

/** Runs `use` beside a coordinator that ends with it, and of which nothing stays. */
export async function withCoordinator<Value>(
  dir: string,
  flags: CoordinatorFlags,
  use: (coordinator: CoordinatorProcess) => Promise<Value>,
): Promise<Value> {
  return withFolder(dir, async (folder) => {
    const coordinator = await CoordinatorProcess.start(folder, flags);
    try {
      return await use(coordinator);
    } finally {
      await coordinator.stop();
    }
  });
}

/** Record by record: all of them as one text would be as long as a string may be. */
async function writePool(file: string, records: Iterable<object>): Promise<void> {
  const out = createWriteStream(file);
  let separator = '[';
  for (const record of records) {
    const isRoom = out.write(separator + JSON.stringify(record));
    separator = ',\n';
    if (!isRoom) await once(out, 'drain');
  }
  out.end(separator === '[' ? '[]' : ']');
  await finished(out);
}

/** Addresses as a pool has them, each for all of `resources`. */
export function* poolRecords(addresses: number, resources: readonly number[], first = 0): Generator<object> {
  for (let index = first; index < first + addresses; index += 1) {
    yield {
      address: `http://user${index}:secret@10.${index >>> 16}.${(index >>> 8) & 255}.${index & 255}:8080`,
      country: COUNTRIES[index % COUNTRIES.length]!,
      rpw: index % 1_000,
      resource_ids: resources,
    };
  }
}

const COUNTRIES = ['US', 'CA', 'DE', 'FR'];

export function idsTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
