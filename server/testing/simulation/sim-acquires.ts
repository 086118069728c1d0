import type { Waiting } from '../../../protocol/frames.ts';
import type { Asked, Request, SimLink } from './sim-link.ts';

/** Requests with a key that a client still speaks of. */
const KEYED_MAX = 8;

export type AcquireAsked = Extract<Asked, { type: 'acquire' }>;

export interface Keyed {
  readonly key: string;
  readonly frame: AcquireAsked;
  /** The key came with another request too, so that either may be the one it is known by. */
  isMixed: boolean;
}

/** What has become of a client's acquires beyond the socket that they were asked on. */
export class Acquires {
  /** The latest requests with a key, oldest first. */
  readonly keyed: Keyed[] = [];
  readonly #find: (what: string) => void;
  /** Asked on a socket whose answers are no longer read: what became of them `welcome` tells. */
  readonly #inDoubt = new Map<number, Request>();
  /** Of all requests of this session that had one, by their ids. */
  readonly #keys = new Map<number, string>();
  /** By lease: the one request that it was granted for by its key. */
  readonly #granted = new Map<number, string>();
  #lastKey = 0;

  constructor(find: (what: string) => void) {
    this.#find = find;
  }

  newKey(): string {
    this.#lastKey += 1;
    return `page-${this.#lastKey}`;
  }

  isInDoubt(id: number): boolean {
    return this.#inDoubt.has(id);
  }

  asked({ id, frame }: Request): void {
    if (frame.type !== 'acquire' || frame.key === undefined) return;
    const { key } = frame;
    const known = this.keyed.find((one) => one.key === key);
    if (known) known.isMixed ||= JSON.stringify(known.frame) !== JSON.stringify(frame);
    // Of one that is spoken of no more nobody knows what else it came with.
    else if (this.keyed.push({ key, frame, isMixed: this.#isKnown(key) }) > KEYED_MAX) this.keyed.shift();
    this.#keys.set(id, key);
  }

  /** Whether to take `request` back is to take back what answers these: one of them, or by the same key. */
  takesBack(request: number, answered: ReadonlySet<number>): boolean {
    if (answered.has(request)) return true;
    const key = this.#keys.get(request);
    return key !== undefined && [...answered].some((id) => this.#keys.get(id) === key);
  }

  /** The answers of a socket are no longer read. */
  lost({ pending }: SimLink): void {
    for (const request of pending.values()) this.unanswered(request);
  }

  unanswered(request: Request): void {
    if (request.frame.type === 'acquire') this.#inDoubt.set(request.id, request);
  }

  /** What stands in line still is answered on the new socket, by its own id; the rest was granted, or is over. */
  welcomed(link: SimLink, waiting: readonly Waiting[]): void {
    for (const { request: id, key } of waiting) {
      const request = this.#inDoubt.get(id);
      if (!request) this.#find(`welcome says that ${id} waits, which doesn't`);
      else if (request.frame.type === 'acquire' && request.frame.key !== key) this.#find(`${id} waits by another key`);
      else link.adopt(request);
    }
    this.#inDoubt.clear();
  }

  /** In line: of a key that was repeated here, what was asked on earlier sockets isn't answered any more. */
  queued(link: SimLink, { id, frame, isAdopted }: Request): void {
    if (frame.type !== 'acquire' || frame.key === undefined || isAdopted) return;
    for (const other of link.pending.values()) {
      if (other.isAdopted && other.id !== id && isSameKey(other, frame)) link.forget(other.id);
    }
  }

  /** Out of line, with all who asked by the same key before. */
  cancelled(link: SimLink, cancel: Request): void {
    if (cancel.frame.type !== 'cancel') return;
    const target = link.pending.get(cancel.frame.request);
    if (!target?.isWaiting || target.frame.type !== 'acquire') return;
    link.forget(target.id);
    const { frame } = target;
    if (frame.key === undefined) return;
    for (const other of link.pending.values()) {
      if (other.id < cancel.id && other.isWaiting && isSameKey(other, frame)) link.forget(other.id);
    }
  }

  /** In answer to a request with a key: the same for the same. */
  granted({ id, frame }: Request, lease: number): void {
    const text = JSON.stringify(frame);
    const known = this.#granted.get(lease) ?? text;
    if (known !== text)
      this.#find(`${id} is answered with lease ${lease}, which another request by its key was granted`);
    this.#granted.set(lease, known);
  }

  /** The key is said to have been used for another request. */
  keyReused({ frame }: Request): void {
    const key = frame.type === 'acquire' ? frame.key : undefined;
    if (key === undefined) return this.#find('key_reused answers what has no key');
    const known = this.keyed.find((one) => one.key === key);
    if (known && !known.isMixed) this.#find(`key ${key} was used for this request alone`);
  }

  #isKnown(key: string): boolean {
    for (const known of this.#keys.values()) if (known === key) return true;
    return false;
  }

  clear(): void {
    this.#inDoubt.clear();
    this.#keys.clear();
    this.#granted.clear();
    this.keyed.length = 0;
  }
}

function isSameKey({ frame }: Request, { key }: AcquireAsked): boolean {
  return frame.type === 'acquire' && frame.key === key;
}
