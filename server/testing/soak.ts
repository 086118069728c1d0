/**
 * The fault tests of the gate, again and again with new seeds, for as long as one likes:
 *
 *   npm run soak -- --minutes 10 [--seed 1] [--only 'power cuts on ext4']
 *
 * A line for each round and every ten seconds of it, one for each finding with the command that shows it again, and a table
 * at the end. Ends with 1
 * where anything was found. Ctrl-C ends it after the present round; a second one at once.
 */
import { parseArgs } from 'node:util';
import type { FaultRunResult } from './faults/fault-run.ts';
import { FAULT_TESTS, type FaultTest } from './faults/fault-tests.ts';

const MINUTE_MS = 60_000;
const PROGRESS_MS = 10_000;

interface Tally {
  rounds: number;
  cases: number;
  findings: number;
  skipped: string | undefined;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const endMs = Date.now() + Number(values.minutes) * MINUTE_MS;
const tests = FAULT_TESTS.filter(({ name }) => values.only === undefined || name === values.only);
if (tests.length === 0) fail(`--only: one of ${FAULT_TESTS.map(({ name }) => `'${name}'`).join(', ')}`);
if (!(Number(values.minutes) > 0) || !Number.isSafeInteger(Number(values.seed))) fail('--minutes N --seed N');

let isStopping = false;
process.on('SIGINT', () => {
  if (isStopping) process.exit(130);
  isStopping = true;
  say('ending after this round');
});

const tallies = new Map<FaultTest, Tally>();
for (let seed = Number(values.seed); !isOver(); seed += 1) {
  for (const test of tests) {
    if (isOver()) break;
    await round(test, seed);
  }
}
report();

async function round(test: FaultTest, seed: number): Promise<void> {
  const tally = tallies.get(test) ?? { rounds: 0, cases: 0, findings: 0, skipped: undefined };
  tallies.set(test, tally);
  if (tally.skipped !== undefined) return;
  tally.skipped = await test.whyNot?.();
  if (tally.skipped !== undefined) return say(`${test.name}: SKIPPED, ${tally.skipped}`);
  const startMs = Date.now();
  let toldMs = startMs;
  const onProgress = (doneCount: number) => {
    if (Date.now() - toldMs < PROGRESS_MS) return;
    toldMs = Date.now();
    say(`${test.name}: ${doneCount} cases so far`);
  };
  const result = await test.run({ seed, cases: test.soakCases, onProgress }).catch((error: Error): FaultRunResult => {
    return { cases: 0, findings: [`seed ${seed}: the run itself ended: ${error.message}`] };
  });
  tally.rounds += 1;
  tally.cases += result.cases;
  tally.findings += result.findings.length;
  const seconds = ((Date.now() - startMs) / 1_000).toFixed(1);
  say(`${test.name}: ${result.cases} cases in ${seconds} s, seed ${seed}, ${result.findings.length} found`);
  for (const finding of result.findings) say(`FOUND in ${test.name}: ${finding}`);
}

function isOver(): boolean {
  return isStopping || Date.now() >= endMs;
}

function report(): void {
  say('');
  const width = Math.max(...tests.map(({ name }) => name.length));
  for (const [{ name }, { rounds, cases, findings, skipped }] of tallies) {
    const what = skipped === undefined ? `${rounds} rounds, ${cases} cases, ${findings} found` : `SKIPPED: ${skipped}`;
    say(`${name.padEnd(width)}  ${what}`);
  }
  const found = [...tallies.values()].reduce((sum, { findings }) => sum + findings, 0);
  say(found === 0 ? 'nothing found' : `${found} FOUND`);
  process.exitCode = found === 0 ? 0 : 1;
}

function say(line: string): void {
  const left = Math.max(0, endMs - Date.now()) / MINUTE_MS;
  process.stdout.write(line === '' ? '\n' : `[${left.toFixed(1).padStart(5)} min left] ${line}\n`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(64);
}
