/**
 * Crash states from a seed on, to the first finding; or one state again:
 *
 *   node dist/server/testing/faults/run-crash-states.js [--seed 1] [--cases 100000]
 *   node dist/server/testing/faults/run-crash-states.js --lives 1000000 --state 17
 *   node dist/server/testing/faults/run-crash-states.js --corruption [--seed 1]      the corruption sweep
 *   node dist/server/testing/faults/run-crash-states.js --corruption --seed 1 --damage 17
 *
 * Exit code 1: something was found.
 */
import { parseArgs } from 'node:util';
import { corruptionSweep, replayDamage } from './corruption-sweep.ts';
import { crashStates, replayCrashState } from './crash-states.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '100000' },
    lives: { type: 'string' },
    state: { type: 'string', default: '0' },
    corruption: { type: 'boolean', default: false },
    damage: { type: 'string' },
  },
});
if (values.damage !== undefined) replayed(await replayDamage(Number(values.seed), Number(values.damage)));
else if (values.lives !== undefined) replayed(await replayCrashState(Number(values.lives), Number(values.state)));
else {
  const onProgress = (done: number) => say(`${done} states`);
  const run = values.corruption ? corruptionSweep : crashStates;
  // All that one seed has of damage.
  const most = values.corruption ? Infinity : Number(values.cases);
  const { cases, findings } = await run({ seed: Number(values.seed), cases: most, onProgress });
  say(`${cases} states, ${findings.length} findings`);
  stop(findings);
}

function replayed(finding: string | undefined): void {
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
