/**
 * The load generator, a process of its own: forked by the bench, which sends it tasks; or by hand, to profile a server with:
 *
 *     npm run build && node dist/loadtest/bench/generator/generator.js \
 *       '{"speaks": "leasehold", "port": 7400, "sessions": 50, "inFlight": 1, "warmUpMs": 1000, "measureMs": 5000}'
 *
 * `speaks` is leasehold, redis or etcd. More than one `inFlight` is a batch, or a pipeline. Answers with a line of JSON.
 */
import { runLoad } from './run-load.ts';
import type { FromGenerator, LoadTask } from './task.ts';

const byHand = process.argv[2];
process.once('disconnect', () => process.exit(0));

if (byHand === undefined)
  process.on('message', (task) => void answer(task as LoadTask, (message) => process.send!(message)));
else
  await answer(JSON.parse(byHand) as LoadTask, (message) => {
    if (message.type === 'result') process.stdout.write(`${JSON.stringify(message.result)}\n`);
    if (message.type === 'failed') process.exitCode = 1;
    if (message.type === 'failed') process.stderr.write(`${message.message}\n`);
  });

async function answer(task: LoadTask, say: (message: FromGenerator) => void): Promise<void> {
  try {
    say({ type: 'result', result: await runLoad(task, (type) => say({ type })) });
  } catch (error) {
    say({ type: 'failed', message: (error as Error).message });
  }
}
