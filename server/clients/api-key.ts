/**
 * `lh_<key id>_<secret>`: an API key as its owner has it. The id is 64 random bits in hex, for people, lists and logs; the
 * secret 192 random bits in base64url. Only the SHA-256 of the secret is kept: a slow hash is for secrets that people
 * think up, of which there are few enough to try; of 192 random bits nobody tries a noticeable part.
 */
import { hash, timingSafeEqual } from 'node:crypto';

export type Role = 'collector' | 'operator';
export const ROLES = ['collector', 'operator'] as const satisfies readonly Role[];

const KEY_ID_BYTES = 8;
const SECRET_BYTES = 24;
const FORM = /^lh_([0-9a-f]{16})_([\w-]{32})$/;

/** What is shown once, and what is kept. */
export interface NewKey {
  readonly text: string;
  readonly key: string;
  readonly secretHash: string;
}

export function newKey(randomBytes: (size: number) => Buffer): NewKey {
  const key = randomBytes(KEY_ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  return { text: `lh_${key}_${secret}`, key, secretHash: sha256(secret) };
}

/** Key id and SHA-256 of the secret; undefined: it has not the form of a key. */
export function readKey(text: string): { readonly key: string; readonly secretHash: string } | undefined {
  const [, key, secret] = FORM.exec(text) ?? [];
  return key === undefined || secret === undefined ? undefined : { key, secretHash: sha256(secret) };
}

/** In a time that doesn't depend on how much of them agrees. Of SHA-256 as hex, all of which are equally long. */
export function isSameHash(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1'));
}

export function sha256(text: string): string {
  return hash('sha256', text);
}
