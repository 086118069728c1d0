/**
 * Bytes of the wire: MessagePack in binary messages, or the same frames as JSON in text messages.
 *
 * MessagePack as we write it: maps with string keys, no records, no ext types, no undefined, tokens as uint64 so that
 * every language reads an integer. What we read: see msgpack-guard.ts.
 */
import { Packr } from 'msgpackr';
import type { CollectorFrame, CoordinatorFrame } from './frames.ts';
import { FRAME_BYTES_MAX, NESTING_DEPTH_MAX, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from './limits.ts';
import { msgpackFault } from './msgpack-guard.ts';

export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };
type Frame = CollectorFrame | CoordinatorFrame;

export interface Codec {
  readonly subprotocol: string;
  /** One frame, or the array of frames of a `batch` session, as one message. */
  encode(frame: Frame | readonly Frame[]): Uint8Array | string;
  /** One message as a value that parseCollectorFrame or parseCoordinatorFrame can look at. Never throws. */
  decode(message: Uint8Array | string): Decoded;
}

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'number',
  encodeUndefinedAsNil: true,
});

export const msgpackCodec: Codec = {
  subprotocol: SUBPROTOCOL_MSGPACK,
  encode(frame) {
    return packr.pack(Array.isArray(frame) ? frame.map(withWireTokens) : withWireTokens(frame as Frame));
  },
  decode(message) {
    if (typeof message === 'string') return { ok: false, message: `${SUBPROTOCOL_MSGPACK} takes binary messages` };
    const fault = msgpackFault(message);
    if (fault !== undefined) return { ok: false, message: fault };
    try {
      return { ok: true, value: packr.unpack(message) };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  },
};

export const jsonCodec: Codec = {
  subprotocol: SUBPROTOCOL_JSON,
  encode(frame) {
    return JSON.stringify(frame);
  },
  decode(message) {
    if (typeof message !== 'string') return { ok: false, message: `${SUBPROTOCOL_JSON} takes text messages` };
    let tooDeep = false;
    let protoKey = false;
    try {
      if (jsonDepth(message) > NESTING_DEPTH_MAX) tooDeep = true;
      else {
        const value: unknown = JSON.parse(message, (key, inner: unknown) => {
          if (key === '__proto__') protoKey = true;
          return inner;
        });
        if (!protoKey) return { ok: true, value };
      }
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
    if (tooDeep) return { ok: false, message: `nested deeper than ${NESTING_DEPTH_MAX}` };
    return { ok: false, message: 'the key __proto__ is not taken' };
  },
};

/** The codec of a negotiated subprotocol; MessagePack where the client named none. */
export function codecFor(subprotocol: string): Codec {
  return subprotocol === SUBPROTOCOL_JSON ? jsonCodec : msgpackCodec;
}

/** Whether a message is longer than one frame may be; a `batch` session's array may go up to MESSAGE_BYTES_MAX. */
export function exceedsFrameBytes(message: Uint8Array | string): boolean {
  return message.length > FRAME_BYTES_MAX;
}

/** Depth of brackets outside strings: JSON.parse itself would recurse as deep as the text says. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return deepest;
}

interface MayNameLeases {
  lease?: unknown;
  leases?: unknown;
  ended?: unknown;
  substitute?: unknown;
}

/** The frame with every token as BigInt, which the encoder writes as uint64. The frame itself is left as it is. */
function withWireTokens(frame: Frame): unknown {
  const { lease, leases, ended, substitute } = frame as MayNameLeases;
  if (lease === undefined && leases === undefined) return frame;
  const copy = { ...frame } as MayNameLeases;
  if (typeof lease === 'number') copy.lease = BigInt(lease);
  if (Array.isArray(leases)) copy.leases = leases.map(withWireToken);
  if (Array.isArray(ended)) copy.ended = ended.map(withWireToken);
  if (substitute !== undefined) copy.substitute = withWireToken(substitute);
  return copy;
}

function withWireToken(entry: unknown): unknown {
  if (typeof entry === 'number') return BigInt(entry);
  const { lease } = entry as { lease: number };
  return { ...(entry as object), lease: BigInt(lease) };
}
