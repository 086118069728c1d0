/** A hash of 32 bits, each of which depends on every character and on the seed. No guard against who wants collisions. */
export function textHash(text: string, seed: number): number {
  let hash = seed ^ Math.imul(text.length, 0x9e3779b1);
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    hash ^= hash >>> 15;
  }
  return mixed(hash);
}

/** `hash` with every bit spread over all 32, one to one. */
export function mixed(hash: number): number {
  let bits = hash ^ (hash >>> 16);
  bits = Math.imul(bits, 0x7feb352d);
  bits ^= bits >>> 15;
  bits = Math.imul(bits, 0x846ca68b);
  return (bits ^ (bits >>> 16)) >>> 0;
}
