/** Artillery as a process: installed where it isn't, run over one scenario, and what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TIMELINE_VARIABLE, type TimelineLine } from './engine/timeline.ts';
import type { Variables } from './scenarios.ts';

const LOADTEST = resolve(import.meta.dirname, '../../loadtest');
const ARTILLERY = join(LOADTEST, 'node_modules/artillery/bin/run');
const ENVIRONMENT = { ARTILLERY_DISABLE_TELEMETRY: 'true', PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1', NO_COLOR: '1' };
/** Characters of its output kept, to show when it fails. */
const OUTPUT_MAX = 20_000;

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}
/** The part of artillery's own report that is read. */
export interface Metrics {
  readonly counters: Readonly<Record<string, number>>;
  readonly rates: Readonly<Record<string, number>>;
  readonly summaries: Readonly<Record<string, Summary>>;
}
export interface Check {
  readonly expression: string;
  readonly strict: boolean;
  readonly passed: boolean;
}
export interface Outcome {
  readonly exitCode: number;
  readonly metrics: Metrics;
  readonly checks: readonly Check[];
  readonly timeline: readonly TimelineLine[];
}

export function isInstalled(): boolean {
  // npm writes the first of them last.
  const needed = ['.package-lock.json', 'artillery/bin/run', 'artillery-engine-leasehold'];
  return needed.every((path) => existsSync(join(LOADTEST, 'node_modules', path)));
}

/** Half a gigabyte; a minute or two. */
export async function install(): Promise<void> {
  const args = ['ci', '--prefix', LOADTEST, '--no-audit', '--no-fund', '--loglevel', 'error'];
  const child = spawn('npm', args, { stdio: 'inherit', env: { ...process.env, ...ENVIRONMENT } });
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('exit', done));
  if (code !== 0) throw new Error(`npm ci --prefix loadtest ended with ${code}`);
}

export class ArtilleryRun {
  readonly outcome: Promise<Outcome>;
  /** Not there before the second after the first answer. */
  readonly timelineFile: string;
  readonly #child: ChildProcess;

  /** `folder` takes its files. */
  constructor(scenario: string, variables: Variables, folder: string) {
    this.timelineFile = join(folder, 'timeline.ndjson');
    const [reportFile, checksFile] = [join(folder, 'artillery.json'), join(folder, 'checks.json')];
    const args = ['run', '--quiet', '--output', reportFile, '--variables', JSON.stringify(variables)];
    this.#child = spawn(process.execPath, [ARTILLERY, ...args, join('scenarios', `${scenario}.yml`)], {
      cwd: LOADTEST,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...ENVIRONMENT,
        CUSTOM_REPORTERS: join(LOADTEST, 'checks-reporter.cjs'),
        LOADTEST_CHECKS: checksFile,
        [TIMELINE_VARIABLE]: this.timelineFile,
      },
    });
    let output = '';
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-OUTPUT_MAX);
      });
    }
    this.outcome = new Promise<number | null>((done, fail) => {
      this.#child.once('error', fail).once('close', done);
    }).then(async (code) => {
      // Without them there was no run of which something could be said.
      if (!existsSync(reportFile) || !existsSync(checksFile)) {
        throw new Error(
          `artillery ended with ${code}, and without a report or thresholds (plugins.ensure):\n${output}`,
        );
      }
      const { aggregate } = JSON.parse(await readFile(reportFile, 'utf8')) as { aggregate: Metrics };
      const timeline = existsSync(this.timelineFile) ? await readFile(this.timelineFile, 'utf8') : '';
      return {
        exitCode: code ?? 1,
        metrics: aggregate,
        checks: JSON.parse(await readFile(checksFile, 'utf8')) as Check[],
        timeline: timeline
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as TimelineLine),
      };
    });
    this.outcome.catch(() => {});
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
