/** What fault tests plant beside the journal's bugs, to see that they would find it. */
import { type Bug, bug } from '../plant.ts';

const DISK = 'server/journal/disk.ts';

/** The control of the power cuts: it has to lose something. */
export const UNFORCED_DISK = bug(
  'nothing is forced to the disk',
  [DISK, 'O_RDWR | O_CREAT | O_TRUNC | O_DSYNC', 'O_RDWR | O_CREAT | O_TRUNC'],
  [
    DISK,
    'fs.fsync(this.#descriptor, (error) => (error ? fail(naming(error, this.#path)) : done()));',
    'setImmediate(done);',
  ],
);

/** Frames that are not answered. */
export const SILENCES: readonly Bug[] = [
  bug('swallows an empty array', [
    'server/sessions/connection.ts',
    "if (values.length === 0) return this.#fault({ code: 'bad_frame', message: 'an array holds at least one frame' });",
    'if (values.length === 0) return;',
  ]),
  bug('does not answer a report that it refuses', [
    'server/sessions/frame-handler.ts',
    "this.#send(answer.type === 'rejected' ? errorFrame(frame.id, answer) : { type: 'reported', id: frame.id }),",
    "answer.type === 'rejected' ? undefined : this.#send({ type: 'reported', id: frame.id }),",
  ]),
];
