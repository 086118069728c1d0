/**
 * A lock in Redis as its documentation has it: `SET key token NX PX ttl`, then a script that deletes the key if it still
 * holds the token. Answers come in the order of the requests.
 */
import { createHash } from 'node:crypto';
import { ACQUIRING, type Load, Session } from './session.ts';

const SCRIPT = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";
const SCRIPT_SHA = createHash('sha1').update(SCRIPT).digest('hex');
const KEY_DIGITS = 8;
const TOKEN_DIGITS = 16;
const TTL_MS = '60000';
const ZERO = 0x30;
const OK = Buffer.from('+OK\r\n');
const DELETED = Buffer.from(':1\r\n');
const GREETED = Buffer.from(`$40\r\n${SCRIPT_SHA}\r\n`);
const LINE_END = Buffer.from('\r\n');

function command(...words: readonly string[]): Buffer {
  return Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
}

const KEY = `lease:7:${'0'.repeat(KEY_DIGITS)}`;
const TOKEN = '0'.repeat(TOKEN_DIGITS);
const SET = command('SET', KEY, TOKEN, 'NX', 'PX', TTL_MS);
const DELETE = command('EVALSHA', SCRIPT_SHA, '1', KEY, TOKEN);
const SET_KEY_END = SET.indexOf(KEY) + KEY.length;
const SET_TOKEN_END = SET.indexOf(TOKEN, SET_KEY_END) + TOKEN.length;
const DELETE_KEY_END = DELETE.indexOf(KEY) + KEY.length;
const DELETE_TOKEN_END = DELETE.indexOf(TOKEN, DELETE_KEY_END) + TOKEN.length;

/** Decimal digits that end at `end`; those in front of them are zeros already. */
function writeDigits(out: Buffer, end: number, value: number): void {
  for (let left = value, at = end - 1; left > 0; at -= 1) {
    const rest = (left / 10) | 0;
    out[at] = ZERO + left - rest * 10;
    left = rest;
  }
}

export interface KeyRange {
  /** Of this session's first lane, and how far apart the next lane's is. */
  readonly first: number;
  /** From one cycle's key to the next: lanes of all sessions, so that no two lanes ever meet. */
  readonly step: number;
  /** As many as the pool has addresses. */
  readonly size: number;
}

export class RedisSession extends Session {
  readonly #range: KeyRange;
  readonly #keys: Int32Array;
  readonly #tokens: Int32Array;
  /** Lanes in the order in which their answers come, a ring. */
  readonly #order: Uint8Array;
  #oldest = 0;
  #newest = 0;

  constructor(load: Load, port: number, inFlight: number, range: KeyRange) {
    super(load, port, inFlight);
    this.#range = range;
    this.#keys = Int32Array.from({ length: inFlight }, (_, lane) => range.first + lane);
    this.#tokens = Int32Array.from({ length: inFlight }, (_, lane) => range.first + lane);
    this.#order = new Uint8Array(64);
  }

  protected override greeting(): Uint8Array {
    return command('SCRIPT', 'LOAD', SCRIPT);
  }

  protected override takeGreeting(bytes: Buffer, end: number): number {
    if (end < GREETED.length) return 0;
    if (!bytes.subarray(0, end).equals(GREETED)) this.fail(new Error(`Redis: ${bytes.toString('latin1', 0, end)}`));
    else this.ready();
    return end;
  }

  protected override writeAcquire(lane: number, out: Buffer, at: number): number {
    const { first, step, size } = this.#range;
    const key = this.#keys[lane]! + step;
    this.#keys[lane] = key + step > size ? first + lane : key;
    this.#tokens[lane]! += step;
    out.set(SET, at);
    return this.#patch(lane, out, at, SET_KEY_END, SET_TOKEN_END, SET.length);
  }

  protected override writeRelease(lane: number, out: Buffer, at: number): number {
    out.set(DELETE, at);
    return this.#patch(lane, out, at, DELETE_KEY_END, DELETE_TOKEN_END, DELETE.length);
  }

  #patch(lane: number, out: Buffer, at: number, keyEnd: number, tokenEnd: number, length: number): number {
    writeDigits(out, at + keyEnd, this.#keys[lane]!);
    writeDigits(out, at + tokenEnd, this.#tokens[lane]!);
    this.#order[this.#newest++ & 63] = lane;
    return at + length;
  }

  protected override take(bytes: Buffer, end: number): number {
    let at = 0;
    while (at < end) {
      const lane = this.#order[this.#oldest & 63]!;
      const wanted = this.phases[lane] === ACQUIRING ? OK : DELETED;
      for (let index = 0; index < wanted.length; index += 1) {
        if (at + index >= end) return at;
        if (bytes[at + index] !== wanted[index]) return this.#refused(bytes, at, end);
      }
      at += wanted.length;
      this.#oldest += 1;
      this.answered(lane);
    }
    return at;
  }

  #refused(bytes: Buffer, at: number, end: number): number {
    const lineEnd = bytes.indexOf(LINE_END, at);
    if (lineEnd < 0 || lineEnd >= end) return at;
    this.fail(new Error(`Redis answered ${bytes.toString('latin1', at, lineEnd)}`));
    return end;
  }
}
