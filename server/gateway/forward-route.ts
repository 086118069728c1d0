/**
 * The way of one request or tunnel: a lease, a connection through its address, and another address where one didn't get us
 * through and nothing is done twice by trying again.
 */
import type { Socket } from 'node:net';
import type { Where } from '../../protocol/where.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import type { Fault } from '../health/probes.ts';
import { parseUpstream, type Upstream } from '../health/upstream.ts';
import type { Owner } from '../lease/holder.ts';
import type { Destination } from './destination.ts';
import { leaseRefusal, type Refusal, refusal } from './forward-errors.ts';
import type { Held, HeldLeases } from './held-leases.ts';
import type { LeaseAsk } from './lease-source.ts';
import type { Wanted } from './proxy-parameters.ts';
import type { GatewayLog } from './request-line.ts';
import { failed, type Opened, openThrough } from './upstream.ts';

/** What becomes of addresses in use, for whoever judges their health. */
export interface AddressReports {
  onAddressFailure(addressId: number, reason: Fault): void;
  /** It got through; `latencyMs`: until it took the connection, where that is known. */
  onAddressSuccess(addressId: number, latencyMs?: number): void;
}

export interface RouteTools {
  readonly held: HeldLeases;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: Pick<GatewayLog, 'warn'>;
  readonly reports: AddressReports;
  readonly retriesMax: number;
  readonly connectTimeoutMs: number;
  /** An address without its credentials. */
  readonly mask: (address: string) => string;
  readonly ca: string | undefined;
  readonly onRetry: () => void;
}

/** A connection through a leased address. */
export interface Leg {
  readonly held: Held;
  readonly upstream: Upstream;
  readonly socket: Socket;
}

export type Reached = { readonly type: 'leg'; readonly leg: Leg } | { readonly type: 'gone' } | NotReached;
interface NotReached {
  readonly type: 'not_reached';
  readonly refusal: Refusal;
}

export interface Journey {
  readonly owner: Owner;
  readonly client: string;
  readonly wanted: Wanted;
  /** Given the leased address: undefined is the address itself, which is told the rest in the request line. */
  readonly destinationFor: (upstream: Upstream) => Destination | undefined;
  /** Aborted where nobody waits for it any more. */
  readonly gone: AbortSignal;
}

export class ForwardRoute {
  readonly #tools: RouteTools;
  readonly #journey: Journey;
  /** Addresses that didn't get us through. */
  readonly #tried: string[] = [];
  /** Of the last of them. */
  #lastFailure: { readonly address: string; readonly refusal: Refusal } | undefined;
  retries = 0;
  /** The last address, for people. */
  target: string | undefined;

  constructor(tools: RouteTools, journey: Journey) {
    this.#tools = tools;
    this.#journey = journey;
  }

  get mayRetry(): boolean {
    return this.retries < this.#tools.retriesMax;
  }

  async reach(): Promise<Reached> {
    for (;;) {
      const holding = await this.#hold();
      if (holding.type !== 'held') {
        return { type: 'not_reached', refusal: this.#lastFailure?.refusal ?? leaseRefusal(holding) };
      }
      const { held } = holding;
      if (this.#journey.gone.aborted) {
        held.done({ requests: 0 });
        return { type: 'gone' };
      }
      this.#sayIfAgain(held);
      const upstream = parseUpstream(held.lease.address.address);
      this.target = this.#tools.mask(held.lease.address.address);
      const opened = await this.#open(held, upstream);
      if (opened.type === 'open') {
        // Of a SOCKS or tunnelled way, since then the address has answered; of the other its answer says it. How long the
        // destination took is not the address's doing.
        const isThrough = this.#journey.destinationFor(upstream!) !== undefined;
        if (isThrough) this.#tools.reports.onAddressSuccess(held.lease.addressId, opened.connectMs);
        return { type: 'leg', leg: { held, upstream: upstream!, socket: opened.socket } };
      }
      if (opened.type === 'aborted') {
        held.done({ requests: 0 });
        if (this.#journey.gone.aborted) return { type: 'gone' };
        const { refusal: revoked } = this.failedBy(held, refusal('lease_revoked', 'the lease was taken back'));
        if (!this.mayRetry) return { type: 'not_reached', refusal: revoked };
        continue;
      }
      const { fault } = opened;
      // Before it is handed back, so that nobody in line is given it in between.
      if (fault.fault) this.#tools.reports.onAddressFailure(held.lease.addressId, fault.fault);
      const isOurs = fault.reason === 'overloaded';
      held.done(isOurs ? { requests: 0 } : { outcome: 'failed', requests: 1, isSpent: true });
      const extras = isOurs ? { retryAfterS: 1 } : {};
      const failure = this.failedBy(held, refusal(fault.reason, fault.message, extras));
      if (!fault.mayRetry || !this.mayRetry) return failure;
    }
  }

  /** `held` is not asked for again, and `why` is the answer where there is no other. */
  failedBy({ lease }: Held, why: Refusal): NotReached {
    this.#tried.push(lease.address.address);
    this.#lastFailure = { address: lease.address.address, refusal: why };
    return { type: 'not_reached', refusal: why };
  }

  #hold() {
    const { wanted, owner, client } = this.#journey;
    const { session, ...terms } = wanted;
    const ask: LeaseAsk = { ...terms, owner };
    const besides = this.#tried.length === 0 ? ask : { ...ask, where: this.#besidesTried(ask.where) };
    return session ? this.#tools.held.holdOf(session, client, ask, besides) : this.#tools.held.hold(besides);
  }

  #besidesTried(where: Where | undefined): Where {
    const others: Where = { address: { nin: [...this.#tried] } };
    return where === undefined ? others : { and: [where, others] };
  }

  #sayIfAgain({ lease }: Held): void {
    if (this.#lastFailure === undefined) return;
    this.retries += 1;
    this.#tools.onRetry();
    const { address, refusal: why } = this.#lastFailure;
    const { mask, log } = this.#tools;
    const between = { from: mask(address), to: mask(lease.address.address) };
    log.warn({ via: 'forward', ...between, reason: why.reason, retry: this.retries }, 'tried again on another address');
  }

  async #open(held: Held, upstream: Upstream | undefined): Promise<Opened> {
    if (!upstream) return failed('upstream_unreachable', 'the pool record has no address of a proxy', 'failed');
    const { clock, scheduler, connectTimeoutMs: timeoutMs, ca } = this.#tools;
    const { gone, destinationFor } = this.#journey;
    const abort = new AbortController();
    const cut = () => abort.abort();
    gone.addEventListener('abort', cut, { once: true });
    const off = held.onEnded(cut);
    const opened = await openThrough(upstream, destinationFor(upstream), {
      timeoutMs,
      clock,
      scheduler,
      signal: abort.signal,
      ca,
    });
    off();
    gone.removeEventListener('abort', cut);
    // Aborted in the very turn in which it was there.
    if (opened.type !== 'open' || !abort.signal.aborted) return opened;
    opened.socket.destroy();
    return { type: 'aborted' };
  }
}
