/**
 * Latency of acquire and release while a snapshot of a million leases is taken, against without: the real coordinator, a
 * load from another process, snapshots made half a minute apart, so that windows with and without alternate in one run; at
 * full load runs alternate, with snapshots one behind the other and with none.
 * Each window with is compared to the one without before it, and the median of these ratios is the figure: a disk that
 * stalls by itself spoils single pairs, and the p99 over all windows. And, as a control, without a snapshot but with a
 * process that does nothing but spin: what any third busy thread does to two cores. A folder in memory (`--dir /dev/shm`)
 * leaves the disk out of both.
 *
 *     npm run bench:snapshot -- [--leases 1000000] [--seconds 360] [--rate 300] [--sessions 50] [--dir FOLDER]
 *         [--no-spinner] [--json FILE]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants, cpus, loadavg, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ended, LoadedCoordinator } from './loaded-coordinator.ts';
import { LeaseFolder, MILLION_LEASES } from './million-leases.ts';
import type { LoadOptions, Sample } from './request-load.ts';

/** Several in a run, and a pause behind each. */
const SNAPSHOT_FLAGS = ['--snapshot-age-ms', '30000'];
/** At full load the next one is due when one is made: runs with and without come in turns. */
const TURNS = 3;
const NO_SNAPSHOT_FLAGS = ['--snapshot-bytes', String(2 ** 36)];
/** What the end of a snapshot leaves behind, old files that go among it, belongs to it. */
const SETTLE_MS = 500;
/** Start of a load, of a coordinator: compilers at work. */
const WARM_UP_MS = 8_000;
/** Of either side of a pair: fewer say nothing of a p99. */
const PAIR_REQUESTS_MIN = 1_000;
/** That of the snapshot worker. */
const SPINNER_PRIORITY = constants.priority.PRIORITY_BELOW_NORMAL;

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Measured {
  readonly samples: readonly Sample[];
  /** When snapshots were being taken; or when the spinner span. */
  readonly busy: readonly Span[];
}

const { values } = parseArgs({
  options: {
    leases: { type: 'string', default: String(MILLION_LEASES.leases) },
    addresses: { type: 'string', default: String(MILLION_LEASES.addresses) },
    seconds: { type: 'string', default: '360' },
    rate: { type: 'string', default: '300' },
    sessions: { type: 'string', default: '50' },
    dir: { type: 'string', default: tmpdir() },
    /** A folder that is there already, made by an earlier run with `--keep`. */
    folder: { type: 'string' },
    keep: { type: 'boolean', default: false },
    /** Leaves out the control. */
    'no-spinner': { type: 'boolean', default: false },
    /** Where the figures are written, too. */
    json: { type: 'string' },
  },
});

// So that neither coordinator nor load outlives a run that is cut off.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

await compare();

async function compare(): Promise<void> {
  const dir = values.folder ?? (await mkdtemp(join(values.dir, 'leasehold-snapshot-')));
  try {
    say(`${values.leases} leases, ${cpus().length} cores, load ${loadavg()[0]!.toFixed(2)}, Node ${process.version}`);
    if (values.folder === undefined) await fill(dir);
    const open = { sessions: Number(values.sessions), cyclesPerSecond: Number(values.rate) };
    const closed = { sessions: Number(values.sessions) };
    const rows: [string, Measured][] = [];
    for (const [name, load] of Object.entries({ [`open, ${values.rate}/s`]: open, closed })) {
      for (const [beside, run] of [
        ['snapshot', load === open ? whileSnapshotsAreTaken : inTurns],
        ['spinner', whileSpinning],
      ] as const) {
        if (beside === 'spinner' && values['no-spinner']) continue;
        say(`${name}, ${beside}`);
        rows.push([`${name}, ${beside}`, await run(dir, load)]);
        print(rows.slice(-1));
      }
    }
    say(`load of the machine at the end: ${loadavg()[0]!.toFixed(2)}`);
    print(rows);
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(rows.map(figuresOf).map(summary)));
  } finally {
    if (values.folder === undefined && !values.keep) await rm(dir, { recursive: true, force: true });
    else say(`kept: --folder ${dir}`);
  }
}

async function fill(dir: string): Promise<void> {
  const leases = Number(values.leases);
  const folder = await LeaseFolder.open(dir, { ...MILLION_LEASES, leases, addresses: Number(values.addresses) });
  await folder.fill((done) => say(`  ${done} leases`));
  await folder.snapshot();
  await folder.close();
}

type Load = Omit<LoadOptions, 'port' | 'resources'>;

async function whileSnapshotsAreTaken(dir: string, load: Load): Promise<Measured> {
  const busy: Span[] = [];
  let begunMs: number | undefined;
  const onLine = (line: string) => {
    if (line.includes('"snapshot failed')) throw new Error(line);
    if (line.includes('"snapshot begun"')) begunMs = nowMs();
    if (!line.includes('"snapshot made"') || begunMs === undefined) return;
    say(`  a snapshot in ${((nowMs() - begunMs) / 1_000).toFixed(1)} s`);
    busy.push({ fromMs: begunMs, toMs: nowMs() + SETTLE_MS });
    begunMs = undefined;
  };
  const samples = await measured(dir, SNAPSHOT_FLAGS, load, onLine, () => pause(Number(values.seconds) * 1_000));
  // One that wasn't made when the run ended was being taken all the same.
  if (begunMs !== undefined) busy.push({ fromMs: begunMs, toMs: Infinity });
  return { samples, busy };
}

