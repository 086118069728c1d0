/**
 * A process to be killed: locks the folder that it is given, recovers it, and appends batches for as long as it lives.
 * Says `held` (and ends) or `locked`, then the last position after each append that was answered durable.
 *
 * Every event adds its own position to one counter, so that from the state alone one can tell whether any event is
 * missing, doubled or out of place.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Replica } from '../coordinator/replica.ts';
import { buildSnapshot } from '../journal/build-snapshot.ts';
import { nodeDisk } from '../journal/disk.ts';
import { lockFolder } from '../journal/folder-lock.ts';
import { openJournal } from '../journal/journal.ts';
import { packValue } from '../journal/msgpack.ts';
import { recover } from '../journal/recover.ts';
import { SEGMENT_BYTES_MIN } from '../journal/segment.ts';
import { counterDomain } from './counter-domain.ts';
import { realScheduler } from './real-scheduler.ts';

const EVENTS_PER_BATCH_MAX = 1_000;
const say = (line: string | number) => writeSync(1, `${line}\n`);

const dir = process.argv[2]!;
if (lockFolder(dir) === 'held') {
  say('held');
  process.exit(75);
}
say('locked');
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
  // Small, so that rotations and snapshots are among what is killed.
  segmentBytes: SEGMENT_BYTES_MIN,
  snapshotBytes: SEGMENT_BYTES_MIN,
  takeSnapshot: ({ upToPosition }) => buildSnapshot(nodeDisk, dir, new Replica([counterDomain]), upToPosition),
});

for (let last = recovered.position; ; ) {
  const eventCount = randomInt(1, EVENTS_PER_BATCH_MAX + 1);
  const events = Array.from({ length: eventCount }, (_, index) =>
    packValue(counterDomain.encodeEvent({ counter: 'positions', by: last + 1 + index })),
  );
  const batch = { position: last + 1, eventCount, epoch, clockMs: last, utcMs: last, payload: Buffer.concat(events) };
  const { outcome } = await journal.append(batch, last);
  if (outcome !== 'durable') throw new Error(outcome);
  last += eventCount;
  say(last);
}
