import { NewerDataError } from '../coordinator/domain.ts';

/** Who is behind a holder, as far as anybody knows: an authenticated client, or an IP. */
export type Owner =
  | { readonly kind: 'client'; readonly client: string }
  /** As text; an IPv6 by its /64. */
  | { readonly kind: 'ip'; readonly ip: string };

/** Whom a lease belongs to. Only the holder renews, releases and reports. */
export type Holder =
  | { readonly kind: 'session'; readonly session: string }
  /** An authenticated client over HTTP. */
  | { readonly kind: 'client'; readonly client: string }
  /**
   * A client over HTTP without a key: whoever knows the lease's random secret. Only its SHA-256 is kept. The owner is no part
   * of who it is: whoever shows the secret from elsewhere is the same holder.
   */
  | { readonly kind: 'secret'; readonly secretHash: string; readonly owner?: Owner }
  /** This process, for `owner`: the gateway's leases, which die with it. Never written. */
  | { readonly kind: 'process'; readonly owner?: Owner };

export type OwnerRecord = readonly [kind: Owner['kind'], name: string];

/** `owned`: a secret, and behind it its owner's record. */
export type HolderRecord = readonly [
  kind: Holder['kind'] | 'owned',
  name?: string,
  ...owner: OwnerRecord | readonly [],
];

export function encodeHolder(holder: Holder): HolderRecord {
  switch (holder.kind) {
    case 'session':
      return ['session', holder.session];
    case 'client':
      return ['client', holder.client];
    case 'secret':
      return holder.owner ? ['owned', holder.secretHash, ...encodeOwner(holder.owner)] : ['secret', holder.secretHash];
    case 'process':
      return ['process'];
  }
}

export function decodeHolder([kind, name, ownerKind, ownerName]: HolderRecord): Holder {
  switch (kind) {
    case 'session':
      return { kind, session: name! };
    case 'client':
      return { kind, client: name! };
    case 'secret':
      return { kind, secretHash: name! };
    case 'owned':
      return { kind: 'secret', secretHash: name!, owner: decodeOwner([ownerKind!, ownerName!]) };
    case 'process':
      return { kind };
    default:
      throw new NewerDataError(`kind of holder ${String(kind)}`);
  }
}

export function encodeOwner(owner: Owner): OwnerRecord {
  return owner.kind === 'client' ? ['client', owner.client] : ['ip', owner.ip];
}

export function decodeOwner([kind, name]: OwnerRecord): Owner {
  switch (kind) {
    case 'client':
      return { kind, client: name };
    case 'ip':
      return { kind, ip: name };
    default:
      throw new NewerDataError(`kind of owner ${String(kind)}`);
  }
}

/** Whether a lease dies with the process, and is never written. */
export function isEphemeral({ holder }: { readonly holder: Holder }): boolean {
  return holder.kind === 'process';
}

/** What events about `lease` say of that. */
export function durabilityOf(lease: { readonly holder: Holder }): { isEphemeral?: true } {
  return isEphemeral(lease) ? EPHEMERAL : DURABLE;
}

const EPHEMERAL = { isEphemeral: true } as const;
const DURABLE = {};

/** Not the same for any two owners. */
export function ownerName(owner: Owner): string {
  return owner.kind === 'client' ? `client ${owner.client}` : `ip ${owner.ip}`;
}

/** Whether the one is an authenticated client, and the other isn't the same. */
export function isOthers(owner: Owner | undefined, other: Owner | undefined): boolean {
  return owner?.kind === 'client' && (other?.kind !== 'client' || other.client !== owner.client);
}

export function isSameHolder(one: Holder, other: Holder): boolean {
  switch (one.kind) {
    case 'session':
      return other.kind === 'session' && other.session === one.session;
    case 'client':
      return other.kind === 'client' && other.client === one.client;
    case 'secret':
      return other.kind === 'secret' && other.secretHash === one.secretHash;
    case 'process':
      return other.kind === 'process';
  }
}
