/** Leases of a few addresses, each for one at a time: what the gateway sees of a pool, without the domain behind it. */
import type { Outcome } from '../../protocol/codes.ts';
import type { LeaseAsk, LeaseAsked, LeaseEndReason, LeaseSource } from '../gateway/lease-source.ts';

export interface ReleasedLease {
  readonly addressId: number;
  readonly outcome: Outcome | undefined;
  readonly requests: number | undefined;
}

export class FixedLeases implements LeaseSource {
  readonly #addresses: readonly string[];
  readonly #live = new Map<number, AbortController>();
  #next = 0;
  #token = 0;
  readonly asks: LeaseAsk[] = [];
  readonly released: ReleasedLease[] = [];
  /** While they were held. */
  readonly reported: ReleasedLease[] = [];
  /** Addresses whose revocation has been announced. */
  readonly revoking = new Set<number>();
  /** Called after each release. */
  onRelease = (): void => {};

  /** Ids count from 1. */
  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  get leased(): number[] {
    return [...this.#live.keys()];
  }

  /** Takes turns. Of the resource 7, whatever else is asked for but addresses that are named in `nin`. */
  acquire(ask: LeaseAsk): Promise<LeaseAsked> {
    this.asks.push(ask);
    if (ask.resource !== 7) {
      const message = `there is no resource ${ask.resource}`;
      return Promise.resolve({ type: 'rejected', code: 'unknown_resource', message, path: 'resource' });
    }
    const excluded = [ask.where, ...(ask.where?.and ?? [])].flatMap((part) => part?.address?.nin ?? []);
    for (let step = 0; step < this.#addresses.length; step += 1) {
      const place = (this.#next + step) % this.#addresses.length;
      const address = this.#addresses[place]!;
      if (this.#live.has(place + 1) || excluded.includes(address)) continue;
      this.#next = place + 1;
      return Promise.resolve({ type: 'granted', lease: this.#grant(place + 1, address) });
    }
    const why = { states: { leased: this.#live.size }, excluded: excluded.length };
    return Promise.resolve({ type: 'refused', reason: 'none_available', why, retryAfterMs: 1_500 });
  }

  revoke(addressId: number, reason: LeaseEndReason): void {
    const ended = this.#live.get(addressId);
    this.#live.delete(addressId);
    ended?.abort(reason);
  }

  #grant(addressId: number, address: string) {
    const ended = new AbortController();
    this.#live.set(addressId, ended);
    this.#token += 1;
    return {
      token: this.#token,
      resource: 7,
      addressId,
      address: { address, country: 'US', rpw: 0, resource_ids: [7] },
      ended: ended.signal,
      isRevoking: () => this.revoking.has(addressId),
      report: ({ outcome, requests }: { readonly outcome?: Outcome; readonly requests: number }) => {
        this.reported.push({ addressId, outcome, requests });
      },
      release: ({ outcome, requests }: { readonly outcome?: Outcome; readonly requests?: number } = {}) => {
        if (this.#live.get(addressId) !== ended) return;
        this.#live.delete(addressId);
        this.released.push({ addressId, outcome, requests });
        this.onRelease();
      },
    };
  }
}
