/** What is wrong in a data folder, and exactly where: what the offline tools report. */

export type FaultKind =
  /** The first 512 bytes of a file are no header, or not of the file that its name says. */
  | 'bad_header'
  /** A sound file, or sound events, of a later version of the program. */
  | 'newer_version'
  /** A sound file of other data. */
  | 'foreign_data'
  /** A snapshot is damaged behind its header. */
  | 'bad_snapshot'
  /** No good batch begins where one should, and that is not the work of a crash. */
  | 'bad_batch'
  /** Positions are missing, or come twice. */
  | 'gap'
  /** A sound batch, segment or snapshot that does not follow from what stands before it. */
  | 'broken_chain'
  /** Something was written behind the mark of a clean stop. */
  | 'after_clean_stop'
  /** What fills up a sector is not zero. */
  | 'padding'
  /** A sound batch whose events can't be decoded, or don't fit the state before them. */
  | 'bad_events'
  /** The deltas end before a snapshot, or begin behind what leads to them. */
  | 'unreached'
  /** A snapshot holds another state than the older one and the deltas since give. */
  | 'other_state'
  /** The file `stopped` is damaged, or the deltas end elsewhere than it says. */
  | 'stop_mark';

export interface Fault {
  readonly file: string;
  readonly offset: number;
  readonly kind: FaultKind;
  readonly message: string;
}
