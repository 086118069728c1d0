import type { Replica } from '../../coordinator/replica.ts';
import type { Recovered } from '../../journal/recover.ts';

/** Where the journal stands behind one batch: the only places to which a recovery may come. */
export interface HistoryPlace {
  readonly position: number;
  readonly epoch: number;
  /** What the domain's snapshot would hold. */
  readonly state: string;
  /** The highest granted so far. */
  readonly token: number;
  /** The batch is the mark of a clean stop. */
  readonly isStop: boolean;
  readonly life: Life;
  readonly before: HistoryPlace | undefined;
}

/** One process from its start to its end. */
export interface Life {
  readonly firstToken: number;
  /** The highest that was granted and acknowledged in it, from its start to its end. */
  ackedToken: number;
}

/** What is known outside of the journal at one moment. */
export interface Facts {
  /** Answered `durable`, or recovered at a start. */
  readonly acked: HistoryPlace;
  /** Given to the journal, be it in vain. */
  readonly handed: HistoryPlace;
}

const FIRST_LIFE: Life = { firstToken: 0, ackedToken: 0 };

/** Before the first batch. */
export function beginning(replica: Replica): HistoryPlace {
  const state = stateText(replica);
  return { position: 0, epoch: 0, state, token: 0, isStop: false, life: FIRST_LIFE, before: undefined };
}

export function stateText(replica: Replica): string {
  return JSON.stringify([...replica.encode()]);
}

/** All that a start may say after a crash, however the disk has behaved. */
const NOTE = /^a torn batch of \d+ bytes ends \d{20}\.delta at byte \d+$/;

/** The place to which a recovery has come; where it isn't one that it may come to, what is wrong. */
export function placeOf(recovered: Recovered, replica: Replica, { acked, handed }: Facts): HistoryPlace | string {
  const { position, epoch, badSnapshots, notes, cutTail } = recovered;
  if (position < acked.position) return `position ${position} was recovered, and ${acked.position} acknowledged`;
  if (position > handed.position) return `position ${position} was recovered, and only ${handed.position} ever written`;
  let place = handed;
  while (place.position > position && place.before) place = place.before;
  if (place.position !== position) return `position ${position} is inside a batch: ${place.position} was a whole one`;
  const state = stateText(replica);
  if (state !== place.state) return `the state at position ${position} is ${state}, and was ${place.state}`;
  if (epoch < place.epoch) return `epoch ${epoch} was recovered, and ${place.epoch} has written`;
  const strange = notes.find((note) => !NOTE.test(note));
  if (strange !== undefined || badSnapshots.length > 0) return `a crash is taken for damage: ${notes.join('; ')}`;
  if (cutTail && place.isStop && place === handed) return `${cutTail.bytes} bytes were cut behind a clean stop`;
  return place;
}
