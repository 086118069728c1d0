/**
 * How long a start takes with a million live leases, from what a crash may leave: killed right after all were granted, as
 * fast as it goes; soon after a snapshot; with a snapshot due; and killed in the middle of all the requests that two cores can
 * serve, where deltas pile up for as long as the next snapshot takes. Each run is a process of its own; the files are in the
 * page cache, as they are after a crash of the process.
 *
 *     npm run bench:recovery -- [--leases 1000000] [--runs 5] [--addresses 21000] [--resources-each 50] [--dir FOLDER]
 *         [--json FILE]
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { leaseDomain } from '../lease/lease-domain.ts';
import type { LeaseState } from '../lease/state.ts';
import { recoverFolder } from '../replay.ts';
import { LoadedCoordinator } from './loaded-coordinator.ts';
import { LeaseFolder, type LeaseShape, MILLION_LEASES, poolRecords } from './million-leases.ts';
import type { Sample } from './request-load.ts';

const SELF = fileURLToPath(import.meta.url);
const MAIN = resolve(import.meta.dirname, '../main.js');
const FEW_BYTES = 256 * 1024;
/** The next snapshot of a million leases is due after half of that, and takes no more rest once there is as much again. */
const DUE_BYTES = 4.5 * 1024 * 1024;
/** Enough for several snapshots. */
const FULL_LOAD_MS = 45_000;
const FULL_LOAD_SESSIONS = 50;

interface Recovery {
  readonly wallMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly leases: number;
  readonly deltaBytes: number;
  readonly isFromSnapshot: boolean;
}

interface Row {
  readonly name: string;
  readonly recovery: Recovery;
  /** From the start of the process to `ready`. */
  readonly readyMs: number;
}

const { values } = parseArgs({
  options: {
    leases: { type: 'string', default: String(MILLION_LEASES.leases) },
    addresses: { type: 'string', default: String(MILLION_LEASES.addresses) },
    'resources-each': { type: 'string', default: String(MILLION_LEASES.resourcesEach) },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    /** Where the rows are written, too. */
    json: { type: 'string' },
    /** One recovery of this folder, told as JSON: what the runs are. */
    recover: { type: 'string' },
  },
});

const shape: LeaseShape = {
  ...MILLION_LEASES,
  leases: Number(values.leases),
  addresses: Number(values.addresses),
  resourcesEach: Number(values['resources-each']),
};

// So that no coordinator outlives a run that is cut off.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

if (values.recover !== undefined) say(JSON.stringify(await recovery(values.recover)));
else await compare();

async function compare(): Promise<void> {
  const dir = await mkdtemp(join(values.dir, 'leasehold-recovery-'));
  try {
    say(`${shape.leases} leases on ${shape.addresses} addresses, ${cpus().length} cores, Node ${process.version}`);
    const change = (prepare: (folder: LeaseFolder) => Promise<void>) => async () => {
      const folder = await LeaseFolder.open(dir, shape);
      await prepare(folder);
      await folder.close();
    };
    const granted = await mkdtemp(join(dir, 'granted-'));
    const rows = [
      await measured('killed after the grants', granted, () => grantedAndKilled(granted)),
      await measured(
        'snapshot, few deltas',
        dir,
        change(async (folder) => {
          await folder.fill(progress);
          await folder.snapshot();
          await folder.churn(FEW_BYTES, progress);
        }),
      ),
      await measured(
        'snapshot, the next one due',
        dir,
        change((folder) => folder.churn(DUE_BYTES, progress)),
      ),
      await measured('killed at full load', dir, () => killedAtFullLoad(dir)),
    ];
    print(rows);
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(rows));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function grantedAndKilled(dir: string): Promise<void> {
  const pool = join(dir, 'pool.json');
  await writeFile(pool, JSON.stringify(poolRecords(shape)));
  const { sessions, resources, leases } = shape;
  const load = { sessions, resources, leases };
  const startMs = performance.now();
  const coordinator = await LoadedCoordinator.start({ dir, flags: ['--pool', pool], load });
  await coordinator.loaded();
  await coordinator.end('SIGKILL');
  say(`  ${seconds(performance.now() - startMs)}`);
}

async function killedAtFullLoad(dir: string): Promise<void> {
  const load = { sessions: FULL_LOAD_SESSIONS, resources: shape.resources };
  let requests = 0;
  const onSamples = (samples: readonly Sample[]) => {
    requests += samples.length;
  };
  const coordinator = await LoadedCoordinator.start({ dir, flags: [], load, onSamples });
  await pause(FULL_LOAD_MS);
  await coordinator.end('SIGKILL');
  say(`  ${Math.round(requests / (FULL_LOAD_MS / 1_000))} requests/s`);
}

async function measured(name: string, dir: string, prepare: () => Promise<void>): Promise<Row> {
  say(`preparing: ${name}`);
  await prepare();
  const recoveries: Recovery[] = [];
  for (let run = 0; run < Number(values.runs); run += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, [SELF, '--recover', dir]);
    const one = JSON.parse(stdout) as Recovery;
    if (one.leases < shape.leases) throw new Error(`${one.leases} leases were recovered`);
    say(`  ${seconds(one.wallMs)}, user ${seconds(one.userMs)}, deltas ${megabytes(one.deltaBytes)}`);
    recoveries.push(one);
  }
  // Of the files as they are: the start that serves makes a snapshot of them, where one is due.
  const readyMs = await timeToReady(dir);
  say(`  ready after ${seconds(readyMs)}`);
  return { name, recovery: median(recoveries, ({ wallMs }) => wallMs), readyMs };
}

async function recovery(dir: string): Promise<Recovery> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  const { replica, recovered } = await recoverFolder(dir);
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  const { leases } = replica.state(leaseDomain.name) as LeaseState;
  return {
    wallMs,
    userMs: user / 1_000,
    systemMs: system / 1_000,
    rssBytes: process.resourceUsage().maxRSS * 1_024,
    leases: leases.size,
    deltaBytes: recovered.deltaBytes,
    isFromSnapshot: recovered.snapshotPosition !== undefined,
  };
}

/** Starts the built coordinator on the folder, and stops it as soon as it serves. */
async function timeToReady(dir: string): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--admin-port', '0', '--data-dir', dir], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const exited = new Promise((done) => child.once('close', done));
  let readyMs: number | undefined;
  for await (const line of createInterface(child.stdout)) {
    if (!line.includes('"ready"')) continue;
    readyMs = performance.now() - startMs;
    child.kill('SIGTERM');
  }
  await exited;
  if (readyMs === undefined) throw new Error('the coordinator did not start');
  return readyMs;
}

function print(rows: readonly Row[]): void {
  const titles = ['from', 'recovered', 'user', 'system', 'peak RSS', 'deltas', 'ready'];
  const cells = rows.map(({ name, recovery: one, readyMs }) => [
    name,
    seconds(one.wallMs),
    seconds(one.userMs),
    seconds(one.systemMs),
    megabytes(one.rssBytes),
    megabytes(one.deltaBytes),
    seconds(readyMs),
  ]);
  for (const [first, ...rest] of [titles, ...cells]) {
    say([first!.padEnd(28), ...rest.map((cell) => cell.padStart(11))].join(''));
  }
}

function median<Item>(items: readonly Item[], of: (item: Item) => number): Item {
  return items.toSorted((one, other) => of(one) - of(other))[Math.floor(items.length / 2)]!;
}

function progress(leases: number): void {
  say(`  ${leases} leases`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
