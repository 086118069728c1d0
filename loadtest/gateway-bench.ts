/**
 * The gateway beside its peers: each row is one load (wrk, 50 connections, keep-alive) on ours and on each peer in turn, round
 * after round in one run, so that a noisy machine is noisy for all of them. What counts is the ratio.
 *
 *   npm run bench:gateway [-- --seconds N] [-- --rounds N] [-- --row NAME] [-- --dir FOLDER] [-- --json FILE]
 *
 * Needs wrk and nginx (Debian's), tinyproxy for the row forward, and `npm ci --prefix loadtest` for http-proxy-3. Everybody has one process that
 * works, and writes a line for each request but http-proxy-3, which can't; ours is measured with and without.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { freePort } from './free-port.ts';

const CONNECTIONS = 50;
const READY_MS_MAX = 20_000;
const ROOT = resolve(import.meta.dirname, '../..');
const VIDEO = 'http://s1.origin.example/path';
const RESOURCE = 7;
/** One for each connection and a few to spare: each of them is leased while a request is under way. */
const ADDRESSES = 100;

const runFile = promisify(execFile);

interface Contestant {
  readonly name: string;
  readonly url: string;
  /** A script for wrk, by its path. */
  readonly script?: string;
  /** It closes each connection behind its answer, which wrk calls a read error. */
  readonly isClosing?: true;
}

interface Row {
  readonly name: string;
  /** The first is ours, and so may be others; the peers come last. */
  readonly contestants: readonly Contestant[];
}

interface Measured {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Answers other than 2xx and 3xx, and connections that failed. */
  readonly failed: number;
}

const children: ChildProcess[] = [];

function start(command: string, args: readonly string[], folder: string): void {
  const out = openSync(join(folder, `${children.length}.log`), 'w');
  children.push(spawn(command, args, { cwd: folder, stdio: ['ignore', out, out] }));
}

async function listening(port: number): Promise<void> {
  const endMs = performance.now() + READY_MS_MAX;
  for (;;) {
    const isThere = await new Promise<boolean>((done) => {
      const socket = dial(port, '127.0.0.1', () => done(true));
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isThere) return;
    if (performance.now() > endMs) throw new Error(`nobody listens on ${port} after ${READY_MS_MAX} ms`);
    await sleep(50);
  }
}

/** Targets, upstream proxies, the redirect and the reverse proxy of nginx, all in one configuration. */
function nginxConf(folder: string, ports: { target: number; reverse: number; redirect: number }): string {
  return `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream targets { server 127.0.0.1:${ports.target}; keepalive 256; keepalive_requests 1000000000; }
  server { listen 0.0.0.0:${ports.target} backlog=4096; location / { return 200 "Hello, world!"; } }
  server { listen 127.0.0.1:${ports.reverse} backlog=4096; access_log ${folder}/access.log;
    location / { proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection ""; } }
  server { listen 127.0.0.1:${ports.redirect} backlog=4096; access_log ${folder}/redirect.log;
    location / { return 301 http://cdn.example.com/s1/path; } }
}`;
}

function tinyproxyConf(port: number, target: number): string {
  return `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 512\nLogLevel Critical\nAllow 127.0.0.1\nUpstream http 127.0.0.1:${target}\n`;
}

/** wrk asks a proxy by the whole URL. */
function proxyScript(target: number, user: string | undefined): string {
  const authorization = user === undefined ? '' : `Basic ${Buffer.from(`${user}:`).toString('base64')}`;
  const header = authorization === '' ? '' : `wrk.headers["Proxy-Authorization"] = "${authorization}"\n`;
  return `${header}wrk.headers["Host"] = "127.0.0.1:${target}"
request = function() return wrk.format("GET", "http://127.0.0.1:${target}/") end\n`;
}

async function load({ url, script, isClosing }: Contestant, seconds: number): Promise<Measured> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--latency', ...(script ? ['-s', script] : []), url];
  const { stdout } = await runFile('wrk', args);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const [, p99 = 'NaN', unit = 'ms'] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  const others = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const [connect = 0, read = 0, write = 0, timeout = 0] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  const failed = others + connect + (isClosing ? 0 : read) + write + timeout;
  return { perSecond, p99Ms: Number(p99) * { us: 0.001, ms: 1, s: 1_000 }[unit as 'us' | 'ms' | 's'], failed };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Prints the row; returns of each contestant what it came to, round by round. */
async function measure({ name, contestants }: Row, seconds: number, rounds: number): Promise<object[]> {
  const measured = contestants.map((): Measured[] => []);
  for (const contestant of contestants) await load(contestant, 2);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, contestant] of contestants.entries()) {
      measured[index]!.push(await load(contestant, seconds));
      process.stderr.write(`${name}: round ${round} of ${rounds}, ${contestant.name}\n`);
    }
  }
  const ratesOf = (index: number) => measured[index]!.map(({ perSecond }) => perSecond);
  for (const [index, contestant] of contestants.entries()) {
    const runs = measured[index]!;
    const p99Ms = median(runs.map((run) => run.p99Ms));
    const failed = runs.reduce((sum, run) => sum + run.failed, 0);
    // Round by round: what disturbs one of them disturbs its neighbour.
    const ratio = median(ratesOf(0).map((rate, round) => rate / ratesOf(index)[round]!));
    const cells = [
      name.padEnd(10),
      contestant.name.padEnd(34),
      `${Math.round(median(ratesOf(index)))}/s`.padStart(10),
      `p99 ${p99Ms.toFixed(1)} ms`.padStart(14),
      `failed ${failed}`.padStart(12),
      index === 0 ? '' : `ours is ${ratio.toFixed(2)} of it`,
    ];
    console.log(cells.join('  ').trimEnd());
  }
  return contestants.map((contestant, index) => ({ row: name, name: contestant.name, rounds: measured[index]! }));
}

