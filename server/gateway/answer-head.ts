import type { ServerResponse } from 'node:http';

/** Node reads such in an answer, and refuses to write them. */
const UNWRITABLE = /[^\t\u0020-\u007e\u0080-\u00ff]/g;

/**
 * Begins the answer that a target or a site has given: names and values of headers in turn. False where none can be made of
 * it, whatever they have sent: nothing was said to the client then.
 */
export function beginAnswer(
  response: ServerResponse,
  status: number,
  reason: string,
  headers: readonly string[],
): boolean {
  if (status < 200 || status > 999) return false;
  // There is none of a length in an answer without a body (RFC 9110 §8.6).
  const kept =
    status === 204 ? headers.filter((_, index) => !/^content-length$/i.test(headers[index & ~1]!)) : [...headers];
  try {
    response.writeHead(status, reason.replace(UNWRITABLE, ''), kept);
    return true;
  } catch {
    return false;
  }
}
