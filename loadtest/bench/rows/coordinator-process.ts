/** The coordinator as it ships, in a process and on a data folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = projectFolder(import.meta.dirname);
const MAIN = builtFile('server/main.js');
const COLLECTOR = builtFile('loadtest/bench/rows/collect-on-signal.js');
/** Imports of a million addresses at the start included. */
const READY_MS_MAX = 180_000;
const STOP_MS_MAX = 30_000;
/** Lines of its log kept, to show where it doesn't start or dies. */
const LINES_KEPT = 20;
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
  /** Where its data folder is made. */
  readonly dir: string;
  /** By name without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Written into a file that `--pool` names. */
  readonly pool?: Iterable<object>;
}

/** No snapshot is made by size while something is measured. */
export const WITHOUT_SNAPSHOTS = { 'snapshot-bytes': String(2 ** 36) };

export class CoordinatorProcess {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #lines: string[] = [];
  readonly #kill = () => this.#process.kill('SIGKILL');
  /** From the spawn to the line that says so. */
  readyMs = 0;
  port = 0;
  adminUrl = '';

  /** Resolves when it is ready. Throws with the end of its log where it isn't in time. */
  static async start({ dir, flags = {}, pool }: CoordinatorFlags): Promise<CoordinatorProcess> {
    const folder = await mkdtemp(join(dir, 'leasehold-scale-'));
    const poolFile = join(folder, 'pool.json');
    try {
      if (pool) await writePool(poolFile, pool);
      const all = {
        port: '0',
        'admin-port': '0',
        transport: 'uws',
        'data-dir': join(folder, 'data'),
        ...(pool ? { pool: poolFile } : {}),
        ...flags,
      };
      const coordinator = new CoordinatorProcess(
        folder,
        Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]),
      );
      await coordinator.#ready();
      return coordinator;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(folder: string, flags: readonly string[]) {
    this.#folder = folder;
    // Settings that this user runs another one with are not meant for this one.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_')));
    const arguments_ = ['--expose-gc', '--import', COLLECTOR, MAIN, ...flags];
    this.#process = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'pipe'], env });
    process.once('exit', this.#kill);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  async #ready(): Promise<void> {
    const startMs = performance.now();
    const ready = new Promise<{ port: number; adminPort: number }>((done, fail) => {
      for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
        createInterface(stream).on('line', (line) => {
          this.#lines.push(line);
          if (this.#lines.length > LINES_KEPT) this.#lines.shift();
          if (line.includes('"ready"')) done(JSON.parse(line) as { port: number; adminPort: number });
        });
      }
      this.#process.once('error', fail);
      this.#process.once('close', () => fail(new Error(`the coordinator ended:\n${this.#lines.join('\n')}`)));
      setTimeout(
        () => fail(new Error(`the coordinator is not ready:\n${this.#lines.join('\n')}`)),
        READY_MS_MAX,
      ).unref();
    });
    try {
      const { port, adminPort } = await ready;
      this.readyMs = performance.now() - startMs;
      this.port = port;
      this.adminUrl = `http://127.0.0.1:${adminPort}`;
    } catch (error) {
      await this.#end('SIGKILL');
      throw error;
    }
  }

  /** The body of an answer of the HTTP API. Throws where it isn't 2xx. */
  async post(path: string, body: string, type = 'application/json'): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.adminUrl}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path} is answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  async get(path: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.adminUrl}${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${path} is answered ${response.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** What it holds: read after it was made to collect all garbage, several times. */
  async settledMemory(): Promise<Memory> {
    await this.#heapBytes();
    for (let collection = 0; collection < COLLECTIONS; collection += 1) {
      this.#process.kill('SIGUSR2');
      // Answered behind the collection: there is one thread for both.
      await sleep(COLLECTION_PAUSE_MS);
      await this.#heapBytes();
    }
    return this.memory();
  }

  /** As it is, garbage included. */
  async memory(): Promise<Memory> {
    const heapBytes = await this.#heapBytes();
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
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
    const response = await fetch(`${this.adminUrl}/metrics`);
    const lines = (await response.text()).split('\n');
    return names.map((name) => Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)));
  }

  /** Ends it and removes its folder. */
  async close(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) {
      const closed = new Promise((done) => this.#process.once('close', done));
      this.#process.kill(signal);
      const timer = setTimeout(this.#kill, STOP_MS_MAX);
      await closed;
      clearTimeout(timer);
    }
    process.off('exit', this.#kill);
  }
}

/** Runs `use` beside a coordinator that ends with it. */
export async function withCoordinator<Value>(
  flags: CoordinatorFlags,
  use: (coordinator: CoordinatorProcess) => Promise<Value>,
): Promise<Value> {
  const coordinator = await CoordinatorProcess.start(flags);
  try {
    return await use(coordinator);
  } finally {
    await coordinator.close();
  }
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

/** Of what is built, by its place below dist/. */
export function builtFile(path: string): string {
  return join(ROOT, 'dist', path);
}

/** From sources as from what was built of them. */
function projectFolder(from: string): string {
  return existsSync(join(from, 'tsconfig.build.json')) ? from : projectFolder(dirname(from));
}
