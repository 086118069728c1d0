import { createRequire } from 'node:module';

/** Why uWebSockets.js, which is optional, can't be loaded here; undefined: it can. */
export function uwsMissing(): string | undefined {
  try {
    createRequire(import.meta.url)('uWebSockets.js');
    return undefined;
  } catch {
    return "uWebSockets.js isn't installed, or has no binary for this machine (npm ci)";
  }
}
