import type { CoordinatorFrame, Grant, HelloFrame, WelcomeFrame } from '../../../protocol/frames.ts';
import { meets } from '../where-meets.ts';
import type { AcquireAsked, Acquires } from './sim-acquires.ts';
import type { Beliefs } from './sim-beliefs.ts';
import type { Request, SimLink } from './sim-link.ts';
import type { Settings } from './sim-settings.ts';
import type { Timeline } from './timeline.ts';
import { ownDeadlineMs, type Told } from './told.ts';
import type { Tally } from './trace.ts';

type CancelledFrame = Extract<CoordinatorFrame, { type: 'cancelled' }>;

/** A wait may be over by a clock that is so much too fast. */
const CLOCK_RATE_SHARE = 0.001;
/** Errors that these clients may be answered. */
const EXPECTED_ERRORS = new Set([
  'bad_frame',
  'bad_field',
  'unknown_type',
  'unknown_resource',
  'unknown_lease',
  'lease_lost',
  'not_holder',
  'key_reused',
  'overloaded',
  'storage_full',
]);

export interface ReaderOptions {
  readonly timeline: Timeline;
  readonly settings: Settings;
  readonly told: Told;
  readonly tally: Tally;
  readonly beliefs: Beliefs;
  readonly acquires: Acquires;
  readonly clockRate: number;
  /** It was told what can't be. */
  find(what: string): void;
}

/**
 * Reads what a client is sent as PROTOCOL.md has it. What comes on a socket that the client has given up for a newer one
 * (`isCurrent` false) is held to what has happened, and believed no more.
 */
