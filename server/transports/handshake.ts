/** What both adapters do alike: reading the handshake, naming peers, and the bounds neither library may leave open. */
import { SocketAddress } from 'node:net';

/** Answered pings that a peer has not taken yet; one more and its connection is cut: it pings without reading. */
export const PENDING_PONGS_MAX = 1_000;
/** A close frame has 125 bytes, two of which are the code (RFC 6455 §5.5). */
const CLOSE_REASON_BYTES_MAX = 123;

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An IP in its shortest usual form, and as plain IPv4 where it is IPv4 inside IPv6: limits count by this text. */
export function plainAddress(address: string): string {
  if (!address.includes(':')) return address;
  const shortest = new SocketAddress({ address, family: 'ipv6' }).address;
  return MAPPED_IPV4.exec(shortest)?.[1] ?? shortest;
}

/** The items of `Sec-WebSocket-Protocol`, in the peer's order. Bounded by what the header may be long. */
export function offeredSubprotocols(header: string | undefined): string[] {
  if (header === undefined) return [];
  return header
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** As much of `reason` as a close frame takes, never half a character. */
export function closeReason(reason: string): string {
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(CLOSE_REASON_BYTES_MAX));
  return reason.slice(0, read);
}

export function listenError(host: string, port: number, cause: unknown): Error {
  return new Error(`can't listen on ${host} port ${port}: ${(cause as Error).message}`, { cause });
}
