/**
 * Crash states from a seed on, to the first finding; or one state again:
 *
 *   node dist/server/testing/faults/run-crash-states.js [--seed 1] [--cases 100000]
 *   node dist/server/testing/faults/run-crash-states.js --lives 1000000 --state 17
 *   node dist/server/testing/faults/run-crash-states.js --corruption [--seed 1]      the corruption sweep
 *
 * Exit code 1: something was found.
 */
import { parseArgs } from 'node:util';
import { corruptionSweep } from './corruption-sweep.ts';
import { crashStates, replayCrashState } from './crash-states.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '100000' },
    lives: { type: 'string' },
    state: { type: 'string', default: '0' },
    corruption: { type: 'boolean', default: false },
  },
});
if (values.lives === undefined) {
  const onProgress = (done: number) => say(`${done} states`);
  const run = values.corruption ? corruptionSweep : crashStates;
  // All that one seed has of damage.
  const most = values.corruption ? Infinity : Number(values.cases);
  const { cases, findings } = await run({ seed: Number(values.seed), cases: most, onProgress });
  say(`${cases} states, ${findings.length} findings`);
  stop(findings);
} else {
  const finding = await replayCrashState(Number(values.lives), Number(values.state));
  say(finding === undefined ? 'nothing was found' : 'found:');
  stop(finding === undefined ? [] : [finding]);
}

function stop(findings: readonly string[]): void {
  for (const finding of findings) say(finding);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