async function inTurns(dir: string, load: Load): Promise<Measured> {
  let samples: Sample[] = [];
  const busy: Span[] = [];
  const turn = (flags: readonly string[], onLine: (line: string) => void) =>
    measured(dir, flags, load, onLine, () => pause((Number(values.seconds) * 1_000) / (2 * TURNS)));
  for (let pair = 0; pair < TURNS; pair += 1) {
    const without = await turn(NO_SNAPSHOT_FLAGS, ignore);
    const fromMs = nowMs();
    let made = 0;
    const within = await turn([], (line) => {
      if (line.includes('"snapshot made"')) made += 1;
    });
    samples = samples.concat(without, within);
    busy.push({ fromMs, toMs: nowMs() });
    say(`  ${made} snapshots`);
  }
  return { samples, busy };
}

async function whileSpinning(dir: string, load: Load): Promise<Measured> {
  const busy: Span[] = [];
  const spans = 6;
  const samples = await measured(dir, NO_SNAPSHOT_FLAGS, load, ignore, async () => {
    for (let span = 0; span < spans; span += 1) {
      const spanMs = (Number(values.seconds) * 500) / spans;
      await pause(spanMs / 2);
      const spinner = spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' });
      setPriority(spinner.pid!, SPINNER_PRIORITY);
      const fromMs = nowMs();
      await pause(spanMs / 2);
      spinner.kill('SIGKILL');
      await ended(spinner);
      busy.push({ fromMs, toMs: nowMs() });
    }
  });
  return { samples, busy };
}

/** Runs coordinator and load, and what `during` does beside them. */
async function measured(
  dir: string,
  flags: readonly string[],
  load: Load,
  onLine: (line: string) => void,
  during: () => Promise<void>,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  let isWarm = false;
  const coordinator = await LoadedCoordinator.start({
    dir,
    flags,
    load: { ...load, resources: MILLION_LEASES.resources },
    onLine,
    onSamples: (taken) => {
      if (isWarm) samples.push(...taken);
    },
  });
  try {
    await pause(WARM_UP_MS);
    isWarm = true;
    await during();
  } finally {
    await coordinator.end('SIGTERM');
  }
  return samples;
}

interface Figures {
  readonly name: string;
  /** Milliseconds, sorted. */
  readonly without: readonly number[];
  readonly within: readonly number[];
  /** Of the p99 over all; and of each pair, sorted. */
  readonly ratio: number;
  readonly pairs: readonly number[];
}

function figuresOf([name, { samples, busy }]: readonly [string, Measured]): Figures {
  const overlaps = ([sentMs, tookMs]: Sample) =>
    busy.some(({ fromMs, toMs }) => sentMs + tookMs >= fromMs && sentMs <= toMs);
  const within = sortedTimes(samples.filter(overlaps));
  const without = sortedTimes(samples.filter((sample) => !overlaps(sample)));
  const pairs = ratiosOfP99(samples, busy).sort((one, other) => one - other);
  return { name, without, within, ratio: quantile(within, 0.99) / quantile(without, 0.99), pairs };
}

function print(rows: readonly (readonly [string, Measured])[]): void {
  say('');
  line('p50 / p99 / p99.9 in ms', 'without', 'with', 'requests', 'ratio of p99', 'median of pairs', 'pairs');
  for (const { name, without, within, ratio, pairs } of rows.map(figuresOf)) {
    if (within.length === 0 || without.length === 0) say(`${name}: nothing to compare, let it run for longer`);
    const figures = [without, within].map((sorted) =>
      [0.5, 0.99, 0.999].map((share) => quantile(sorted, share).toFixed(2)).join(' / '),
    );
    const requests = `${without.length}, ${within.length}`;
    const middle = median(pairs).toFixed(2);
    line(name, ...figures, requests, ratio.toFixed(2), middle, pairs.map((pair) => pair.toFixed(2)).join(' '));
  }
}

/** Without the samples themselves. */
function summary({ name, without, within, ratio, pairs }: Figures): object {
  const [withoutMs, withinMs] = [without, within].map((sorted) => quantile(sorted, 0.99));
  return { name, p99WithoutMs: withoutMs, p99WithinMs: withinMs, ratio, pairs };
}

/** Of each busy span that came to its end, against the quiet one before it. */
function ratiosOfP99(samples: readonly Sample[], busy: readonly Span[]): number[] {
  return busy.flatMap(({ fromMs, toMs }, index) => {
    const quietFromMs = busy[index - 1]?.toMs ?? 0;
    const quiet = samples.filter(([sentMs, tookMs]) => sentMs > quietFromMs && sentMs + tookMs < fromMs);
    const within = samples.filter(([sentMs, tookMs]) => sentMs + tookMs >= fromMs && sentMs <= toMs);
    const isWhole = toMs < Infinity && Math.min(quiet.length, within.length) >= PAIR_REQUESTS_MIN;
    return isWhole ? [quantile(sortedTimes(within), 0.99) / quantile(sortedTimes(quiet), 0.99)] : [];
  });
}

function sortedTimes(samples: readonly Sample[]): number[] {
  return samples.map(([, tookMs]) => tookMs).sort((one, other) => one - other);
}

function line(first: string, ...rest: readonly string[]): void {
  say([first.padEnd(24), ...rest.map((cell) => cell.padStart(22))].join(' '));
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of two in the middle, their mean. */
function median(sorted: readonly number[]): number {
  return (quantile(sorted, 0.5) + sorted[Math.max(Math.ceil(sorted.length / 2) - 1, 0)]!) / 2;
}

/** As samples are timed, to a fraction of a millisecond. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function ignore(): void {}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
