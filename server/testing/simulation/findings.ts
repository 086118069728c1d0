/** What must hold, by the name under which a run says that it didn't. */
export type Invariant =
  /** One live lease of a pair, on an address that serves the resource and meets the conditions, within the bounds. */
  | 'exclusivity'
  /** Tokens rise, and what was told is not forgotten. */
  | 'tokens'
  /** Nothing is said before it is on disk, and a crash loses nothing that was said. */
  | 'durability'
  /** No lease expires before its holder's own deadline, and under `handover: safe` nobody else has its pair before. */
  | 'expiry'
  /** Each pair is in one state, all of them together are the pool, and whatever is live belongs to a live session. */
  | 'pairs'
  /** What rests, is quarantined, unhealthy, draining, reserved or tried out is given to nobody, and for as long as it must. */
  | 'marks'
  /** Who waits is there, is served as soon as there is something for it, and is passed by nobody who came later. */
  | 'waiting'
  /** Of those whom an address fits, the collector that was served longest ago is next. */
  | 'fairness'
  /** One key, one request: never two leases at once, nor another after its end. */
  | 'keys'
  /** One answer a request, in order, of the right kind, to the right client. */
  | 'answers'
  /** Sessions last as long as was promised, and one socket speaks for each. */
  | 'sessions'
  /** No restart prolongs a lease by more than the coordinator's clock may be behind on disk. */
  | 'clock'
  /** On a disk that is nearly full nothing new begins. */
  | 'storage'
  /** Indexes say what the state says. */
  | 'indexes'
  /** The journal replayed, and the snapshot restored, give the live state. */
  | 'replay'
  /** When nobody disturbs any more, everything comes to its end and is free again. */
  | 'quiet'
  /** Something threw. */
  | 'bug';

export interface Finding {
  readonly invariant: Invariant;
  readonly message: string;
}

/** What a run has found; the first counts, since the rest may follow from it. */
export class Findings {
  first: Finding | undefined;

  report(invariant: Invariant, message: string): void {
    this.first ??= { invariant, message };
  }
}
