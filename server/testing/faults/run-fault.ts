/**
 * One fault run in a process of its own, for in-own-process.ts:
 *
 *   node dist/server/testing/faults/run-fault.js FILE EXPORT --seed 1 --cases 1000
 *
 * The last line is its result, as JSON; each line before it says how many cases are through.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { FaultRun } from './fault-run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '1' }, cases: { type: 'string', default: '1' } },
});
const [file = '', name = ''] = positionals;
const { [name]: run } = (await import(join(import.meta.dirname, file))) as Record<string, FaultRun>;
if (!run) throw new Error(`${file} has no ${name}`);
const result = await run({
  seed: Number(values.seed),
  cases: Number(values.cases),
  onProgress: (doneCount) => process.stdout.write(`${doneCount}\n`),
});
// What a crash left running, a timer say, must not keep it.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
