/** Requests with a key: the same one again is answered as the first time. */
import { hash } from 'node:crypto';
import { ENDED_KEYS_MAX, ENDED_KEYS_MS } from '../../protocol/limits.ts';
import type { AcquireTerms } from './commands.ts';
import { encodeHolder, type Holder } from './holder.ts';

export interface KeyEntry {
  readonly key: string;
  /** Digest of the request. */
  readonly body: string;
  /** Number of the waiter, while it waits. */
  waiter: number | undefined;
  readonly leases: number[];
  liveCount: number;
  /** When the last of its leases ended. */
  endedAtMs: number | undefined;
}

export class HolderKeys {
  readonly #entries = new Map<string, KeyEntry>();
  /** In the order of their ends. */
  readonly #ended = new Map<string, KeyEntry>();

  find(key: string, nowMs: number): KeyEntry | undefined {
    const entry = this.#entries.get(key);
    const isOld = entry?.endedAtMs !== undefined && entry.endedAtMs <= nowMs - ENDED_KEYS_MS;
    return isOld ? undefined : entry;
  }

  /** Those that ended last, in the order of their ends. */
  *entries(): Generator<KeyEntry> {
    for (const entry of this.#entries.values()) if (entry.endedAtMs === undefined) yield entry;
    yield* this.#ended.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  put(entry: KeyEntry): void {
    this.delete(entry.key);
    this.#entries.set(entry.key, entry);
    if (entry.endedAtMs !== undefined) this.#ended.set(entry.key, entry);
  }

  delete(key: string): void {
    this.#entries.delete(key);
    this.#ended.delete(key);
  }

  /** One more lease of it lives. */
  granted(key: string, body: string, lease: number): void {
    let entry = this.#entries.get(key);
    if (!entry || entry.endedAtMs !== undefined) {
      entry = { key, body, waiter: undefined, leases: [], liveCount: 0, endedAtMs: undefined };
      this.put(entry);
    }
    entry.waiter = undefined;
    entry.leases.push(lease);
    entry.liveCount += 1;
  }

  /** A lease of it has ended. */
  ended(key: string, lease: number, atMs: number): void {
    const entry = this.#entries.get(key);
    // A later request may have the key now.
    if (!entry?.leases.includes(lease)) return;
    entry.liveCount -= 1;
    if (entry.liveCount > 0) return;
    entry.endedAtMs = atMs;
    this.#ended.set(key, entry);
    for (const old of this.#ended.values()) {
      if (this.#ended.size <= ENDED_KEYS_MAX && old.endedAtMs! > atMs - ENDED_KEYS_MS) break;
      this.delete(old.key);
    }
  }
}

/** By which a holder's keys are found, whoever is behind it. */
export function holderName(holder: Holder): string {
  const isOwned = holder.kind === 'secret' && holder.owner;
  return encodeHolder(isOwned ? { kind: 'secret', secretHash: holder.secretHash } : holder).join(' ');
}

/** The same for the same request, whichever process computes it. */
export function bodyDigest(terms: AcquireTerms): string {
  const { resource, ttlMs, where, strategy, sticky, waitMs, count } = terms;
  const text = JSON.stringify([resource, ttlMs, where ?? null, strategy, sticky, waitMs ?? 0, count]);
  return hash('sha256', text, 'base64url');
}
