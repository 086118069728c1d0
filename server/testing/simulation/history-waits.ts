import type { Where } from '../../../protocol/where.ts';
import type { LeaseState } from '../../lease/state.ts';
import type { Waiter } from '../../lease/waiting.ts';
import { type BookOptions, type EventOf, type Happening, releaser } from './happening.ts';
import type { SessionBook } from './history-sessions.ts';
import { fits } from './naive-pairs.ts';

/** A request in line, from its coming on. */
export interface WaitRecord {
  readonly number: number;
  readonly session: string;
  readonly resource: number;
  readonly position: number;
  readonly where: Where | undefined;
  /** Requests of one collector with the same text stand in one line. */
  readonly whereText: string;
  readonly count: number;
  readonly key: string | undefined;
  /** By the coordinator's clock. */
  readonly untilMs: number;
  /** Ids by which it was asked for, newest last. */
  requests: readonly number[];
  /**
   * The lines of others that were served before it with an address that it fits, since its own collector was last served
   * with one: each at most once, unless their collector was away in between.
   */
  passedBy: Set<string>;
  isTold: boolean;
  isEnded: boolean;
  endPosition: number;
  isEndTold: boolean;
}

export interface WaitBookOptions extends BookOptions {
  readonly sessions: SessionBook;
}

/** Who stands in line. */
export class WaitBook {
  /** By number. Invariant: what is in it hasn't ended. */
  readonly waiting = new Map<number, WaitRecord>();
  readonly #options: WaitBookOptions;
  readonly #byResource = new Map<number, Set<WaitRecord>>();
  /** By session and id. */
  readonly #byRequest = new Map<string, WaitRecord>();

  constructor(options: WaitBookOptions) {
    this.#options = options;
  }

  find(session: string, request: number): WaitRecord | undefined {
    return this.#byRequest.get(nameOf(session, request));
  }

  of(session: string): WaitRecord[] {
    return [...this.waiting.values()].filter((wait) => wait.session === session);
  }

  countOf(resource: number): number {
    return this.#byResource.get(resource)?.size ?? 0;
  }

  /** The waiters of the state that these stand for, in the order of their coming. */
  waitersOf(resource: number, state: LeaseState): Waiter[] {
    const waiters: Waiter[] = [];
    let isInOrder = true;
    for (const { number } of this.#byResource.get(resource) ?? []) {
      const waiter = state.waiters.get(number);
      if (!waiter) continue;
      isInOrder &&= (waiters.at(-1)?.number ?? 0) < number;
      waiters.push(waiter);
    }
    // Those whom a crash brought back came in last here.
    return isInOrder ? waiters : waiters.sort((one, other) => one.number - other.number);
  }

  queued(event: EventOf<'AcquireQueued'>, { position }: Happening): WaitRecord {
    const { waiter: number, session, resource, request, where, count = 1, key, untilMs } = event;
    const { sessions, findings, undos } = this.#options;
    sessions.mustBeThere(session, `waiter ${number} comes`);
    const wait: WaitRecord = {
      number,
      session,
      resource,
      position,
      where,
      whereText: JSON.stringify(where ?? {}),
      count,
      key,
      untilMs,
      requests: [request],
      passedBy: new Set(),
      isTold: false,
      isEnded: false,
      endPosition: 0,
      isEndTold: false,
    };
    this.#enter(wait);
    this.#byRequest.set(nameOf(session, request), wait);
    undos.add(position, () => {
      this.#leave(wait);
      this.#byRequest.delete(nameOf(session, request));
      if (wait.isTold) findings.report('durability', `a crash loses waiter ${number}, who was told to wait`);
    });
    return wait;
  }

  repeated({ waiter, request }: EventOf<'WaitRepeated'>, { position }: Happening): void {
    const wait = this.waiting.get(waiter);
    if (!wait) return this.#options.findings.report('waiting', `waiter ${waiter} is asked for again, and isn't there`);
    const { requests } = wait;
    wait.requests = [...requests, request];
    this.#options.undos.put(position, this.#byRequest, nameOf(wait.session, request), wait);
    this.#options.undos.add(position, () => void (wait.requests = requests));
  }

