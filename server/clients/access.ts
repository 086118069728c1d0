/** Who is asking, and whether it may now: keys, roles and token buckets over the state of the clients domain. */
import { isSameHash, type Role, readKey, sha256 } from './api-key.ts';
import { Buckets, type LimitInForce } from './buckets.ts';
import { ADMIN_CLIENT, clientOfIp } from './client-id.ts';
import { BUCKETS_MAX, type KeepLevels } from './commands.ts';
import type { ApiKey, ClientsState } from './state.ts';
import type { Limit } from './token-bucket.ts';

/** Who is behind a connection or a request. */
export interface Caller {
  /** Client id; of a peer without a key its IP, of IPv6 its /64. */
  readonly client: string;
  /** By a key. */
  readonly isAuthenticated: boolean;
  readonly role: Role;
  /** Id of the stored key that it came with. */
  readonly key: string | undefined;
}

/** `limit` is absent where nothing limits the caller. */
export type Taken =
  | { readonly ok: true; readonly limit?: LimitLeft }
  /** Infinity: there will be none again by itself. */
  | { readonly ok: false; readonly limit: LimitLeft; readonly retryAfterMs: number };

export interface LimitLeft {
  readonly capacity: number;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until the bucket is full again; Infinity: never by itself. */
  readonly resetMs: number;
}

export interface AccessOptions {
  readonly state: () => ClientsState;
  /** Nobody without a key is known. */
  readonly needsKey: boolean;
  /** Of every client that has none of its own; undefined: there is none. */
  readonly defaultLimit: Limit | undefined;
  /** The configuration's operator key. */
  readonly adminKey: string | undefined;
  readonly clock: { nowMs(): number; utcMs(): number };
  /** Buckets at most, for tests; BUCKETS_MAX where it isn't said. */
  readonly bucketsMax?: number;
}

const UNLIMITED: Taken = { ok: true };
/** Compared with where there is nothing to compare with, so that an unknown id takes the time of a known one. */
const NOBODYS_HASH = sha256('');
/** Before an IP, the name of the bucket for keys from there that were none. No client id has a space. */
const FAILED = 'failed ';

export class Access {
  readonly #options: AccessOptions;
  readonly #adminHash: string | undefined;
  readonly #buckets: Buckets;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#adminHash = options.adminKey === undefined ? undefined : sha256(options.adminKey);
    this.#buckets = new Buckets({
      bucketsMax: options.bucketsMax ?? BUCKETS_MAX,
      limitOf: (name) => this.#limitOf(name.startsWith(FAILED) ? name.slice(FAILED.length) : name),
      levels: () => options.state().levels,
    });
  }

  get defaultLimit(): Limit | undefined {
    return this.#options.defaultLimit;
  }

  /** Whether the configuration has an operator's key. */
  get hasAdminKey(): boolean {
    return this.#adminHash !== undefined;
  }

  /** What an IP is called as a client. */
  clientOf(remoteAddress: string): string {
    return clientOfIp(remoteAddress);
  }

  /** Whether it is as it was when it was identified: its key may have come to its end since. */
  isStill({ key }: Caller): boolean {
    const stored = key === undefined ? undefined : this.#options.state().keys.get(key);
    return key === undefined || (stored !== undefined && this.#isGood(stored));
  }

  /**
   * Undefined: unauthorized. A key that is given is looked at, whether one is needed or not: who comes with a wrong one
   * believes to be somebody.
   */
  identify({ key, remoteAddress }: { key: string | undefined; remoteAddress: string }): Caller | undefined {
    const ip = clientOfIp(remoteAddress);
    if (key === undefined) {
      return this.#options.needsKey
        ? undefined
        : { client: ip, isAuthenticated: false, role: 'collector', key: undefined };
    }
    const stored = this.#storedKey(key);
    if (stored) return { client: stored.client, isAuthenticated: true, role: stored.role, key: stored.id };
    const isAdmin = isSameHash(sha256(key), this.#adminHash ?? NOBODYS_HASH) && this.#adminHash !== undefined;
    if (isAdmin && this.#mayGuess(ip)) {
      return { client: ADMIN_CLIENT, isAuthenticated: true, role: 'operator', key: undefined };
    }
    this.#takeFrom(FAILED + ip, this.#limitOf(ip));
    return undefined;
  }

  /** One token of the caller's bucket. Costs next to nothing where no limit is set. */
  take({ client }: Pick<Caller, 'client'>): Taken {
    return this.#takeFrom(client, this.#limitOf(client));
  }

  /** What a client could ask now; undefined: whatever it likes. */
  tokensOf(client: string): number | undefined {
    const inForce = this.#limitOf(client);
    return inForce && this.#buckets.tokens(client, inForce, this.#options.clock.nowMs());
  }

  /** Whether there is anybody who could prove to be an operator. */
  hasOperatorKey(): boolean {
    if (this.#adminHash !== undefined) return true;
    for (const key of this.#options.state().operatorKeys) if (this.#isGood(key)) return true;
    return false;
  }

  /** What is to be kept of buckets, if anything has changed since the last time. */
  changedLevels(): KeepLevels | undefined {
    return this.#buckets.changes(this.#options.clock.nowMs());
  }

  #takeFrom(name: string, inForce: LimitInForce | undefined): Taken {
    if (!inForce) return UNLIMITED;
    const taken = this.#buckets.take(name, inForce, this.#options.clock.nowMs());
    const { remaining, resetMs } = taken;
    const limit = { capacity: inForce.limit.capacity, remaining, resetMs };
    return taken.ok ? { ok: true, limit } : { ok: false, limit, retryAfterMs: taken.retryAfterMs };
  }

  #limitOf(client: string): LimitInForce | undefined {
    const { limitedCount, clients } = this.#options.state();
    const { defaultLimit } = this.#options;
    if (limitedCount === 0 && defaultLimit === undefined) return undefined;
    const own = clients.get(client);
    const limit = own?.limit ?? defaultLimit;
    return limit && { limit, sinceMs: own?.limitSinceMs };
  }

  /**
   * Whether this IP may have a key looked at that somebody may have thought up: keys that were none cost a token each, of
   * as large a bucket as its own, but another one: who works with a key isn't kept out by others behind the same IP. Keys
   * of ours can't be guessed, so those are always looked at.
   */
  #mayGuess(ip: string): boolean {
    const inForce = this.#limitOf(ip);
    return !inForce || this.#buckets.tokens(FAILED + ip, inForce, this.#options.clock.nowMs()) >= 1;
  }

  #storedKey(text: string): ApiKey | undefined {
    const read = readKey(text);
    const key = read && this.#options.state().keys.get(read.key);
    const isSame = isSameHash(read?.secretHash ?? NOBODYS_HASH, key?.secretHash ?? sha256(text));
    return key && isSame && this.#isGood(key) ? key : undefined;
  }

  /** Its end is by the wall clock, and isn't waited for: the event that takes it away may come a little later. */
  #isGood({ endsUtcMs }: ApiKey): boolean {
    return endsUtcMs === undefined || this.#options.clock.utcMs() < endsUtcMs;
  }
}
