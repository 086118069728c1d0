import type { LeaseEnd } from '../../../protocol/codes.ts';
import { policyOf } from '../../lease/state.ts';
import { type BookOptions, type EventOf, type Happening, ROUNDING_MS, releaser } from './happening.ts';
import { boundOf, fits, isEligible, serving, stateOf } from './naive-pairs.ts';

/** A lease, from its grant on. Times are true ones where nothing else is said. */
export interface LeaseRecord {
  readonly token: number;
  readonly addressId: number;
  readonly address: string;
  readonly resource: number;
  readonly session: string;
  /** Of its grant in the journal. */
  readonly position: number;
  readonly decision: number;
  readonly key: string | undefined;
  /** Whose place it took. */
  readonly substituteFor: number | undefined;
  /** By the coordinator's clock. */
  deadlineMs: number;
  /** The holder's own deadline, the latest that it was told. */
  heldUntilMs: number;
  /** Where its revocation was announced in the journal. */
  announcedPosition: number | undefined;
  isBanned: boolean;
  end: LeaseEnd | undefined;
  endedMs: number;
  endPosition: number;
  isEndTold: boolean;
  /** It wasn't released, and `handover: safe` keeps its pair until its holder can't believe in it any more. */
  isHandedSafely: boolean;
  /** When its pair was granted again. */
  nextGrantMs: number | undefined;
}

/** Who held what. */
export class LeaseBook {
  readonly leases = new Map<number, LeaseRecord>();
  /** By resource, then by address. Invariant: what is in it has no end. */
  readonly live = new Map<number, Map<number, LeaseRecord>>();
  readonly #options: BookOptions;
  /** The last lease of a pair, by address and resource. */
  readonly #lastOf = new Map<string, LeaseRecord>();
  #lastToken = 0;
  /** Of the last grant: several at once are one. */
  #lastDecision = 0;

  constructor(options: BookOptions) {
    this.#options = options;
  }

  liveCount(resource?: number): number {
    if (resource !== undefined) return this.live.get(resource)?.size ?? 0;
    let count = 0;
    for (const leases of this.live.values()) count += leases.size;
    return count;
  }

  liveOf(session: string): LeaseRecord[] {
    return [...this.live.values()].flatMap((leases) => [...leases.values()].filter((one) => one.session === session));
  }