async function coordinator(folder: string, name: string, flags: Readonly<Record<string, string>>): Promise<void> {
  const pairs = { 'data-dir': join(folder, name), port: '0', 'admin-port': '0', ...flags };
  const main = join(ROOT, 'dist/server/main.js');
  start(process.execPath, [main, ...Object.entries(pairs).flatMap(([flag, value]) => [`--${flag}`, value])], folder);
}

/** Starts all that takes part; tinyproxy only where it is asked for. */
async function rows(folder: string, only: string | undefined): Promise<Row[]> {
  const names = [
    'target',
    'reverse',
    'redirect',
    'ours',
    'oursQuiet',
    'oursRedirect',
    'oursForward',
    'peer',
    'tiny',
  ] as const;
  const ports = {} as Record<(typeof names)[number], number>;
  for (const name of names) ports[name] = await freePort();
  await writeFile(join(folder, 'nginx.conf'), nginxConf(folder, ports));
  await writeFile(join(folder, 'tinyproxy.conf'), tinyproxyConf(ports.tiny, ports.target));
  const addresses = Array.from({ length: ADDRESSES }, (_, index) => `127.0.1.${index + 1}:${ports.target}`);
  const pool = addresses.map((address) => ({ address, country: 'US', rpw: 0, resource_ids: [RESOURCE] }));
  await writeFile(join(folder, 'pool.json'), JSON.stringify(pool));
  const scripts = { ours: join(folder, 'ours.lua'), peer: join(folder, 'peer.lua') };
  await writeFile(scripts.ours, proxyScript(ports.target, `user-resource-${RESOURCE}`));
  await writeFile(scripts.peer, proxyScript(ports.target, undefined));

  const url = (port: number) => `http://127.0.0.1:${port}/`;
  start('nginx', ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'nginx-error.log')], folder);
  const isForwarding = only === undefined || only === 'forward';
  if (isForwarding) start('tinyproxy', ['-d', '-c', join(folder, 'tinyproxy.conf')], folder);
  start(
    process.execPath,
    [join(ROOT, 'loadtest/peers/http-proxy-3.js'), String(ports.peer), url(ports.target)],
    folder,
  );
  const targets = `127.0.0.1:${ports.target}`;
  await coordinator(folder, 'reverse', { 'reverse-port': String(ports.ours), targets });
  await coordinator(folder, 'quiet', { 'reverse-port': String(ports.oursQuiet), targets, 'log-level': 'warn' });
  await coordinator(folder, 'others', {
    'redirect-port': String(ports.oursRedirect),
    'forward-port': String(ports.oursForward),
    'forward-allow': '127.0.0.1',
    // nginx stands for the upstream proxies, and takes whole URLs but no tunnels.
    'forward-resolve': 'upstream',
    pool: join(folder, 'pool.json'),
  });
  for (const [name, port] of Object.entries(ports)) if (name !== 'tiny' || isForwarding) await listening(port);
  return [
    {
      name: 'reverse',
      contestants: [
        { name: 'Leasehold', url: url(ports.ours) },
        { name: 'Leasehold, no line a request', url: url(ports.oursQuiet) },
        { name: 'http-proxy-3, no line a request', url: url(ports.peer) },
        { name: 'nginx', url: url(ports.reverse) },
      ],
    },
    {
      name: 'redirect',
      contestants: [
        { name: 'Leasehold', url: `${url(ports.oursRedirect)}?video=${encodeURIComponent(VIDEO)}` },
        { name: 'nginx, return 301', url: `${url(ports.redirect)}?video=${encodeURIComponent(VIDEO)}` },
      ],
    },
    {
      name: 'forward',
      contestants: [
        { name: 'Leasehold, a lease a request', url: url(ports.oursForward), script: scripts.ours },
        { name: 'tinyproxy', url: url(ports.tiny), script: scripts.peer, isClosing: true },
      ],
    },
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      row: { type: 'string' },
      json: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
    },
  });
  const [seconds, rounds] = [Number(values.seconds ?? 5), Number(values.rounds ?? 5)];
  const folder = await mkdtemp(join(values.dir, 'leasehold-gateway-bench-'));
  await mkdir(folder, { recursive: true });
  try {
    const results: object[] = [];
    for (const row of await rows(folder, values.row)) {
      if (values.row === undefined || values.row === row.name) results.push(...(await measure(row, seconds, rounds)));
    }
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results));
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map(async (child) => child.exitCode ?? (await once(child, 'exit'))));
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
