import type { DomainPort } from '../coordinator/domain-port.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import type { Address } from '../lease/address.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from '../lease/commands.ts';
import type { LeaseState } from '../lease/state.ts';
import type { Family } from '../metrics/family.ts';
import { AddressHealthCounts } from './address-health-counts.ts';
import { Ejections, type EjectionTerms, mayEject } from './ejection.ts';
import { type ProbeResult, Prober } from './prober.ts';
import { Streak, type Thresholds } from './thresholds.ts';

export interface AddressHealthSettings extends EjectionTerms, Thresholds {
  readonly intervalMs: number;
  readonly jitter: number;
  readonly timeoutMs: number;
  readonly concurrencyMax: number;
  /** Bad answers of real traffic in a row that take an address out. */
  readonly trafficDown: number;
  /** A slower answer of real traffic is a bad one. */
  readonly latencyMaxMs?: number;
  /** Of the pool, that may be unhealthy for reasons that need not be the addresses' own. */
  readonly unhealthyShareMax: number;
}

export interface AddressHealthOptions {
  readonly settings: AddressHealthSettings;
  /** Undefined: nobody is probed, and only traffic says what is wrong. */
  readonly probe: ((address: string, signal: AbortSignal) => Promise<ProbeResult>) | undefined;
  readonly leases: Pick<DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>, 'execute'>;
  readonly state: Pick<LeaseState, 'addresses'>;
  /** While the disk is short of room, or behind, nothing is changed; what is still so is found again. */
  readonly hasRoom: () => boolean;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: () => number;
  /** An address without its credentials. */
  readonly mask: (address: string) => string;
  readonly log: HealthLog;
}

export interface HealthLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What there is to remember of an address with which something was wrong. */
interface Watched {
  readonly probes: Streak;
  readonly traffic: Streak;
  readonly ejections: Ejections;
  /** Not back before. */
  outUntilMs: number;
}

/** From traffic: nobody takes connections there, or nothing comes back. Out at once. */
const AT_ONCE: ReadonlySet<string> = new Set(['refused', 'timeout']);
/** Somebody was there and said no, so that it is neither our network nor the page asked for. No bound on these. */
const OWN_FAULT: ReadonlySet<string> = new Set(['refused', 'reset', 'tls', 'protocol', 'proxy']);
/** In a turn; and how long until the rest follows where there is no room. */
const READMITTED_AT_ONCE = 500;
const RETRY_MS = 1_000;
/** Between counts of who is out, each of which looks at all of them. */
const RECOUNT_MS = 1_000;
/** Between two lines in the log about the bound. */
const SAID_AGAIN_MS = 60_000;

/**
 * Takes pool addresses out of use and brings them back, by probes and by what happens to real traffic. An address's health
 * is in the domain's state and outlives a restart; here is only what leads to the next change.
 *
 * With probes, they bring an address back; without them, time does, after an ejection that grows with each in a row. Traffic
 * that finds an address refused or silent takes it out at once; other failures do by thresholds.
 */
export class AddressHealth {
  readonly #options: AddressHealthOptions;
  readonly #prober: Prober<Address> | undefined;
  readonly #watched = new Map<number, Watched>();
  /** Holds every unhealthy address, and at times one that is healthy again or gone. */
  readonly #out = new Set<number>();
  readonly #counts = new AddressHealthCounts();
  readonly #timers = new Set<() => void>();
  #recountedMs = -Infinity;
  #saidMs = -Infinity;
  #isStopped = false;

