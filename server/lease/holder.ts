import { NewerDataError } from '../coordinator/domain.ts';

/** Whom a lease belongs to. Only the holder renews, releases and reports. */
export type Holder =
  | { readonly kind: 'session'; readonly session: string }
  /** An authenticated client over HTTP. */
  | { readonly kind: 'client'; readonly client: string }
  /** A client over HTTP without a key: whoever knows the lease's random secret. Only its SHA-256 is kept. */
  | { readonly kind: 'secret'; readonly secretHash: string }
  /** This process: the gateway's leases, which die with it. */
  | { readonly kind: 'process' };

export type HolderRecord = readonly [kind: Holder['kind'], name?: string];

export function encodeHolder(holder: Holder): HolderRecord {
  switch (holder.kind) {
    case 'session':
      return ['session', holder.session];
    case 'client':
      return ['client', holder.client];
    case 'secret':
      return ['secret', holder.secretHash];
    case 'process':
      return ['process'];
  }
}

export function decodeHolder([kind, name]: HolderRecord): Holder {
  switch (kind) {
    case 'session':
      return { kind, session: name! };
    case 'client':
      return { kind, client: name! };
    case 'secret':
      return { kind, secretHash: name! };
    case 'process':
      return { kind };
    default:
      throw new NewerDataError(`kind of holder ${String(kind)}`);
  }
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
