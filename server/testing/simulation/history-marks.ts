import { BAN_DECAY_MS, BAN_MAX_MS, type ResourcePolicy } from '../../lease/policy.ts';
import { type LeaseState, policyOf } from '../../lease/state.ts';
import { type BookOptions, type EventOf, type Happening, ROUNDING_MS } from './happening.ts';
import type { LeaseRecord } from './history-leases.ts';

type Quarantined = EventOf<'PairQuarantined'> | EventOf<'AddressQuarantined'>;
type QuarantineEnded = EventOf<'PairQuarantineEnded'> | EventOf<'AddressQuarantineEnded'>;

/** How often a pair, or an address, was banned of late. */
interface Bans {
  readonly level: number;
  readonly atMs: number;
}

/**
 * Until when pairs and addresses may not be given, by the coordinator's clock: from the policies, the reports and the
 * operator's words, not from what the state makes of them. Of an address's whole string, so that taking it out of the
 * pool and in again ends nothing.
 */
export class MarkBook {
  readonly #options: BookOptions;
  /** By pair. */
  readonly #rests = new Map<string, number>();
  /** By pair, or by address. */
  readonly #quarantines = new Map<string, number>();
  /** By pair, or by address, of the pool as it is: a new address begins anew. */
  readonly #bans = new Map<string, Bans>();
  /** What a ban that was reported has to bring in the same decision, at least until then. */
  readonly #owed = new Map<string, { readonly untilMs: number; readonly decision: number }>();

  constructor(options: BookOptions) {
    this.#options = options;
  }

  /** A lease ends, and its pair rests. */
  ended(record: LeaseRecord, event: EventOf<'LeaseEnded'>, { state, position, nowMs }: Happening): void {
    const { cooldownMs, handover } = policyOf(state, record.resource);
    const restMs = cooldownMs?.[event.end] ?? 0;
    const isSafe = handover === 'safe' && event.end !== 'released';
    const untilMs = Math.max(restMs > 0 ? nowMs + restMs : 0, isSafe ? record.deadlineMs : 0);
    if (untilMs > nowMs) this.#options.undos.put(position, this.#rests, pairOf(record), untilMs);
  }

  granted({ addressId, resource, lease }: EventOf<'LeaseGranted'>, { state, nowMs }: Happening): void {
    const find = (what: string) => this.#options.findings.report('marks', `lease ${lease}: its pair ${what}`);
    const { address } = state.addresses.get(addressId)!;
    const pair = pairOf({ resource, address });
    const restMs = (this.#rests.get(pair) ?? 0) - nowMs;
    if (restMs > ROUNDING_MS) find(`has ${restMs} ms to rest`);
    if (this.#quarantines.has(pair) || this.#quarantines.has(address)) find('is quarantined');
  }

  /** A ban is reported of a lease for the first time. */
  banned(record: LeaseRecord, { state, nowMs, decision }: Happening): void {
    const policy = policyOf(state, record.resource);
    if ((policy.banMs ?? 0) === 0 || !state.addresses.has(record.addressId)) return;
    const { resource, addressId } = record;
    const owe = (name: string, bans: Bans | undefined) => {
      const level = levelOf(bans, policy, nowMs);
      const forMs = Math.min(policy.banMs! * 2 ** level, policy.banMaxMs ?? BAN_MAX_MS);
      this.#owed.set(name, { untilMs: nowMs + forMs, decision });
    };
    owe(pairOf(record), this.#bans.get(pairIdOf(record)));
    let resources = 1;
    for (const [name, bans] of this.#bans) {
      const [other = NaN, id] = name.split(' ').map(Number);
      if (id !== addressId || other === resource || Number.isNaN(other)) continue;
      if (levelOf(bans, policyOf(state, other), nowMs) > 0) resources += 1;
    }
    if (resources >= (policy.banAddressAfter ?? Infinity)) owe(record.address, this.#bans.get(`* ${addressId}`));
  }

  quarantined(event: Quarantined, { state, position, command, nowMs }: Happening): void {
    const { undos, findings } = this.#options;
    const { name, id, untilMs = Infinity } = { ...this.#namesOf(event, state), untilMs: event.untilMs };
    const owedMs =
      command.type === 'Quarantine' ? nowMs + (command.forMs ?? Infinity) : (this.#owed.get(name)?.untilMs ?? 0);
    if (untilMs < owedMs)
      findings.report('marks', `${name} is quarantined for ${owedMs - untilMs} ms less than it must`);
    this.#owed.delete(name);
    undos.put(position, this.#quarantines, name, untilMs);
    if (event.level > 0) undos.put(position, this.#bans, id, { level: event.level, atMs: nowMs });
  }

  quarantineEnded(event: QuarantineEnded, { state, position, command, nowMs }: Happening): void {
    const { undos, findings } = this.#options;
    const { name, id } = this.#namesOf(event, state);
    const leftMs = (this.#quarantines.get(name) ?? 0) - nowMs;
    if (event.isLifted && command.type !== 'LiftQuarantine') findings.report('marks', `${name} is lifted by nobody`);
    if (!event.isLifted && leftMs > 0) findings.report('marks', `${name} is back ${leftMs} ms early`);
    undos.put(position, this.#quarantines, name, undefined);
    if (!event.isLifted) return;
    // Of an address the bans of its pairs are behind it.
    const lifted =
      'resource' in event ? [id] : [...this.#bans.keys()].filter((one) => one.endsWith(` ${event.addressId}`));
    for (const one of lifted) undos.put(position, this.#bans, one, undefined);
  }

  /** Addresses may come back: what was known of one that is gone went with it. */
  poolChanges({ state, position }: Happening): void {
    for (const id of this.#bans.keys()) {
      const addressId = Number(id.split(' ')[1]);
      if (!state.addresses.has(addressId)) this.#options.undos.put(position, this.#bans, id, undefined);
    }
  }

  /** Whether what a decision before this one owes was done. */
  mustBePaid(decision: number): void {
    for (const [name, owed] of this.#owed) {
      if (owed.decision < decision) this.#options.findings.report('marks', `${name} was banned and isn't quarantined`);
    }
  }

  /** The process that owed anything is gone. */
  forgetDebts(): void {
    this.#owed.clear();
  }

  #namesOf(event: Quarantined | QuarantineEnded, state: LeaseState): { name: string; id: string } {
    const { address } = state.addresses.get(event.addressId)!;
    if (!('resource' in event)) return { name: address, id: `* ${event.addressId}` };
    const { resource, addressId } = event;
    return { name: pairOf({ resource, address }), id: pairIdOf({ resource, addressId }) };
  }
}

function pairOf({ resource, address }: { readonly resource: number; readonly address: string }): string {
  return `${resource} ${address}`;
}

function pairIdOf({ resource, addressId }: { readonly resource: number; readonly addressId: number }): string {
  return `${resource} ${addressId}`;
}

/** What is left of earlier bans. */
function levelOf(bans: Bans | undefined, { banDecayMs = BAN_DECAY_MS }: ResourcePolicy, nowMs: number): number {
  return bans ? Math.max(0, bans.level - Math.floor((nowMs - bans.atMs) / banDecayMs)) : 0;
}
