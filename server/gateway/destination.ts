/**
 * Where the forward proxy may go: to the open Internet, and to what a setting names. A name is resolved once, here, every
 * address that it has is looked at, and one of those is what the upstream is given: whoever answers otherwise a moment
 * later has nobody who asks.
 */
import { isIP } from 'node:net';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { ForwardError } from './forward-errors.ts';
import type { ForwardTarget } from './forward-target.ts';
import { canonicalIp, IpSet, isPublicIp } from './ip-ranges.ts';

/** Names that are being resolved at one time; beyond it a request is refused. */
const LOOKUPS_MAX = 1_000;
const LOOKUPS_PER_CLIENT_MAX = 200;
const LOOKUP_TIMEOUT_MS = 10_000;
/** Names that mean something else wherever they are resolved, and never a site of everybody's. */
const LOCAL_NAME = /(?:^|\.)(?:localhost|local|internal|intranet|lan|home\.arpa)$/;

type Addresses = readonly { readonly address: string }[];
/** All addresses of a name; none, or a rejection, where it has none. */
export type Lookup = (name: string) => Promise<Addresses>;

export interface DestinationsOptions {
  /** IP addresses, ranges and names that are allowed although they aren't public. */
  readonly allow: readonly string[];
  readonly deniedPorts: readonly number[];
  /** `upstream`: names are handed on as they are. */
  readonly resolve: 'here' | 'upstream';
  readonly lookup: Lookup;
  /** Ports on which this process listens. */
  readonly ownPorts: () => ReadonlySet<number>;
  /** IP addresses of this machine. */
  readonly ownAddresses: () => readonly string[];
  readonly scheduler: Scheduler;
}

/** What an upstream is given: an IP address, or a name where it is to resolve it. */
export interface Destination {
  readonly host: string;
  readonly port: number;
}

export type FoundDestination =
  | { readonly type: 'found'; readonly destination: Destination }
  | { readonly type: 'refused'; readonly reason: ForwardError; readonly message: string };

export class Destinations {
  readonly #options: DestinationsOptions;
  readonly #allowedIps: IpSet;
  readonly #allowedNames: ReadonlySet<string>;
  readonly #deniedPorts: ReadonlySet<number>;
  /** By name: who asks for it meanwhile waits for the same answer. */
  readonly #lookups = new Map<string, Promise<Addresses>>();
  /** How many of them each client began. */
  readonly #perClient = new Map<string, number>();

  constructor(options: DestinationsOptions) {
    this.#options = options;
    this.#allowedIps = new IpSet(options.allow);
    this.#allowedNames = new Set(options.allow.map(canonicalName));
    this.#deniedPorts = new Set(options.deniedPorts);
  }

  async find({ host, port }: Pick<ForwardTarget, 'host' | 'port'>, client: string): Promise<FoundDestination> {
    if (this.#deniedPorts.has(port)) return forbidden(`port ${port} is not for this proxy`);
    const literal = isIP(host) === 0 ? undefined : canonicalIp(host);
    if (literal !== undefined) return this.#choose([literal], port, false);
    const name = canonicalName(host);
    const isNamed = this.#allowedNames.has(name);
    if (this.#options.resolve === 'upstream') {
      const isLocal = LOCAL_NAME.test(name) || !name.includes('.');
      if (isLocal && !isNamed) return forbidden('the name is one of a private network');
      return { type: 'found', destination: { host: name, port } };
    }
    const addresses = await this.#resolve(name, client);
    return Array.isArray(addresses) ? this.#choose(addresses, port, isNamed) : (addresses as FoundDestination);
  }

  /** Refused where one of them is forbidden: a site of everybody's has no private address beside its public one. */
  #choose(addresses: readonly string[], port: number, isNamed: boolean): FoundDestination {
    for (const address of addresses) {
      const ip = canonicalIp(address);
      const isAllowed = ip !== undefined && (isNamed || isPublicIp(ip) || this.#allowedIps.has(ip));
      if (!isAllowed) return forbidden('private, local and metadata addresses are not for this proxy');
      if (this.#isOurs(ip, port)) return forbidden('the gateway is not asked through itself');
    }
    // Few exits of proxies have IPv6, and nobody could try one after the other behind them.
    const ips = addresses.map((address) => canonicalIp(address)!);
    return { type: 'found', destination: { host: ips.find((ip) => isIP(ip) === 4) ?? ips[0]!, port } };
  }

  #isOurs(ip: string, port: number): boolean {
    const { ownPorts, ownAddresses } = this.#options;
    if (!ownPorts().has(port)) return false;
    const isHere = ip.startsWith('127.') || ['0.0.0.0', '::', '::1'].includes(ip);
    return isHere || ownAddresses().some((own) => canonicalIp(own) === ip);
  }

  async #resolve(name: string, client: string): Promise<readonly string[] | FoundDestination> {
    const { scheduler } = this.#options;
    const found = this.#lookups.get(name) ?? this.#lookup(name, client);
    if (!found) return { type: 'refused', reason: 'overloaded', message: 'too many names are being resolved' };
    let cancel = () => {};
    const timeout = new Promise<'timeout'>((done) => {
      cancel = scheduler.setTimer(LOOKUP_TIMEOUT_MS, () => done('timeout'));
    });
    const result = await Promise.race([found, timeout]);
    cancel();
    const reason = 'destination_unresolved';
    if (result === 'timeout') return { type: 'refused', reason, message: 'the name was not resolved in time' };
    if (result.length === 0) return { type: 'refused', reason, message: 'the name has no address' };
    return result.map(({ address }) => address);
  }

  /** Undefined: there are too many already, of the client or in all. */
  #lookup(name: string, client: string): Promise<Addresses> | undefined {
    const begun = this.#perClient.get(client) ?? 0;
    if (this.#lookups.size >= LOOKUPS_MAX || begun >= LOOKUPS_PER_CLIENT_MAX) return undefined;
    this.#perClient.set(client, begun + 1);
    const found = this.#options
      .lookup(name)
      .catch(() => [])
      .finally(() => {
        // One that has timed out still had its place in the resolver.
        this.#lookups.delete(name);
        const left = this.#perClient.get(client)! - 1;
        if (left === 0) this.#perClient.delete(client);
        else this.#perClient.set(client, left);
      });
    this.#lookups.set(name, found);
    return found;
  }
}

function forbidden(message: string): FoundDestination {
  return { type: 'refused', reason: 'destination_forbidden', message };
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
