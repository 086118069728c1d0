/**
 * Runs seeds of the simulation one after the other and stops at the first that finds something:
 *
 *   node dist/server/testing/simulation/run-simulation.js --seed 7 --operations 50000 [--seeds 200] [--step 2] [--tally]
 *     [--print]
 *
 * Exit code 1: something was found, and the last line says how to see it again.
 */
import { parseArgs } from 'node:util';
import { Simulation } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    /** From one seed to the next, so that several processes can share a range. */
    step: { type: 'string', default: '1' },
    operations: { type: 'string', default: '50000' },
    /** How often each kind of thing happened, in all seeds. */
    tally: { type: 'boolean', default: false },
    /** What happens, line by line; a hundred thousand lines are no exception. */
    print: { type: 'boolean', default: false },
  },
});
const operations = Number(values.operations);
const first = Number(values.seed);
const tally = new Map<string, number>();
let seed = first;
// What throws where only a promise would tell.
process.on('unhandledRejection', (error) => stop(`bug: ${error instanceof Error ? error.stack : String(error)}`));

for (let index = 0; index < Number(values.seeds); index += 1) {
  seed = first + index * Number(values.step);
  const outcome = await new Simulation({ seed, operations, ...(values.print ? { print: say } : {}) }).run();
  for (const [what, count] of outcome.tally) tally.set(what, (tally.get(what) ?? 0) + count);
  const { steps, spanMs, grants, restarts, trace, finding } = outcome;
  const seconds = Math.round(spanMs / 1_000);
  const summary = `${operations} operations, ${steps} steps, ${seconds} s, ${grants} grants, ${restarts} restarts`;
  say(`seed ${seed}: ${summary}, trace ${trace}`);
  if (finding) stop(`step ${steps}: ${finding.invariant}: ${finding.message}`);
}

if (values.tally) for (const [what, count] of tally) say(`${count} × ${what}`);

function stop(finding: string): never {
  say(`seed ${seed}: found at ${finding}`);
  say(`again: node dist/server/testing/simulation/run-simulation.js --seed ${seed} --operations ${operations}`);
  process.exit(1);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
