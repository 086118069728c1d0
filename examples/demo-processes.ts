/** The child processes of examples: real ones, so that they can really be killed. None outlives its example. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectorEvent } from './reference-client.ts';

const COORDINATOR = join(import.meta.dirname, '../server/main.js');
const COLLECTOR = join(import.meta.dirname, 'reference-client.js');

/** A child that was asked to stop and hasn't by then is killed; its exit says so. */
const STOP_MS_MAX = 15_000;
const READY_MS_MAX = 60_000;
const POLL_MS = 10;
/** Last lines of a child's output kept, to show when it fails. */
const LINES_KEPT = 40;
/** Events kept of one collector; more of them is a bug, for it waits between them. */
const EVENTS_MAX = 100_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly options?: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid'>;
  readonly onLine?: (line: string) => void;
  /** What `stop` asks with; default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** What nothing is asked with any more; default: SIGKILL. */
  readonly killSignal?: NodeJS.Signals;
}

export class Child {
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #stopSignal: NodeJS.Signals;
  readonly #killSignal: NodeJS.Signals;
  static readonly #alive = new Set<Child>();

  constructor({ command, args, options, onLine, stopSignal = 'SIGTERM', killSignal = 'SIGKILL' }: Program) {
    this.#process = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
    this.#stopSignal = stopSignal;
    this.#killSignal = killSignal;
    Child.#alive.add(this);
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line);
        if (this.#lines.length > LINES_KEPT) this.#lines.shift();
        onLine?.(line);
      });
    }
    // `close` comes after the last line of output, `exit` may come before it.
    this.exited = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) => {
        Child.#alive.delete(this);
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
    this.exited.catch(() => {});
  }

  get output(): string {
    return this.#lines.join('\n');
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async stop(): Promise<Exit> {
    this.kill(this.#stopSignal);
    const timer = setTimeout(() => this.kill(this.#killSignal), STOP_MS_MAX);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** For the last moment of this process, when nothing can be awaited any more. */
  static killAll(): void {
    for (const child of Child.#alive) child.kill(child.#killSignal);
  }
}

/** A program of ours, as it was built. */
export function nodeProgram(args: readonly string[]): Program {
  return { command: process.execPath, args: ['--enable-source-maps', ...args] };
}

/** An entry of `GET /v1/leases`, as far as the demo reads it. */
export interface LeaseEntry {
  readonly lease: number;
  readonly ttl_ms: number;
}

export interface CoordinatorOptions {
  readonly port: number;
  readonly adminPort: number;
  readonly dataDir: string;
  readonly pool: string;
  readonly heartbeatMs: number;
  /** Further ones, by name without dashes before it. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** The coordinator, on ports and a folder that stay the same from one start to the next. */
export class CoordinatorProcess {
  readonly url: string;
  readonly #adminUrl: string;
  readonly #args: readonly string[];
  #child: Child | undefined;

  constructor(options: CoordinatorOptions) {
    const { port, adminPort, dataDir, pool, heartbeatMs, flags: more } = options;
    this.url = `ws://127.0.0.1:${port}`;
    this.#adminUrl = `http://127.0.0.1:${adminPort}`;
    const flags = { port, 'admin-port': adminPort, 'data-dir': dataDir, pool, 'heartbeat-ms': heartbeatMs, ...more };
    this.#args = [COORDINATOR, ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])];
  }

  /** Resolves once it says that it is ready. */
  async start(signal: AbortSignal): Promise<void> {
    const child = new Child(nodeProgram(this.#args));
    this.#child = child;
    await until('the coordinator to be ready', READY_MS_MAX, signal, async () => {
      if (child.exit) throw new Error(`the coordinator didn't start:\n${child.output}`);
      const response = await fetch(`${this.#adminUrl}/readyz`, { signal }).catch(() => undefined);
      await response?.body?.cancel();
      return response?.ok || undefined;
    });
  }

  /** All live leases, as the coordinator believes. */
  async leases(signal: AbortSignal): Promise<LeaseEntry[]> {
    const response = await fetch(`${this.#adminUrl}/v1/leases?limit=1000`, { signal });
    if (!response.ok) throw new Error(`GET /v1/leases answered ${response.status}`);
    return ((await response.json()) as { leases: LeaseEntry[] }).leases;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
  }

  async stop(): Promise<Exit | undefined> {
    return this.#child?.stop();
  }
}

export type TimedEvent = CollectorEvent & { readonly atMs: number };
export type Grant = TimedEvent & { readonly event: 'granted' };

export interface CollectorFlags {
  readonly url: string;
  readonly name: string;
  readonly resource: number;
  readonly country?: string;
  readonly target: string;
  readonly ttlMs: number;
  readonly pagesPerLease: number;
}

/** A reference client and what it says of itself. */
export class CollectorProcess extends Child {
  readonly name: string;
  readonly resource: number;
  readonly #events: TimedEvent[];

  constructor({ url, name, resource, country, target, ttlMs, pagesPerLease }: CollectorFlags) {
    const events: TimedEvent[] = [];
    const paces = { 'ttl-ms': ttlMs, 'pages-per-lease': pagesPerLease };
    const given = Object.entries({ url, name, resource, country, target, ...paces }).filter(
      ([, value]) => value !== undefined,
    );
    const args = [COLLECTOR, '--tell-target', ...given.flatMap(([flag, value]) => [`--${flag}`, String(value)])];
    super({
      ...nodeProgram(args),
      onLine: (line) => {
        const event = parseEvent(line);
        if (event && events.length < EVENTS_MAX) events.push({ ...event, atMs: performance.now() });
      },
    });
    this.name = name;
    this.resource = resource;
    this.#events = events;
  }

  eventsOf<Name extends CollectorEvent['event']>(name: Name): (TimedEvent & { readonly event: Name })[] {
    return this.#events.filter((event): event is TimedEvent & { readonly event: Name } => event.event === name);
  }

  /** The grant it is working under, by what it has said so far. */
  get held(): Grant | undefined {
    const last = this.#events.findLast(({ event }) => event === 'granted' || event === 'released' || event === 'lost');
    return last?.event === 'granted' ? last : undefined;
  }
}

/** Asks again and again until the answer isn't undefined. Throws after `timeoutMs`, naming what it waited for. */
export async function until<Value>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal,
  look: () => Promise<Value | undefined> | Value | undefined,
): Promise<Value> {
  const startMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() - startMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/**
 * A port that was free a moment ago, below those that the system gives to outgoing connections: a collector that knocks
 * again and again while the coordinator is down would sooner or later be given the very port it knocks at.
 */
export async function freePort(): Promise<number> {
  while (true) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** Settings of a coordinator that this user runs elsewhere are not meant for this one. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_')));
}

/** Undefined for what is no event: a warning on stderr, say. */
function parseEvent(line: string): CollectorEvent | undefined {
  try {
    const value = JSON.parse(line) as CollectorEvent | null;
    return typeof value?.event === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
