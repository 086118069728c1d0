import type { Grant } from '../../protocol/frames.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice, Rejected } from '../lease/commands.ts';
import type { LeaseState } from '../lease/state.ts';
import type { LeaseAsk, LeaseAsked, LeaseEndReason, LeaseSource, ProcessLease } from './lease-source.ts';

/** As granted where no policy cuts it; renewed at half of it. */
const TTL_MS = 60_000;
const OVERLOADED_RETRY_MS = 1_000;

export interface ProcessLeasesOptions {
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  /** Whether the disk is so far behind that nothing new is taken. */
  readonly isOverloaded: () => boolean;
  readonly scheduler: Scheduler;
}

const OVERLOADED: Rejected = {
  type: 'rejected',
  code: 'overloaded',
  message: 'the disk is behind; try again later',
  retryAfterMs: OVERLOADED_RETRY_MS,
};

interface Held {
  readonly ended: AbortController;
  isRevoking: boolean;
  cancelRenewal: () => void;
}

/** Leases of the lease domain whose holder is this process. Nothing of them is written: they die with it. */
export class ProcessLeases implements LeaseSource {
  readonly #options: ProcessLeasesOptions;
  /** By token: those that have not ended as far as we know. */
  readonly #held = new Map<number, Held>();

  constructor(options: ProcessLeasesOptions) {
    this.#options = options;
    options.leases.onNotice((notice) => {
      if (notice.type === 'ProcessLeaseEnded') this.#ended(notice.lease, notice.reason);
      if (notice.type !== 'ProcessLeaseRevoking') return;
      const held = this.#held.get(notice.lease);
      if (held) held.isRevoking = true;
    });
  }

  get size(): number {
    return this.#held.size;
  }

  acquire({ owner, resource, where, strategy, sticky }: LeaseAsk): Promise<LeaseAsked> {
    if (this.#options.isOverloaded()) return Promise.resolve(OVERLOADED);
    const holder = { kind: 'process', owner } as const;
    const command = { type: 'AcquireLease', holder, owner, resource, ttlMs: TTL_MS, request: 0 } as const;
    const { leases } = this.#options;
    return new Promise((resolve) => {
      leases.execute(
        { ...command, where, strategy, sticky },
        (answer) => {
          if (answer.type === 'queued') throw new Error('an acquire that may not wait was queued');
          if (answer.type !== 'granted') resolve(answer);
        },
        (answer) => {
          if (answer.type !== 'granted') return;
          const grant = answer.grants[0]!;
          // Leaves right behind the grant: by then the address may be gone.
          leases.read(
            (state) => state.leases.get(grant.lease)!.addressId,
            (addressId) => resolve({ type: 'granted', lease: this.#hold(grant, addressId) }),
          );
        },
      );
    });
  }

  #hold({ lease: token, resource, address, ttl_ms }: Grant, addressId: number): ProcessLease {
    const held: Held = { ended: new AbortController(), isRevoking: false, cancelRenewal: () => {} };
    this.#held.set(token, held);
    this.#renewAfter(token, held, ttl_ms);
    return {
      token,
      resource,
      addressId,
      address,
      ended: held.ended.signal,
      isRevoking: () => held.isRevoking,
      report: ({ outcome, requests }) => {
        if (!this.#held.has(token)) return;
        const command = { type: 'ReportLease', holder: { kind: 'process' }, lease: token, outcome, requests } as const;
        this.#options.leases.execute(command, () => {});
      },
      release: ({ outcome, requests } = {}) => {
        if (!this.#forget(token)) return;
        const command = { type: 'ReleaseLease', holder: { kind: 'process' }, lease: token, outcome, requests } as const;
        this.#options.leases.execute(command, () => {});
      },
    };
  }

  #renewAfter(token: number, held: Held, ttlMs: number): void {
    held.cancelRenewal = this.#options.scheduler.setTimer(Math.floor(ttlMs / 2), () => {
      const command = { type: 'RenewLeases', holder: { kind: 'process' }, leases: [token], ttlMs: TTL_MS } as const;
      this.#options.leases.execute(command, (answer) => {
        if (!this.#held.has(token)) return;
        const [renewal] = answer.type === 'renewed' ? answer.leases : [];
        // One that has ended is told of by a notice; on a full disk it runs out.
        if (renewal && 'ttlMs' in renewal) this.#renewAfter(token, held, renewal.ttlMs);
      });
    });
  }

  #ended(token: number, reason: LeaseEndReason): void {
    this.#forget(token)?.ended.abort(reason);
  }

  #forget(token: number): Held | undefined {
    const held = this.#held.get(token);
    held?.cancelRenewal();
    this.#held.delete(token);
    return held;
  }
}
