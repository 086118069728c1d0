/** What owner-history.ts draws, and the records that it keeps of what has come of it. */
import type { Holder, Owner } from '../../lease/holder.ts';

export const COUNTRIES = ['US', 'CA'] as const;
/** `p1` is in the US, `p2` in Canada, and so on. */
export const ADDRESSES = 5;
export const OWNERS: readonly (Owner | undefined)[] = [
  undefined,
  { kind: 'client', client: 'anna' },
  { kind: 'client', client: 'bert' },
  { kind: 'ip', ip: 'anna' },
];

export type OwnerOperation =
  | { readonly type: 'open' | 'resume'; readonly slot: number; readonly owner: number }
  | { readonly type: 'drop' | 'bye'; readonly slot: number }
  | {
      readonly type: 'acquire';
      /** A session's, or over HTTP. */
      readonly slot: number | 'http';
      readonly owner: number;
      readonly ttlMs: number;
      readonly waitMs: number;
      readonly count: number;
      readonly country: number | undefined;
    }
  | { readonly type: 'release'; readonly lease: number }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'configure'; readonly max: number | undefined; readonly perClient: number | undefined }
  | { readonly type: 'restart' };

export interface Session {
  readonly id: string;
  readonly owner: Owner | undefined;
  /** Grants at the moment when it was suspended. */
  awaySince: number | undefined;
}

export interface Lease {
  readonly token: number;
  readonly addressId: number;
  readonly holder: Holder;
  readonly tally: string;
}

export interface Waiter {
  readonly number: number;
  readonly session: Session;
  readonly count: number;
  readonly country: string | undefined;
  /** When its collector was last served with what it could have taken. */
  turn: number;
  /** Of a session that was away while others were served: before all that have none, by this. */
  passedOver: number | undefined;
  readonly reserved: Set<number>;
}

export function ownerName(owner: Owner | undefined): string | undefined {
  return owner && (owner.kind === 'client' ? `client ${owner.client}` : `ip ${owner.ip}`);
}

export function tallyOf({ id, owner }: Session): string {
  return ownerName(owner) ?? `session ${id}`;
}

export function collectorOf({ id, owner }: Session): string {
  return owner?.kind === 'client' ? ownerName(owner)! : `session ${id}`;
}

export function fits(country: string | undefined, addressId: number): boolean {
  return country === undefined || COUNTRIES[(addressId - 1) % 2] === country;
}

export function isBefore(one: Waiter, other: Waiter): boolean {
  const [passedOver = Infinity, otherPassedOver = Infinity] = [one.passedOver, other.passedOver];
  if (passedOver !== otherPassedOver) return passedOver < otherPassedOver;
  // Of one line, first come first.
  const isOther = passedOver === Infinity && one.turn !== other.turn;
  return isOther ? one.turn < other.turn : one.number < other.number;
}
