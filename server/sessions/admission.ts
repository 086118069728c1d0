import type { HelloFrame } from '../../protocol/frames.ts';
import type { Access, Caller } from '../clients/access.ts';
import type { Rejected } from '../lease/commands.ts';
import type { Connection } from './connection.ts';
import { rateLimited, unauthorized } from './outgoing-frames.ts';

export interface AdmissionLimits {
  /** Sockets at most: each is a session or may become one. */
  readonly sessionsMax: number;
  /** Of one IP, of IPv6 of one /64. */
  readonly socketsPerIpMax: number;
}

/**
 * Who may have a socket, who is behind it, and which of them came with which key.
 *
 * Invariant: a socket counts from `arrived` until `gone`, however it ends.
 */
export class Admission {
  readonly #access: Access;
  readonly #limits: AdmissionLimits;
  #sockets = 0;
  readonly #byIp = new Map<string, number>();
  readonly #byKey = new Map<string, Set<Connection>>();

  constructor(access: Access, limits: AdmissionLimits) {
    this.#access = access;
    this.#limits = limits;
  }

  /** Counts it in any case. What is returned is said to it before it is closed. */
  arrived({ remoteAddress }: Connection): Rejected | undefined {
    const ip = this.#access.clientOf(remoteAddress);
    const ofIp = (this.#byIp.get(ip) ?? 0) + 1;
    this.#sockets += 1;
    this.#byIp.set(ip, ofIp);
    const { sessionsMax, socketsPerIpMax } = this.#limits;
    if (this.#sockets > sessionsMax) return { type: 'rejected', code: 'overloaded', message: 'too many sockets' };
    if (ofIp <= socketsPerIpMax) return undefined;
    return { type: 'rejected', code: 'too_many', message: `no more than ${socketsPerIpMax} sockets from one IP` };
  }

  /** Once for each that arrived. */
  gone(connection: Connection): void {
    const ip = this.#access.clientOf(connection.remoteAddress);
    const left = this.#byIp.get(ip)! - 1;
    this.#sockets -= 1;
    if (left === 0) this.#byIp.delete(ip);
    else this.#byIp.set(ip, left);
    const key = connection.caller?.key;
    if (key === undefined) return;
    const others = this.#byKey.get(key);
    others?.delete(connection);
    if (others?.size === 0) this.#byKey.delete(key);
  }

  /**
   * Who says hello: whoever the key in it belongs to, and came with at the upgrade, if with any. It costs a token, so that
   * a client whose connections break all the time is held back like one that asks all the time.
   */
  identify({ remoteAddress, caller: known }: Connection, { api_key: key }: HelloFrame): Caller | Rejected {
    const isNew = key !== undefined || known === undefined;
    const caller = isNew ? this.#access.identify({ key, remoteAddress }) : known;
    const isSame = known === undefined || known.client === caller?.client;
    if (!caller || !isSame || !this.#access.isStill(caller)) return unauthorized();
    const taken = this.#access.take(caller);
    return taken.ok ? caller : rateLimited(taken);
  }

  /** It carries the caller's session from now on: what ends the key ends it. */
  admitted(connection: Connection, { key }: Caller): void {
    if (key === undefined) return;
    const others = this.#byKey.get(key);
    if (others) others.add(connection);
    else this.#byKey.set(key, new Set([connection]));
  }

  /** One request; undefined: it may be made. */
  take(caller: Caller): Rejected | undefined {
    const taken = this.#access.take(caller);
    return taken.ok ? undefined : rateLimited(taken);
  }

  /** Those that came with a key. */
  withKey(key: string): readonly Connection[] {
    return [...(this.#byKey.get(key) ?? [])];
  }
}
