/** The coordinator under load: the built one as a process, on ports and a folder that stay the same over a restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { poolOf, type Scenario } from './scenarios.ts';

const MAIN = resolve(import.meta.dirname, '../server/main.js');
const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 50;
/** Lines of its log that are shown where it failed. */
const LINES_SHOWN = 20;
/** What one page of the API has at most. */
const LEASES_MAX = 1_000;

export interface CoordinatorOptions {
  /** For its data, its pool and its log. */
  readonly folder: string;
  readonly addresses: number;
  /** Without dashes before them. */
  readonly flags: Readonly<Record<string, string>>;
}

export class Coordinator {
  readonly #ports: Readonly<Record<Scenario['target'], number>>;
  readonly #args: readonly string[];
  readonly #logFile: string;
  #child: ChildProcess | undefined;

  private constructor(ports: Readonly<Record<Scenario['target'], number>>, options: CoordinatorOptions, pool: string) {
    this.#ports = ports;
    this.#logFile = join(options.folder, 'coordinator.log');
    const flags = {
      port: String(ports.websocket),
      'admin-port': String(ports.admin),
      'data-dir': join(options.folder, 'data'),
      pool,
      ...options.flags,
    };
    this.#args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  }

  /** Not started yet: whoever has it can stop it, however far its start has come. */
  static async prepare(options: CoordinatorOptions, gateway: Scenario['target']): Promise<Coordinator> {
    const ports = {
      websocket: await freePort(),
      admin: await freePort(),
      reverse: await freePort(),
      redirect: await freePort(),
    };
    const pool = join(options.folder, 'pool.json');
    await writeFile(pool, JSON.stringify(poolOf(options.addresses)));
    const isGateway = gateway === 'reverse' || gateway === 'redirect';
    const listener: Record<string, string> = isGateway ? { [`${gateway}-port`]: String(ports[gateway]) } : {};
    return new Coordinator(ports, { ...options, flags: { ...options.flags, ...listener } }, pool);
  }

  url(target: Scenario['target']): string {
    return `${target === 'websocket' ? 'ws' : 'http'}://127.0.0.1:${this.#ports[target]}`;
  }

  /** Resolves once it is ready. Rejects with the end of its log where it ends before. */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN, ...this.#args], {
      stdio: ['ignore', log, log],
      // No LEASEHOLD_* variable of whoever runs this.
      env: { PATH: process.env['PATH'] },
    });
    closeSync(log);
    this.#child = child;
    const endMs = performance.now() + READY_MS_MAX;
    for (;;) {
      const answer = await fetch(`${this.url('admin')}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return;
      if (child.exitCode !== null || performance.now() > endMs) {
        await this.kill();
        throw new Error(`the coordinator didn't start:\n${await this.#lastLines()}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Live leases, LEASES_MAX at most. */
  async leases(): Promise<number> {
    const { leases } = (await this.#ask(`/v1/leases?limit=${LEASES_MAX}`)) as { leases: unknown[] };
    return leases.length;
  }

  /** What a durable counter has come to. */
  async counted(name: string): Promise<number> {
    const { counters } = (await this.#ask('/v1/counters')) as { counters: { counter: string; value: number }[] };
    return counters.find(({ counter }) => counter === name)?.value ?? 0;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await exited;
    clearTimeout(timer);
  }

  /** For the last moment of this process. */
  killNow(): void {
    this.#child?.kill('SIGKILL');
  }

  async #ask(path: string): Promise<unknown> {
    const response = await fetch(`${this.url('admin')}${path}`);
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
    return response.json();
  }

  async #lastLines(): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8');
    return log.trimEnd().split('\n').slice(-LINES_SHOWN).join('\n');
  }
}
