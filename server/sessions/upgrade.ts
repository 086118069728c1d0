import { isIP } from 'node:net';
import { SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from '../../protocol/limits.ts';
import type { UpgradeDecision, UpgradeRequest } from './socket.ts';

const SUBPROTOCOLS: readonly string[] = [SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON];

/**
 * Whether a peer may open a WebSocket, decided before any state exists for it.
 *
 * A browser says which page is asking; other programs send no Origin, or our own address. A page of another host is
 * refused unless `allowedOrigins` names it, and so is a page of our own *name*: any name can be made to point here.
 * A client that offers no subprotocol speaks MessagePack; one that offers only unknown ones is refused.
 */
export function decideUpgrade(request: UpgradeRequest, allowedOrigins: readonly string[]): UpgradeDecision {
  if (request.origin !== undefined && !isOriginAllowed(request.origin, request.host, allowedOrigins)) {
    return { accept: false, status: 403, message: 'origin not allowed' };
  }
  if (request.subprotocols.length === 0) return { accept: true, subprotocol: '' };
  const subprotocol = request.subprotocols.find((offered) => SUBPROTOCOLS.includes(offered));
  if (subprotocol !== undefined) return { accept: true, subprotocol };
  return { accept: false, status: 400, message: `subprotocols served: ${SUBPROTOCOLS.join(', ')}` };
}

function isOriginAllowed(origin: string, host: string | undefined, allowedOrigins: readonly string[]): boolean {
  if (allowedOrigins.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  return url.host === host && (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0 || url.hostname === 'localhost');
}
