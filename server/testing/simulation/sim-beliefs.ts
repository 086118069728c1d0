import type { Ended, Held } from '../../../protocol/frames.ts';
import type { Acquires } from './sim-acquires.ts';
import type { Asked } from './sim-link.ts';
import type { Timeline } from './timeline.ts';
import type { Told } from './told.ts';

/** Ended leases that a client still speaks of. */
const ENDED_MAX = 8;

/** Ids of one lease that a client still speaks of; the coordinator knows a few more of a repeated key. */
const REQUESTS_MAX = 8;

/** A lease that the client takes for its own until `untilMs`, its own deadline, in true time. */
export interface Belief {
  readonly lease: number;
  /** Ids of the acquire that it answers, or that its predecessor did. */
  readonly requests: ReadonlySet<number>;
  untilMs: number;
  /** It has been handed back, though nobody has confirmed that. */
  isGivenUp: boolean;
}

export interface BeliefsOptions {
  readonly timeline: Timeline;
  readonly told: Told;
  readonly acquires: Acquires;
  /** It was told what can't be. */
  find(what: string): void;
}

/** How what `welcome` lists is to be read. */
export interface Reading {
  untilMs(lease: Held): number;
  isGivenUp(lease: Held): boolean;
}

/** What one client takes for its own, from what it was told in its session alone. */
export class Beliefs {
  readonly held = new Map<number, Belief>();
  /** Tokens of leases that ended of late. */
  readonly ended: number[] = [];
  readonly #options: BeliefsOptions;

  constructor(options: BeliefsOptions) {
    this.#options = options;
  }

  get leases(): number[] {
    return [...this.held.keys()];
  }

  /** Held in answer to an acquire. */
  of(request: number): Belief[] {
    return [...this.held.values()].filter(({ requests }) => requests.has(request));
  }

  /** What is to be released, or its acquire to be taken back, is no longer its own from the moment of asking. */
  asked(frame: Asked): void {
    if (frame.type !== 'release' && frame.type !== 'cancel') return;
    const { acquires } = this.#options;
    for (const held of this.held.values()) {
      const isMeant =
        frame.type === 'release' ? held.lease === frame.lease : acquires.takesBack(frame.request, held.requests);
      if (isMeant) held.isGivenUp = true;
    }
  }

  granted(session: string, lease: number, request: number, untilMs: number, isGivenUp: boolean): void {
    const known = this.held.get(lease);
    const requests = new Set([...(known?.requests ?? [])].slice(1 - REQUESTS_MAX)).add(request);
    this.#hold(session, { lease, requests, untilMs, isGivenUp: isGivenUp || known?.isGivenUp === true });
  }

  renewed(session: string, lease: number, untilMs: number): void {
    const held = this.held.get(lease);
    if (!held) return;
    const { requests, isGivenUp } = held;
    this.#hold(session, { lease, requests, untilMs, isGivenUp });
  }

  /** Another lease in the place of one that is revoked: it has that one's deadline. */
  substituted(session: string, predecessor: number, lease: number, isGivenUp: boolean): void {
    const held = this.held.get(predecessor);
    if (!held)
      return this.#options.find(`lease ${lease} is to take the place of ${predecessor}, which it doesn't hold`);
    this.#hold(session, { lease, requests: held.requests, untilMs: held.untilMs, isGivenUp });
  }

  /** It was told that the lease is over, in whatever way. */
  over(lease: number): void {
    if (!this.held.delete(lease)) return;
    this.ended.push(lease);
    if (this.ended.length > ENDED_MAX) this.ended.shift();
  }

  /** Whatever it asked of the lease, it is told that the lease isn't its own. */
  refused(lease: number): void {
    const held = this.held.get(lease);
    if (!held) return;
    const leftMs = held.untilMs - this.#options.timeline.nowMs;
    if (!held.isGivenUp && leftMs > 0) this.#options.find(`lease ${lease} is lost without a word, ${leftMs} ms early`);
    this.over(lease);
  }

  /** `welcome` of its session: what isn't in it has ended. */
  welcomed(session: string, leases: readonly Held[], ended: readonly Ended[], how: Reading): void {
    const { told } = this.#options;
    const find = (what: string) => this.#options.find(what);
    const known = new Set([...this.held.values()].flatMap(({ requests }) => [...requests]));
    const listed = new Set<number>();
    for (const held of leases) {
      const { lease, request } = held;
      listed.add(lease);
      told.lease(session, held);
      // What took another's place meanwhile answers the same request as that.
      if (!this.held.has(lease) && !known.has(request) && !this.#options.acquires.isInDoubt(request)) {
        find(`welcome has lease ${lease}, never asked for`);
      }
      const requests = new Set(this.held.get(lease)?.requests).add(request);
      this.#hold(session, { lease, requests, untilMs: how.untilMs(held), isGivenUp: how.isGivenUp(held) });
    }
    const endedLeases = new Set(ended.map(({ lease }) => lease));
    for (const { lease, isGivenUp } of this.held.values()) {
      if (listed.has(lease)) continue;
      if (!isGivenUp && !endedLeases.has(lease)) find(`lease ${lease} is gone from welcome without a word`);
      this.over(lease);
    }
    for (const lease of endedLeases) told.end(session, lease);
  }

  /** The session is no longer its own, and so is nothing else. */
  clear(): void {
    this.held.clear();
  }

  /** A deadline that was later already stays. */
  #hold(session: string, belief: Belief): void {
    const { lease } = belief;
    const untilMs = Math.max(belief.untilMs, this.held.get(lease)?.untilMs ?? 0);
    this.held.set(lease, { ...belief, untilMs });
    this.#options.told.deadline(session, lease, untilMs);
  }
}
