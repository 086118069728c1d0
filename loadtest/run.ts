/**
 * Load tests: starts the coordinator, runs a scenario of artillery against it, prints the report and leaves it as a file.
 *
 *   npm run loadtest [-- SCENARIO …] [--duration-seconds N] [--set NAME=N] [--reports FOLDER] [--all] [--list]
 *
 * Exit code: 0 if all thresholds were kept, 1 if not, 64 where the call is wrong.
 */
import { existsSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ArtilleryRun, install, isInstalled } from './artillery.ts';
import { Coordinator } from './coordinator.ts';
import { type EndCheck, type Mark, type Report, reportOf } from './report.ts';
import { reportHtml } from './report-html.ts';
import { reportText } from './report-text.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const USAGE = `npm run loadtest -- [SCENARIO …] [flags]

  --list                 What there is to run
  --all                  All of them, one after the other
  --duration-seconds N   Instead of each scenario's own (LOADTEST_DURATION_SECONDS)
  --set NAME=N           A variable of the scenario; may be repeated
  --reports FOLDER       Where reports go (loadtest/reports)
`;
const USUAL_SCENARIO = 'steady';
const REPORTS = resolve(import.meta.dirname, '../../loadtest/reports');
const SECONDS_MAX = 24 * 3_600;
const EXIT_USAGE = 64;
/** After the last collector has gone: leases of a second have expired by then, and those of dropped sessions are released. */
const FREE_AGAIN_MS_MAX = 3_000;
const POLL_MS = 50;

class UsageError extends Error {}

interface Flags {
  readonly scenarios: readonly string[];
  readonly seconds: number | undefined;
  readonly set: Readonly<Record<string, number>>;
  readonly reports: string;
  readonly list: boolean;
}

function readFlags(args: readonly string[]): Flags {
  const { values, positionals } = parseOrThrow(args);
  const text = values['duration-seconds'] ?? process.env['LOADTEST_DURATION_SECONDS'];
  const seconds = text === undefined ? undefined : Number(text);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1 && seconds <= SECONDS_MAX)) {
    throw new UsageError(`--duration-seconds: expected 1 to ${SECONDS_MAX}, not ${text}`);
  }
  const set = Object.fromEntries((values.set ?? []).map(readSetting));
  const named = positionals.length === 0 ? [USUAL_SCENARIO] : positionals;
  const scenarios = values.all ? Object.keys(SCENARIOS) : named;
  for (const name of scenarios) {
    const scenario = SCENARIOS[name];
    if (!scenario)
      throw new UsageError(`${name}: there is no such scenario; there are ${Object.keys(SCENARIOS).join(', ')}`);
    const unknown = Object.keys(set).find((variable) => scenario.variables[variable] === undefined);
    if (unknown !== undefined) {
      throw new UsageError(`--set ${unknown}: ${name} has ${Object.keys(scenario.variables).join(', ')}`);
    }
  }
  return { scenarios, seconds, set, reports: resolve(values.reports ?? REPORTS), list: values.list ?? false };
}

function parseOrThrow(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        list: { type: 'boolean' },
        all: { type: 'boolean' },
        'duration-seconds': { type: 'string' },
        set: { type: 'string', multiple: true },
        reports: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readSetting(text: string): [name: string, value: number] {
  const [name = '', value = ''] = text.split('=');
  if (!/^\d+$/.test(value) || Number(value) < 1) throw new UsageError(`--set ${text}: expected NAME=N`);
  return [name, Number(value)];
}

/** Called in the end, the last one first, whatever happens. */
const cleanups: (() => Promise<unknown>)[] = [];
/** Called where nothing can be awaited any more. */
const kills: (() => void)[] = [];
/** Removed then, behind those. */
const folders: string[] = [];

async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup().catch((error: unknown) => console.error(error));
}

/** Servers behind the reverse proxy; each answers all it is asked. */
async function openBackends(count: number): Promise<string[]> {
  const servers: Server[] = Array.from({ length: count }, () =>
    createServer((request, response) => {
      request.resume();
      response.end('Hello, world!');
    }),
  );
  for (const server of servers) {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    cleanups.push(async () => {
      server.close();
      server.closeAllConnections();
    });
  }
  return servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** Kills the coordinator so many seconds after the first answer, and starts it again; not where the run has ended before. */
async function restart(
  coordinator: Coordinator,
  timelineFile: string,
  afterSeconds: number,
  ended: AbortSignal,
): Promise<Mark[]> {
  while (!existsSync(timelineFile) && !ended.aborted) await sleep(POLL_MS);
  await sleep(afterSeconds * 1_000, undefined, { signal: ended }).catch(() => {});
  if (ended.aborted) return [];
  const killed: Mark = { atMs: Date.now(), says: 'killed' };
  await coordinator.kill();
  await coordinator.start();
  return [killed, { atMs: Date.now(), says: 'ready again' }];
}

/** What the coordinator itself says once all collectors have gone. */
async function lookAtTheEnd(coordinator: Coordinator, scenario: Scenario, counted: number): Promise<EndCheck[]> {
  if (scenario.target !== 'websocket' && scenario.target !== 'admin') return [];
  const endMs = performance.now() + FREE_AGAIN_MS_MAX;
  let leases = await coordinator.leases();
  while (leases > 0 && performance.now() < endMs) {
    await sleep(POLL_MS);
    leases = await coordinator.leases();
  }
  const checks: EndCheck[] = [{ name: 'leases left at the end', value: leases, expected: 0 }];
  if (scenario.counter !== undefined) {
    const value = await coordinator.counted(scenario.counter);
    checks.push({ name: 'the durable counter', value, expected: counted });
  }
  return checks;
}

async function resultsOf(run: ArtilleryRun, coordinator: Coordinator, { restartAt }: Scenario, seconds: number) {
  const end = new AbortController();
  const running = run.outcome.finally(() => end.abort());
  const restarting =
    restartAt === undefined
      ? Promise.resolve([])
      : restart(coordinator, run.timelineFile, restartAt * seconds, end.signal);
  // Both: whatever becomes of the run, a coordinator that is being started is there to be stopped afterwards.
  const [outcome, marks] = await Promise.allSettled([running, restarting]);
  if (outcome.status === 'rejected') throw outcome.reason as Error;
  if (marks.status === 'rejected') throw marks.reason as Error;
  return { outcome: outcome.value, marks: marks.value };
}

async function runScenario(name: string, { seconds: asked, set }: Flags): Promise<Report> {
  const scenario = SCENARIOS[name]!;
  const seconds = Math.max(asked ?? scenario.seconds, scenario.secondsMin ?? 1);
  const own = { ...scenario.variables, ...set };
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-loadtest-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  folders.push(folder);
  const backends = await openBackends(scenario.backends ?? 0);
  const flags = { ...scenario.flags?.(own), ...(backends.length > 0 ? { targets: backends.join(',') } : {}) };
  const options = { folder, addresses: scenario.addresses(own), flags };
  const coordinator = await Coordinator.prepare(options, scenario.target);
  cleanups.push(() => coordinator.stop());
  kills.push(() => coordinator.killNow());
  await coordinator.start();
  const variables = { ...own, ...scenario.derived?.(own, seconds) };
  console.log(`${name}: ${scenario.says} (${seconds} s)`);
  const startedAtMs = Date.now();
  const run = new ArtilleryRun(name, { url: coordinator.url(scenario.target), seconds, ...variables }, folder);
  kills.push(() => run.stop());
  cleanups.push(async () => run.stop());
  const { outcome, marks } = await resultsOf(run, coordinator, scenario, seconds);
  const counted = outcome.metrics.summaries['leasehold.count.ms']?.count ?? 0;
  const endChecks = await lookAtTheEnd(coordinator, scenario, counted);
  const cores = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.versions.node}`;
  const facts = { scenario: name, says: scenario.says, startedAtMs, seconds, variables, machine: cores };
  return reportOf({ ...facts, ...outcome, endChecks, marks });
}

