import { hash } from 'node:crypto';
import type { AddressRecord } from '../../protocol/frames.ts';

/**
 * Marks kept; the oldest goes first for one of a change by hand, and imports mark only while there is room. An address
 * without its mark is as the pool file has it from the next start on.
 */
export const OVERRULED_RECORDS_MAX = 100_000;

/**
 * Addresses that were removed, changed or brought back otherwise than by the pool file, each with the digest of the record
 * that counted before the first such change: while the file still has that one, it says nothing new, and undoes nothing.
 * By address, oldest first.
 */
export class OverruledRecords implements Iterable<readonly [address: string, digest: string]> {
  readonly #digests = new Map<string, string>();

  get size(): number {
    return this.#digests.size;
  }

  get isFull(): boolean {
    return this.#digests.size >= OVERRULED_RECORDS_MAX;
  }

  get(address: string): string | undefined {
    return this.#digests.get(address);
  }

  set(address: string, digest: string): void {
    this.#digests.delete(address);
    this.#digests.set(address, digest);
    if (this.#digests.size <= OVERRULED_RECORDS_MAX) return;
    for (const oldest of this.#digests.keys()) {
      this.#digests.delete(oldest);
      return;
    }
  }

  delete(address: string): void {
    this.#digests.delete(address);
  }

  has(record: AddressRecord): boolean {
    const digest = this.#digests.get(record.address);
    return digest !== undefined && digest === recordDigest(record);
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.#digests.entries();
  }
}

/** The same for the same record, whichever process computes it. */
export function recordDigest(record: AddressRecord): string {
  return hash('sha256', JSON.stringify(record), 'base64url');
}