  /** Without a grant. */
  ended({ waiter, end }: EventOf<'WaitEnded'>, happening: Happening): WaitRecord | undefined {
    const { nowMs, command } = happening;
    const find = (what: string) => this.#options.findings.report('waiting', `waiter ${waiter} ${what}`);
    const wait = this.#over(waiter, happening);
    if (!wait) return undefined;
    if (end === 'timeout' && nowMs < wait.untilMs) find(`runs out of time ${wait.untilMs - nowMs} ms early`);
    if (end === 'cancelled' && releaser(command) !== wait.session) find('is cancelled by somebody else');
    return wait;
  }

  /** By the first of the leases that it is granted. */
  granted(event: EventOf<'LeaseGranted'>, happening: Happening): WaitRecord | undefined {
    if (event.waiter === undefined) return undefined;
    const find = (what: string) => this.#options.findings.report('waiting', `waiter ${event.waiter} ${what}`);
    const session = event.holder.kind === 'session' ? event.holder.session : '';
    // The next leases of a count find it gone.
    const wait = happening.state.waiters.has(event.waiter) ? this.#over(event.waiter, happening) : undefined;
    if (!wait) return undefined;
    if (wait.session !== session || wait.resource !== event.resource) find('is granted to somebody else');
    if (wait.count === 1) this.#mustBeNext(wait, event, happening);
    return wait;
  }

  sessionEnded(session: string, happening: Happening): void {
    for (const { number } of this.of(session)) this.#over(number, happening);
  }

  /** Its collector is served: what else it waits for and could have taken this for has been served, too. */
  served(session: string, { resource, addressId }: EventOf<'LeaseGranted'>, { state, position }: Happening): void {
    const address = state.addresses.get(addressId)!;
    for (const wait of this.#byResource.get(resource) ?? []) {
      if (wait.session !== session || wait.passedBy.size === 0) continue;
      if (fits(state, resource, wait.where, address)) this.#setPassedBy(wait, new Set(), position);
    }
  }

  /** Other conditions make other lines. */
  regrouped({ position }: Happening): void {
    for (const wait of this.waiting.values()) this.#setPassedBy(wait, new Set(), position);
  }

  /**
   * First come first within a line; and of those whom the address fits, none is passed twice by the same line: a line
   * that was served goes behind all who were there. Whoever was away comes back before them, and counts anew; what a count
   * had collected was its own already.
   */
  #mustBeNext(wait: WaitRecord, { resource, addressId }: EventOf<'LeaseGranted'>, happening: Happening): void {
    const { state, position } = happening;
    const { sessions, findings } = this.#options;
    const address = state.addresses.get(addressId)!;
    const line = `${wait.session}, ${wait.whereText}, resumed ${sessions.sessions.get(wait.session)?.resumes ?? 0} times`;
    for (const other of this.#byResource.get(resource) ?? []) {
      if (other.count > 1 || sessions.isSuspended(other.session)) continue;
      if (other.session === wait.session) {
        if (other.number < wait.number && other.whereText === wait.whereText) {
          findings.report('fairness', `waiter ${wait.number} is served before ${other.number} of its own line`);
        }
      } else if (fits(state, resource, other.where, address)) {
        if (other.passedBy.has(line)) findings.report('fairness', `waiter ${other.number} is passed twice by ${line}`);
        this.#setPassedBy(other, new Set(other.passedBy).add(line), position);
      }
    }
  }

  #setPassedBy(wait: WaitRecord, passedBy: Set<string>, position: number): void {
    const { passedBy: before } = wait;
    wait.passedBy = passedBy;
    this.#options.undos.add(position, () => void (wait.passedBy = before));
  }

  #over(number: number, { position }: Happening): WaitRecord | undefined {
    const wait = this.waiting.get(number);
    if (!wait) {
      this.#options.findings.report('waiting', `waiter ${number} is through, and isn't there`);
      return undefined;
    }
    this.#leave(wait);
    wait.isEnded = true;
    wait.endPosition = position;
    this.#options.undos.add(position, () => {
      this.#enter(wait);
      wait.isEnded = false;
      if (wait.isEndTold) this.#options.findings.report('durability', `a crash brings waiter ${number} back`);
    });
    return wait;
  }

  #enter(wait: WaitRecord): void {
    this.waiting.set(wait.number, wait);
    const ofResource = this.#byResource.get(wait.resource) ?? new Set();
    this.#byResource.set(wait.resource, ofResource.add(wait));
  }

  #leave(wait: WaitRecord): void {
    this.waiting.delete(wait.number);
    this.#byResource.get(wait.resource)?.delete(wait);
  }
}

function nameOf(session: string, request: number): string {
  return `${session} ${request}`;
}
