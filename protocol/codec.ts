/**
 * Bytes of the wire: MessagePack in binary messages, or the same frames as JSON in text messages.
 *
 * MessagePack as we write it: maps with string keys, no records, no ext types, no undefined, tokens as uint64 so that
 * every language reads an integer. What we read: see msgpack-guard.ts.
 */
import { Packr } from 'msgpackr';
import type { CollectorFrame, CoordinatorFrame } from './frames.ts';
import {
  FRAME_BYTES_MAX,
  MESSAGE_VALUES_MAX,
  NESTING_DEPTH_MAX,
  SUBPROTOCOL_JSON,
  SUBPROTOCOL_MSGPACK,
} from './limits.ts';
import { msgpackFault } from './msgpack-guard.ts';
import { withWireTokens } from './wire-token.ts';

export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };
type Frame = CollectorFrame | CoordinatorFrame;

export interface Codec {
  readonly subprotocol: string;
  /** One frame, or the array of frames of a `batch` session, as one message. */
  encode(frame: Frame | readonly Frame[]): Uint8Array | string;
  /** One message as a value that parseCollectorFrame or parseCoordinatorFrame can look at. Never throws. */
  decode(message: Uint8Array | string, valuesMax?: number): Decoded;
}

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'number',
  encodeUndefinedAsNil: true,
  // A value is no view of the message, whose bytes may only be lent.
  copyBuffers: true,
});

export const msgpackCodec: Codec = {
  subprotocol: SUBPROTOCOL_MSGPACK,
  encode(frame) {
    return packr.pack(Array.isArray(frame) ? frame.map(withWireTokens) : withWireTokens(frame as Frame));
  },
  decode(message, valuesMax = MESSAGE_VALUES_MAX) {
    if (typeof message === 'string') return { ok: false, message: `${SUBPROTOCOL_MSGPACK} takes binary messages` };
    const fault = msgpackFault(message, valuesMax);
    if (fault !== undefined) return { ok: false, message: fault };
    try {
      return { ok: true, value: packr.unpack(message) };
    } catch (error) {
      return { ok: false, message: withoutText((error as Error).message) };
    }
  },
};

export const jsonCodec: Codec = {
  subprotocol: SUBPROTOCOL_JSON,
  encode(frame) {
    return JSON.stringify(frame);
  },
  decode(message, valuesMax = MESSAGE_VALUES_MAX) {
    if (typeof message !== 'string') return { ok: false, message: `${SUBPROTOCOL_JSON} takes text messages` };
    const fault = jsonFault(message, valuesMax);
    if (fault !== undefined) return { ok: false, message: fault };
    try {
      const value: unknown = JSON.parse(message);
      const strange = mayBeStrange(message) ? strangeString(message) : undefined;
      return strange === undefined ? { ok: true, value } : { ok: false, message: strange };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  },
};

/** The parser's message without the part of the text that it shows: there may be credentials in it. */
function withoutText(message: string): string {
  return message.replace(/, (?:\.\.\.)?"[^]*" is not valid JSON$/, ' is not valid JSON');
}

/** The codec of a negotiated subprotocol; MessagePack where the client named none. */
export function codecFor(subprotocol: string): Codec {
  return subprotocol === SUBPROTOCOL_JSON ? jsonCodec : msgpackCodec;
}

/** Whether a message is longer than one frame may be; a `batch` session's array may go up to MESSAGE_BYTES_MAX. */
export function exceedsFrameBytes(message: Uint8Array | string): boolean {
  if (message.length > FRAME_BYTES_MAX) return true;
  // A UTF-16 unit takes three bytes of UTF-8 at most, so most texts need no counting.
  if (typeof message !== 'string' || message.length * 3 <= FRAME_BYTES_MAX) return false;
  return utf8.encode(message).length > FRAME_BYTES_MAX;
}

const utf8 = new TextEncoder();

/**
 * What in the brackets, commas and colons outside strings exceeds a bound, before anything is built: JSON.parse would
 * recurse as deep as the text says. Values are counted as msgpackFault does, an empty list or map as one more.
 */
function jsonFault(text: string, valuesMax: number): string | undefined {
  let depth = 0;
  let values = 1;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x2c || code === 0x3a) values += 1;
    else if (code === 0x7b || code === 0x5b) {
      values += 1;
      depth += 1;
      if (depth > NESTING_DEPTH_MAX) return `nested deeper than ${NESTING_DEPTH_MAX}`;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return values > valuesMax ? `more than ${valuesMax} values` : undefined;
}

/** False for almost every text, and cheap: what is looked for must stand there in letters or with an escape in it. */
function mayBeStrange(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u');
}

/** What is wrong with a key or a string of the text, as msgpackFault has it of bytes. */
function strangeString(text: string): string | undefined {
  let fault: string | undefined;
  JSON.parse(text, (key, value: unknown) => {
    if (key === '__proto__') fault = 'the key __proto__ is not taken';
    else if (HALF_A_PAIR.test(key) || (typeof value === 'string' && HALF_A_PAIR.test(value)))
      fault = 'a string is not UTF-8';
    return value;
  });
  return fault;
}

/** A surrogate without its other half: no UTF-8 can hold it. */
const HALF_A_PAIR = /\p{Surrogate}/u;
