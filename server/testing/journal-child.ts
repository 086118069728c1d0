/**
 * A process to be killed: locks the folder that it is given, recovers it, and appends batches for as long as it lives, or
 * as many as it is told. Says `held` (and ends) or `locked`, then the last position after each append that was answered
 * durable. Ends with the coordinator's own exit codes.
 *
 * Every event adds its own position to one counter, so that from the state alone one can tell whether any event is
 * missing, doubled or out of place.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Replica } from '../coordinator/replica.ts';
import { EXIT } from '../exit.ts';
import { BATCH_BYTES_MAX } from '../journal/batch.ts';
import { buildSnapshot } from '../journal/build-snapshot.ts';
import { nodeDisk } from '../journal/disk.ts';
import { CorruptJournalError } from '../journal/errors.ts';
import { lockFolder } from '../journal/folder-lock.ts';
import { openJournal } from '../journal/journal.ts';
import { packValue } from '../journal/msgpack.ts';
import { recover } from '../journal/recover.ts';
import { SEGMENT_BYTES_MIN } from '../journal/segment.ts';
import { counterDomain } from './counter-domain.ts';
import type { JournalChildOptions } from './journal-child-options.ts';
import { realScheduler } from './real-scheduler.ts';
import { seededRandom } from './seeded-random.ts';

const say = (line: string | number) => writeSync(1, `${line}\n`);

const dir = process.argv[2]!;
const options = JSON.parse(process.argv[3] ?? '{}') as JournalChildOptions;
// Small by default, so that rotations and snapshots are among what is killed.
const { seed, batches = Infinity, segmentBytes = SEGMENT_BYTES_MIN, snapshotBytes = segmentBytes } = options;
const { batchBytesMax = BATCH_BYTES_MAX, eventsMax = 1_000 } = options;
const seeded = seed === undefined ? undefined : seededRandom(seed);
const drawEventCount = () => (seeded ? 1 + Math.floor(seeded() * eventsMax) : randomInt(1, eventsMax + 1));

async function run(): Promise<void> {
  const recovered = await recover(nodeDisk, dir, new Replica([counterDomain]));
  const epoch = recovered.epoch + 1;
  const journal = await openJournal({
    disk: nodeDisk,
    dir,
    recovered,
    epoch,
    randomBytes,
    scheduler: realScheduler,
    clock: { nowMs: () => performance.now(), utcMs: () => Date.now() },
    log: { info: () => undefined, warn: () => undefined },
    segmentBytes,
    snapshotBytes,
    batchBytesMax,
    takeSnapshot: ({ upToPosition }) => buildSnapshot(nodeDisk, dir, new Replica([counterDomain]), upToPosition),
    onFailure: () => process.exit(EXIT.storage),
  });
  let last = recovered.position;
  for (let batchCount = 0; batchCount < batches; batchCount += 1) {
    const eventCount = drawEventCount();
    const events = Array.from({ length: eventCount }, (_, index) =>
      packValue(counterDomain.encodeEvent({ counter: 'positions', by: last + 1 + index })),
    );
    const batch = { position: last + 1, eventCount, epoch, clockMs: last, utcMs: last, payload: Buffer.concat(events) };
    const result = await journal.append(batch, last);
    if (result.outcome === 'deposed') throw new Error(result.outcome);
    if (result.outcome !== 'durable') throw result.error;
    last += eventCount;
    say(last);
  }
  if (options.dies) process.kill(process.pid, 'SIGKILL');
  await journal.close();
}

try {
  if (lockFolder(dir) === 'held') {
    say('held');
    process.exit(EXIT.held);
  }
  say('locked');
  await run();
  process.exit(EXIT.clean);
} catch (error) {
  if (error instanceof CorruptJournalError) process.exit(EXIT.data);
  if (!(error instanceof Error && 'errno' in error)) throw error;
  process.exit(EXIT.storage);
}
