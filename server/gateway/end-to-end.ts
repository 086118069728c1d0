/** Which headers go through the gateway: those that are about the message, not about one connection (RFC 9110 §7.6.1). */

/** Of a connection, whatever `Connection` says of them. `TE` and `Trailer` go with the framing, which is ours anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Named by `Connection` or not, a message can't do without them. */
const NEVER_DROPPED: ReadonlySet<string> = new Set(['host', 'content-length']);

/**
 * `rawHeaders` as node has them, names and values in turn, without those of the connection they came by; order, case and
 * repetition stay.
 */
export function endToEndHeaders(rawHeaders: readonly string[]): string[] {
  const named = namedByConnection(rawHeaders);
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase();
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    kept.push(rawHeaders[index]!, rawHeaders[index + 1]!);
  }
  return kept;
}

/** Almost always `keep-alive` or `close` alone: then undefined. */
function namedByConnection(rawHeaders: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length !== 'connection'.length || rawHeaders[index]!.toLowerCase() !== 'connection')
      continue;
    for (const part of rawHeaders[index + 1]!.split(',')) {
      const name = part.trim().toLowerCase();
      if (name !== '' && !HOP_BY_HOP.has(name) && !NEVER_DROPPED.has(name)) (named ??= new Set()).add(name);
    }
  }
  return named;
}
