/**
 * A lock in Redis as its documentation has it: `SET key token NX PX ttl`, then a script that deletes the key if it still
 * holds the token. Answers come in the order of the requests.
 */
import { createHash } from 'node:crypto';
import { KEY, type KeyRange, LaneKeys, TOKEN } from './lane-keys.ts';
import { ACQUIRING, type Load, Session } from './session.ts';
import { IN_FLIGHT_MAX } from './task.ts';

const SCRIPT = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";
const SCRIPT_SHA = createHash('sha1').update(SCRIPT).digest('hex');
const TTL_MS = '60000';
/** A power of two, at least as many as may be in flight. */
const RING = IN_FLIGHT_MAX;
const OK = Buffer.from('+OK\r\n');
const DELETED = Buffer.from(':1\r\n');
const GREETED = Buffer.from(`$40\r\n${SCRIPT_SHA}\r\n`);
const LINE_END = Buffer.from('\r\n');

function command(...words: readonly string[]): Buffer {
  return Buffer.from(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
}

const SET = command('SET', KEY, TOKEN, 'NX', 'PX', TTL_MS);
const DELETE = command('EVALSHA', SCRIPT_SHA, '1', KEY, TOKEN);
const SET_KEY_END = SET.indexOf(KEY) + KEY.length;
const SET_TOKEN_END = SET.indexOf(TOKEN, SET_KEY_END) + TOKEN.length;
const DELETE_KEY_END = DELETE.indexOf(KEY) + KEY.length;
const DELETE_TOKEN_END = DELETE.indexOf(TOKEN, DELETE_KEY_END) + TOKEN.length;

export class RedisSession extends Session {
  readonly #keys: LaneKeys;
  /** Lanes in the order in which their answers come, a ring. */
  readonly #order: Uint8Array;
  #oldest = 0;
  #newest = 0;

  constructor(load: Load, port: number, inFlight: number, range: KeyRange) {
    super(load, port, inFlight);
    this.#keys = new LaneKeys(range, inFlight);
    this.#order = new Uint8Array(RING);
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
    this.#keys.next(lane);
    out.set(SET, at);
    return this.#patch(lane, out, at, SET_KEY_END, SET_TOKEN_END, SET.length);
  }

  protected override writeRelease(lane: number, out: Buffer, at: number): number {
    out.set(DELETE, at);
    return this.#patch(lane, out, at, DELETE_KEY_END, DELETE_TOKEN_END, DELETE.length);
  }

  #patch(lane: number, out: Buffer, at: number, keyEnd: number, tokenEnd: number, length: number): number {
    this.#keys.writeKey(lane, out, at + keyEnd);
    this.#keys.writeToken(lane, out, at + tokenEnd);
    this.#order[this.#newest % RING] = lane;
    this.#newest += 1;
    return at + length;
  }

  protected override take(bytes: Buffer, end: number): number {
    let at = 0;
    while (at < end) {
      const lane = this.#order[this.#oldest % RING]!;
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