export class SimReader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  pushed(link: SimLink, frame: CoordinatorFrame, isCurrent: boolean): void {
    const { told, beliefs } = this.#options;
    const { session } = link;
    switch (frame.type) {
      case 'expiring':
        return told.mine(session, frame.lease);
      case 'expired':
        told.end(session, frame.lease);
        if (isCurrent) beliefs.over(frame.lease);
        return;
      case 'revoking':
        told.announced(session, frame.lease);
        if (frame.substitute) this.#substituted(link, frame.lease, frame.substitute, isCurrent);
        return;
      case 'revoked':
        told.end(session, frame.lease);
        if (frame.substitute) this.#substituted(link, frame.lease, frame.substitute, isCurrent);
        if (isCurrent) beliefs.over(frame.lease);
        return;
      case 'goaway':
        return;
      default:
        this.#find(`${frame.type} is pushed`);
    }
  }

  answered(link: SimLink, request: Request, frame: CoordinatorFrame, isCurrent: boolean): void {
    const { told, beliefs, acquires } = this.#options;
    const { session } = link;
    switch (frame.type) {
      case 'granted':
        return this.#granted(link, request, 'leases' in frame ? frame.leases : [frame], isCurrent);
      case 'queued':
        if (request.frame.type === 'acquire' && !request.frame.wait_ms) this.#find(`${request.id} waits, unasked`);
        told.queued(session, request.id);
        return isCurrent ? acquires.queued(link, request) : undefined;
      case 'refused':
        return this.#refused(session, request, frame.reason);
      case 'cancelled':
        return this.#cancelled(link, request, frame, isCurrent);
      case 'renewed':
        for (const renewal of 'leases' in frame ? frame.leases : [frame]) {
          if (!('lost' in renewal)) this.#renewed(link, renewal.lease, request, renewal.ttl_ms, isCurrent);
          else if (isCurrent) beliefs.refused(renewal.lease);
        }
        return;
      case 'released':
        if (request.frame.type !== 'release') return;
        told.end(session, request.frame.lease);
        if (isCurrent) beliefs.over(request.frame.lease);
        return;
      case 'reported':
        if (request.frame.type === 'report') told.mine(session, request.frame.lease);
        return;
      case 'error':
        return this.#failed(session, request, frame.code, isCurrent);
      default:
    }
  }

  welcomed(link: SimLink, request: Request, welcome: WelcomeFrame): void {
    const { told, settings, beliefs, acquires } = this.#options;
    const hello = request.frame as HelloFrame;
    const { session, leases, waiting, ended } = welcome;
    told.welcome(session, welcome);
    const windowMs = Math.min(hello.resume_window_ms ?? 0, settings.resumeWindowMaxMs);
    if (welcome.limits.resume_window_ms !== windowMs) this.#find('welcome grants another resume window');
    if (welcome.resumed !== (session === hello.resume?.session)) this.#find('resumed, and another session');
    if (welcome.resumed && welcome.secret !== hello.resume?.secret) this.#find('the secret has changed');
    beliefs.welcomed(session, leases, ended, {
      untilMs: (lease) => this.#deadlineMs(request, lease.ttl_ms),
      isGivenUp: ({ lease, request: answered }) => this.#isGivingUp(link, lease, new Set([answered])),
    });
    acquires.welcomed(link, waiting);
  }

  // ---- acquires

  #granted(link: SimLink, request: Request, grants: readonly Grant[], isCurrent: boolean): void {
    const { told, beliefs, acquires } = this.#options;
    const { frame: asked, id } = request;
    if (asked.type !== 'acquire') return;
    const { key } = asked;
    for (const grant of grants) {
      told.lease(link.session, grant);
      told.byKey(grant.lease, key);
      // With a key it may be what was granted before, of which other things can have changed since.
      if (key === undefined) this.#mustBeAsAsked(request, asked, grant);
    }
    const isWhole = grants.length === (asked.count ?? 1) || (key !== undefined && grants.length > 0);
    if (!isWhole) this.#find(`${grants.length} leases are granted for ${id}, which asked for ${asked.count ?? 1}`);
    if (!isCurrent) return;
    for (const { lease, ttl_ms: ttlMs, waited_ms: waitedMs = 0 } of grants) {
      if (key !== undefined) acquires.granted(request, lease);
      const untilMs = this.#deadlineMs(request, waitedMs + ttlMs);
      beliefs.granted(link.session, lease, id, untilMs, this.#isGivingUp(link, lease, new Set([id])));
    }
  }

  /** The pair, the TTL and the time in line that were asked for. */
  #mustBeAsAsked(request: Request, asked: AcquireAsked, grant: Grant): void {
    const { lease, address } = grant;
    const find = (what: string) => this.#find(`lease ${lease} ${what}`);
    if (grant.resource !== asked.resource) find('is for another resource than asked for');
    const labels = address['labels'] as Record<string, string> | undefined;
    // The figure counts the grant, of which the condition could know nothing.
    const { address: text, country, rpw, resource_ids: resourceIds } = address;
    const attributes = { address: text, country, rpw: rpw - 1, resourceIds, labels };
    if (asked.where && !meets(asked.where, attributes)) find(`doesn't meet ${JSON.stringify(asked.where)}`);
    const { ttlMinMs, ttlMaxMs } = this.#options.settings.ttlBounds;
    const ttlMs = Math.min(Math.max(asked.ttl_ms, ttlMinMs), ttlMaxMs);
    if (grant.ttl_ms !== ttlMs || (grant.clamped ?? false) !== (ttlMs !== asked.ttl_ms)) {
      find(`has a TTL of ${grant.ttl_ms} ms for the ${asked.ttl_ms} ms asked for`);
    }
    if ((grant.waited_ms !== undefined) !== request.isWaiting) find(`says ${grant.waited_ms} ms of its time in line`);
  }

  #refused(session: string, request: Request, reason: string): void {
    const { id, frame, sentMs, isWaiting } = request;
    if ((reason === 'wait_timeout') !== isWaiting) this.#find(`${id} is refused, ${reason}`);
    if (!isWaiting || frame.type !== 'acquire') return;
    this.#options.told.waitOver(session, id);
    const waitMs = (frame.wait_ms ?? 0) * (1 - CLOCK_RATE_SHARE);
    const waitedMs = this.#options.timeline.nowMs - sentMs;
    // A repetition stands in line for no longer than the first of its kind.
    if (frame.key === undefined && waitedMs < waitMs) this.#find(`${id} waits ${waitedMs} ms of ${waitMs}`);
  }

  /** Out of line, or released: nothing is left of the acquire. */
  #cancelled(link: SimLink, request: Request, frame: CancelledFrame, isCurrent: boolean): void {
    const { told, beliefs, acquires } = this.#options;
    if (request.frame.type !== 'cancel') return;
    const { request: target } = request.frame;
    const released = frame.leases ?? (frame.lease === undefined ? [] : [frame.lease]);
    for (const lease of released) {
      if (isCurrent && !beliefs.held.has(lease)) this.#find(`cancelled names ${lease}, which it wasn't granted before`);
      told.end(link.session, lease);
      if (isCurrent) beliefs.over(lease);
    }
    if (!isCurrent) return;
    for (const { lease } of beliefs.of(target)) this.#find(`lease ${lease} outlives the cancelling of ${target}`);
    if (link.pending.get(target)?.isWaiting) told.waitOver(link.session, target);
    acquires.cancelled(link, request);
  }

  // ---- leases

  #substituted(link: SimLink, predecessor: number, substitute: Grant, isCurrent: boolean): void {
    const { told, beliefs } = this.#options;
    told.lease(link.session, substitute);
    told.substitute(predecessor, substitute.lease);
    if (!isCurrent) return;
    const requests = beliefs.held.get(predecessor)?.requests ?? new Set();
    const isGivenUp = this.#isGivingUp(link, substitute.lease, requests);
    beliefs.substituted(link.session, predecessor, substitute.lease, isGivenUp);
  }

  #renewed(link: SimLink, lease: number, request: Request, ttlMs: number, isCurrent: boolean): void {
    this.#options.told.mine(link.session, lease);
    if (isCurrent) this.#options.beliefs.renewed(link.session, lease, this.#deadlineMs(request, ttlMs));
  }

  #failed(session: string, request: Request, code: string, isCurrent: boolean): void {
    const { told, beliefs, acquires } = this.#options;
    const { frame } = request;
    if (!EXPECTED_ERRORS.has(code)) this.#find(`${frame.type} is answered ${code}`);
    if (code === 'key_reused') return acquires.keyReused(request);
    if (frame.type === 'acquire' && code === 'lease_lost') return told.keyOver(session, frame.key);
    if (!isCurrent || code === 'overloaded' || code === 'storage_full' || !('lease' in frame)) return;
    if (frame.lease !== undefined) beliefs.refused(frame.lease);
  }

  #deadlineMs({ sentMs }: Request, durationMs: number): number {
    return ownDeadlineMs(sentMs, durationMs, this.#options.clockRate);
  }

  /** A release of the lease, or a cancel of what it answers, is under way on this socket. */
  #isGivingUp({ pending }: SimLink, lease: number, answered: ReadonlySet<number>): boolean {
    const { acquires } = this.#options;
    for (const { frame } of pending.values()) {
      if (frame.type === 'release' && frame.lease === lease) return true;
      if (frame.type === 'cancel' && acquires.takesBack(frame.request, answered)) return true;
    }
    return false;
  }

  #find(what: string): void {
    this.#options.find(what);
  }
}