/** `<scenario>-<UTC time>.html` and `.json`; resolves to the path of the first. */
async function writeReport(report: Report, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${report.scenario}-${report.startedAt.replaceAll(/[-:]|\.\d+/g, '')}`);
  await writeFile(`${path}.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(`${path}.html`, reportHtml(report));
  return `${path}.html`;
}

async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  if (flags.list) {
    for (const [name, { says, seconds, variables }] of Object.entries(SCENARIOS)) {
      const set = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
      console.log(`${name.padEnd(14)} ${says}; ${seconds} s, ${set.join(' ')}`);
    }
    return 0;
  }
  if (!isInstalled()) {
    console.log('installing artillery into loadtest/node_modules: half a gigabyte');
    await install();
  }
  let code = 0;
  for (const name of flags.scenarios) {
    try {
      const report = await runScenario(name, flags);
      const path = await writeReport(report, flags.reports);
      console.log(`\n${reportText(report)}\n\n${name}: ${report.passed ? 'passed' : 'FAILED'}, ${path}\n`);
      if (!report.passed) code = 1;
    } finally {
      await cleanUp();
    }
  }
  return code;
}

let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Whoever asks again doesn't wait for anything to end by itself.
  process.on(signal, () => {
    if (isInterrupted) process.exit(1);
    isInterrupted = true;
    void cleanUp().finally(() => process.exit(1));
  });
}
process.once('exit', () => {
  for (const kill of kills) kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
  } else {
    console.error(isInterrupted ? 'interrupted' : error);
    process.exitCode = 1;
  }
}