  granted(event: EventOf<'LeaseGranted'>, happening: Happening): LeaseRecord {
    const { lease: token, addressId, resource, holder, deadlineMs, substituteFor } = event;
    const { position, decision, state } = happening;
    this.#mustBeToBeHad(event, happening);
    const ofResource = this.live.get(resource) ?? new Map<number, LeaseRecord>();
    this.live.set(resource, ofResource);
    const { address } = state.addresses.get(addressId)!;
    const lastToken = this.#lastToken;
    if (token <= lastToken) this.#options.findings.report('tokens', `${token} is granted after ${lastToken}`);
    const record: LeaseRecord = {
      token,
      addressId,
      address,
      resource,
      session: holder.kind === 'session' ? holder.session : '',
      position,
      decision,
      key: event.key,
      substituteFor,
      deadlineMs,
      heldUntilMs: 0,
      announcedPosition: undefined,
      isBanned: false,
      end: undefined,
      endedMs: 0,
      endPosition: 0,
      isEndTold: false,
      isHandedSafely: false,
      nextGrantMs: undefined,
    };
    this.#handedOver(record);
    this.#mustInherit(record);
    this.leases.set(token, record);
    ofResource.set(addressId, record);
    this.#lastToken = token;
    this.#lastDecision = decision;
    this.#options.undos.add(position, () => {
      this.leases.delete(token);
      ofResource.delete(addressId);
      this.#lastToken = lastToken;
      if (record.heldUntilMs === 0) return;
      this.#options.findings.report('durability', `a crash loses lease ${token}, which was told`);
    });
    return record;
  }

  renewed(event: EventOf<'LeaseRenewed'>, { position }: Happening): void {
    const record = this.leases.get(event.lease);
    if (!record) return;
    const { deadlineMs } = record;
    if (event.deadlineMs < deadlineMs) {
      this.#options.findings.report('expiry', `a renew brings the deadline of ${event.lease} nearer`);
    }
    record.deadlineMs = event.deadlineMs;
    this.#options.undos.add(position, () => void (record.deadlineMs = deadlineMs));
  }

  announced(event: EventOf<'RevocationAnnounced'>, { position }: Happening): void {
    const record = this.leases.get(event.lease);
    if (!record || record.announcedPosition !== undefined) return;
    record.announcedPosition = position;
    this.#options.undos.add(position, () => void (record.announcedPosition = undefined));
  }

  /** Whether the ban counts: once for each lease. */
  banned(token: number, { position }: Happening): LeaseRecord | undefined {
    const record = this.leases.get(token);
    if (!record || record.isBanned) return undefined;
    record.isBanned = true;
    this.#options.undos.add(position, () => void (record.isBanned = false));
    return record;
  }

  ended(event: EventOf<'LeaseEnded'>, { position, command, state }: Happening): LeaseRecord | undefined {
    const { findings, timeline, undos } = this.#options;
    const { lease: token, end } = event;
    const record = this.leases.get(token);
    if (!record || record.end !== undefined) {
      findings.report('pairs', `lease ${token} ends, which isn't live`);
      return undefined;
    }
    const { nowMs } = timeline;
    if (end === 'expired' && record.heldUntilMs > nowMs + ROUNDING_MS) {
      const earlyMs = record.heldUntilMs - nowMs;
      findings.report('expiry', `lease ${token} expires ${earlyMs} ms before its holder's own deadline`);
    }
    const by = releaser(command);
    if (end === 'released' && by !== undefined && by !== record.session) {
      findings.report('answers', `${by} releases lease ${token} of ${record.session}`);
    }
    const ofResource = this.live.get(record.resource)!;
    ofResource.delete(record.addressId);
    record.end = end;
    record.endedMs = nowMs;
    record.endPosition = position;
    record.isHandedSafely = end !== 'released' && policyOf(state, record.resource).handover === 'safe';
    const name = `${record.resource} ${record.address}`;
    undos.put(position, this.#lastOf, name, record);
    undos.add(position, () => {
      ofResource.set(record.addressId, record);
      record.end = undefined;
      record.isHandedSafely = false;
      if (record.isEndTold) findings.report('durability', `a crash revives lease ${token}, whose end was told`);
    });
    return record;
  }

  /** By the marks of the state, and by the conditions and bounds of the moment. */
  #mustBeToBeHad(event: EventOf<'LeaseGranted'>, { state, nowMs, decision }: Happening): void {
    const { addressId, resource: id, waiter, lease, where, substituteFor } = event;
    const { findings } = this.#options;
    const find = (what: string) => findings.report('exclusivity', `lease ${lease}: ${what}`);
    const address = state.addresses.get(addressId)!;
    const resource = state.resources.get(id)!;
    const other = this.live.get(id)?.get(addressId);
    if (other) find(`address ${addressId} for resource ${id} is leased already, as ${other.token}`);
    if (address.removed || !address.record.resource_ids.includes(id)) {
      find(`address ${addressId} doesn't serve resource ${id}`);
    }
    if (!fits(state, id, where, address)) find(`address ${addressId} doesn't meet the conditions`);
    if (!isEligible(address, id, waiter)) {
      const what = `address ${addressId} is ${stateOf(address, id, waiter)} for resource ${id}`;
      findings.report('marks', `lease ${lease}: ${what}, and not to be had`);
    }
    const addresses = serving(state, id);
    const ownCount = waiter === undefined ? 0 : (state.waiters.get(waiter)?.reserved.size ?? 0);
    const bound = boundOf(state, resource, addresses, this.liveCount(id), { count: 1, ownCount, nowMs });
    const isSameGrant = decision === this.#lastDecision && substituteFor === undefined;
    // Decided on while the lease before it still had its pair, which may be the one too many that is quarantined.
    const isExchange = this.leases.get(substituteFor ?? 0)?.end !== undefined;
    const isSlowed = bound === 'slowed' && !isSameGrant && !isExchange;
    if (bound === 'max_leases' || isSlowed) find(`${bound} of resource ${id} forbids it`);
  }

  /** The holder before may still believe in its lease until its own deadline. */
  #handedOver({ address, resource, token, position }: LeaseRecord): void {
    const { findings, timeline, undos } = this.#options;
    const before = this.#lastOf.get(`${resource} ${address}`);
    if (!before) return;
    const earlyMs = before.heldUntilMs - timeline.nowMs;
    if (before.isHandedSafely && earlyMs > ROUNDING_MS) {
      const what = `${earlyMs} ms before the deadline of ${before.token}, the lease before it`;
      findings.report('expiry', `lease ${token} is granted ${what}`);
    }
    before.nextGrantMs = timeline.nowMs;
    undos.add(position, () => void (before.nextGrantMs = undefined));
  }

  /** A substitute has its predecessor's deadline, holder and resource, and is its only one. */
  #mustInherit({ token, substituteFor, deadlineMs, session, resource }: LeaseRecord): void {
    if (substituteFor === undefined) return;
    const find = (what: string) => this.#options.findings.report('exclusivity', `lease ${token} ${what}`);
    const before = this.leases.get(substituteFor);
    if (!before) return find(`takes the place of ${substituteFor}, which isn't there`);
    if (before.deadlineMs !== deadlineMs) find(`has another deadline than ${substituteFor}, whose place it takes`);
    if (before.session !== session || before.resource !== resource) find(`takes the place of another's lease`);
    for (const other of this.live.get(resource)?.values() ?? []) {
      if (other.substituteFor === substituteFor) find(`is the second in the place of ${substituteFor}`);
    }
  }
}
