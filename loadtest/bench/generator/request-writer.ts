/**
 * Requests as bytes made ahead by the codec, in which only the id and the token are filled in.
 *
 * WebSocket frames of a client are masked: by a key of zero here, which leaves the bytes as they are and spares us the work.
 * The key may be any; that it can't be foreseen protects proxies from scripts in browsers.
 */
import { msgpackCodec } from '../../../protocol/codec.ts';
import type { CollectorFrame } from '../../../protocol/frames.ts';

export const RESOURCE = 7;
const TTL_MS = 60_000;
const ID_PLACE = 0xffff_ffff;
const TOKEN_PLACE = 2 ** 53 - 1;
const TOKEN_BYTES = 8;
const BINARY = 0x82;
const MASKED = 0x80;
const MASK_BYTES = 4;
/** Longer payloads have two more bytes of length. */
const SHORT_BYTES_MAX = 125;
/** WebSocket header with two bytes of length, and the head of an array. */
export const HEAD_BYTES_MAX = 11;

interface Template {
  readonly bytes: Buffer;
  readonly idAt: number;
  /** -1 where there is none. */
  readonly tokenAt: number;
}

function template(frame: CollectorFrame): Template {
  const bytes = Buffer.from(msgpackCodec.encode(frame) as Uint8Array);
  const idAt = bytes.indexOf(Uint8Array.of(0xce, 0xff, 0xff, 0xff, 0xff)) + 1;
  const tokenAt = bytes.indexOf(Uint8Array.of(0xcf, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)) + 1;
  return { bytes, idAt, tokenAt: tokenAt === 0 ? -1 : tokenAt };
}

const ACQUIRE = template({ type: 'acquire', id: ID_PLACE, resource: RESOURCE, ttl_ms: TTL_MS });
const RELEASE = template({ type: 'release', id: ID_PLACE, lease: TOKEN_PLACE });

function writeId(out: Buffer, at: number, id: number): void {
  out[at] = id >>> 24;
  out[at + 1] = id >>> 16;
  out[at + 2] = id >>> 8;
  out[at + 3] = id;
}

/** `id` in 32 bits. Returns the end. */
export function writeAcquire(out: Buffer, at: number, id: number): number {
  out.set(ACQUIRE.bytes, at);
  writeId(out, at + ACQUIRE.idAt, id);
  return at + ACQUIRE.bytes.length;
}

/** The token as eight bytes of `tokens` at `tokenAt`. Returns the end. */
export function writeRelease(out: Buffer, at: number, id: number, tokens: Buffer, tokenAt: number): number {
  out.set(RELEASE.bytes, at);
  writeId(out, at + RELEASE.idAt, id);
  for (let index = 0; index < TOKEN_BYTES; index += 1) out[at + RELEASE.tokenAt + index] = tokens[tokenAt + index]!;
  return at + RELEASE.bytes.length;
}

/** Puts the header of a binary message in front of its `length` bytes at `at`. Returns where the header begins. */
export function writeMessageHead(out: Buffer, at: number, length: number): number {
  const isShort = length <= SHORT_BYTES_MAX;
  const head = at - MASK_BYTES - (isShort ? 2 : 4);
  out[head] = BINARY;
  out[head + 1] = MASKED | (isShort ? length : SHORT_BYTES_MAX + 1);
  if (!isShort) out.writeUInt16BE(length, head + 2);
  out.fill(0, at - MASK_BYTES, at);
  return head;
}

/** Puts the head of an array of `count` frames in front of them, at `at`. Returns where it begins. */
export function writeArrayHead(out: Buffer, at: number, count: number): number {
  if (count < 16) {
    out[at - 1] = 0x90 | count;
    return at - 1;
  }
  out[at - 3] = 0xdc;
  out.writeUInt16BE(count, at - 2);
  return at - 3;
}