  constructor(options: AddressHealthOptions) {
    this.#options = options;
    const { probe, settings, state, clock, scheduler, random } = options;
    const { addresses } = state;
    for (const address of addresses.values()) if (address.isUnhealthy) this.#out.add(address.id);
    if (!probe) {
      this.#readmit([...this.#out]);
      return;
    }
    this.#prober = new Prober<Address>({
      ...settings,
      items: {
        get size() {
          return addresses.size;
        },
        values: () => addresses.values(),
        has: (address) => !address.removed && addresses.get(address.id) === address,
      },
      probe: (address, signal) => probe(address.address, signal),
      clock,
      scheduler,
      random,
      onResult: (address, result) => this.#onProbe(address, result),
    });
  }

  /**
   * Real traffic did not get through the address. `refused` and `timeout` (no connection, or no answer, of the proxy itself)
   * take it out at once, any other word by `trafficDown` in a row. What the site behind it answers is none of its failures.
   */
  onAddressFailure(addressId: number, reason: string): void {
    const address = this.#find(addressId);
    if (!address || address.isUnhealthy) return;
    const isAtOnce = AT_ONCE.has(reason);
    const { clock, settings } = this.#options;
    const watched = this.#watch(addressId);
    const down = isAtOnce ? 1 : settings.trafficDown;
    if (watched.traffic.take(false, true, { up: 1, down })) return;
    if (!isAtOnce && !this.#mayEject(reason)) return;
    if (!this.#takeOut(address, watched, { reason, by: 'traffic' })) return;
    const nowMs = clock.nowMs();
    // Of what is refused or silent the next probe tells better than any time.
    const forMs = isAtOnce && this.#prober ? 0 : watched.ejections.next(nowMs, settings);
    watched.outUntilMs = nowMs + forMs;
    if (this.#prober) this.#prober.probeSoon(address);
    else this.#readmitAfter(forMs, [addressId]);
  }

  /** Real traffic got through, and was answered after `latencyMs`. */
  onAddressSuccess(addressId: number, latencyMs = 0): void {
    if (latencyMs > (this.#options.settings.latencyMaxMs ?? Infinity)) return this.onAddressFailure(addressId, 'slow');
    const watched = this.#watched.get(addressId);
    if (!watched) return;
    watched.traffic.forget();
    this.#forgetIfWell(addressId, watched);
  }

  families(): Family[] {
    return this.#counts.families(() => this.#countOut());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const cancel of this.#timers) cancel();
    await this.#prober?.stop();
  }

  #onProbe(address: Address, result: ProbeResult): void {
    this.#counts.probed(result);
    const { id, isUnhealthy } = address;
    if (result.ok && !isUnhealthy && !this.#watched.has(id)) return;
    const { settings, clock } = this.#options;
    const watched = this.#watch(id);
    const isIn = watched.probes.take(result.ok, !isUnhealthy, settings);
    if (isUnhealthy) {
      if (isIn && clock.nowMs() >= watched.outUntilMs) this.#bringBack(address);
    } else if (result.ok) {
      this.#forgetIfWell(id, watched);
    } else if (!isIn && (OWN_FAULT.has(result.reason) || this.#mayEject(result.reason))) {
      if (this.#takeOut(address, watched, { reason: result.reason, by: 'probe' })) watched.outUntilMs = 0;
    }
  }

  #find(addressId: number): Address | undefined {
    const address = this.#options.state.addresses.get(addressId);
    return address?.removed ? undefined : address;
  }

  #watch(addressId: number): Watched {
    const known = this.#watched.get(addressId);
    if (known) return known;
    this.#forgetOldest();
    const watched = { probes: new Streak(), traffic: new Streak(), ejections: new Ejections(), outUntilMs: 0 };
    this.#watched.set(addressId, watched);
    return watched;
  }

  /** With each that comes, the oldest two are looked at: those of addresses long gone don't pile up. */
  #forgetOldest(): void {
    const oldest = [...firstOf(this.#watched, 2)];
    for (const [addressId, watched] of oldest) {
      this.#watched.delete(addressId);
      if (this.#options.state.addresses.has(addressId)) this.#watched.set(addressId, watched);
      this.#forgetIfWell(addressId, watched);
    }
  }

  #forgetIfWell(addressId: number, { probes, traffic, ejections }: Watched): void {
    const { state, clock, settings } = this.#options;
    if (state.addresses.get(addressId)?.isUnhealthy || probes.isBad || traffic.isBad) return;
    if (ejections.isForgotten(clock.nowMs(), settings.ejectionMaxMs)) this.#watched.delete(addressId);
  }

  /** False where there is no room for it now. */
  #takeOut(
    address: Address,
    watched: Watched,
    why: { readonly reason: string; readonly by: 'probe' | 'traffic' },
  ): boolean {
    const { id } = address;
    if (!this.#set(id, false, () => this.#options.log.warn({ ...this.#named(address), ...why }, 'address unhealthy'))) {
      return false;
    }
    this.#out.add(id);
    watched.probes.forget();
    watched.traffic.forget();
    return true;
  }

  #bringBack(address: Address): boolean {
    const { id } = address;
    if (!this.#set(id, true, () => this.#options.log.info(this.#named(address), 'address healthy'))) return false;
    this.#out.delete(id);
    const watched = this.#watched.get(id);
    watched?.probes.forget();
    watched?.ejections.back(this.#options.clock.nowMs());
    return true;
  }

  #set(addressId: number, isHealthy: boolean, released: () => void): boolean {
    const { leases, hasRoom } = this.#options;
    if (this.#isStopped || !hasRoom()) return false;
    leases.execute({ type: 'SetAddressHealth', addressId, isHealthy }, released);
    this.#counts.changed(isHealthy);
    return true;
  }

  #named({ id, address }: Address): object {
    return { addressId: id, address: this.#options.mask(address) };
  }

  // ---- the bound

  /** Whether one more may go for a reason that could be our own network, or the page that all are asked for. */
  #mayEject(reason: string): boolean {
    const { settings, state, clock, log } = this.#options;
    const { unhealthyShareMax } = settings;
    const { size } = state.addresses;
    const nowMs = clock.nowMs();
    let isWithin = mayEject(this.#out.size, size, unhealthyShareMax);
    if (!isWithin && nowMs - this.#recountedMs >= RECOUNT_MS) {
      this.#recountedMs = nowMs;
      isWithin = mayEject(this.#countOut(), size, unhealthyShareMax);
    }
    if (isWithin) return true;
    this.#counts.withheld();
    if (nowMs - this.#saidMs >= SAID_AGAIN_MS) {
      this.#saidMs = nowMs;
      const message =
        'as many addresses are unhealthy as may be: further ones stay in use, unless they refuse. Either the network here' +
        ' or the page asked for is at fault, or unhealthy_share_max is too low for this pool';
      log.error({ unhealthy: this.#out.size, addresses: size, unhealthyShareMax, reason }, message);
    }
    return false;
  }

  #countOut(): number {
    const { addresses } = this.#options.state;
    for (const id of this.#out) if (!addresses.get(id)?.isUnhealthy) this.#out.delete(id);
    return this.#out.size;
  }

  // ---- back without probes

  #readmitAfter(delayMs: number, addressIds: number[]): void {
    const cancel = this.#options.scheduler.setTimer(delayMs, () => {
      this.#timers.delete(cancel);
      this.#readmit(addressIds);
    });
    this.#timers.add(cancel);
  }

  /** Puts them back into use, some in each turn. */
  #readmit(addressIds: number[]): void {
    if (this.#isStopped) return;
    for (let done = 0; done < READMITTED_AT_ONCE; done += 1) {
      const id = addressIds.at(-1);
      if (id === undefined) return;
      // A removed one, too: it may be put into the pool again.
      const address = this.#options.state.addresses.get(id);
      if (address?.isUnhealthy && !this.#bringBack(address)) return this.#readmitAfter(RETRY_MS, addressIds);
      addressIds.pop();
    }
    this.#options.scheduler.defer(() => this.#readmit(addressIds));
  }
}

function* firstOf<Key, Value>(map: ReadonlyMap<Key, Value>, count: number): Generator<readonly [Key, Value]> {
  let taken = 0;
  for (const entry of map) {
    if (taken === count) return;
    taken += 1;
    yield entry;
  }
}
