import { isIP } from 'node:net';
import { SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from '../../protocol/limits.ts';
import type { Access } from '../clients/access.ts';
import type { UpgradeDecision, UpgradeRequest } from './socket.ts';

const SUBPROTOCOLS: readonly string[] = [SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON];

/** Before a key among the subprotocols: the one place where a page in a browser can put one. */
const KEY_ITEM = 'leasehold.key.';

export interface UpgradeRules {
  readonly allowedOrigins: readonly string[];
  readonly access: Pick<Access, 'identify'>;
}

/** The same whatever was wrong: who tries keys, or origins, learns nothing from it. */
const REFUSED = { accept: false, status: 403, message: 'not allowed to connect' } as const;

/**
 * Whether a peer may open a WebSocket, decided before any state exists for it.
 *
 * A browser says which page is asking; other programs send no Origin, or our own address. A page of another host is
 * refused unless `allowedOrigins` names it, and so is a page of our own *name*: any name can be made to point here.
 * A key may come with the upgrade or in `hello`; one that comes here is looked at here.
 * A client that offers no subprotocol speaks MessagePack; one that offers only unknown ones is refused.
 */
export function decideUpgrade(request: UpgradeRequest, { allowedOrigins, access }: UpgradeRules): UpgradeDecision {
  if (request.origin !== undefined && !isOriginAllowed(request.origin, request.host, allowedOrigins)) return REFUSED;
  const [key, otherKey] = keysIn(request);
  // Two that differ: one of them is wrong.
  if (otherKey !== undefined) return REFUSED;
  const caller = key === undefined ? undefined : access.identify({ key, remoteAddress: request.remoteAddress });
  if (key !== undefined && !caller) return REFUSED;
  const offers = request.subprotocols.filter((item) => !item.startsWith(KEY_ITEM));
  if (offers.length === 0) return { accept: true, subprotocol: '', caller };
  const subprotocol = offers.find((offered) => SUBPROTOCOLS.includes(offered));
  if (subprotocol !== undefined) return { accept: true, subprotocol, caller };
  return { accept: false, status: 400, message: `subprotocols served: ${SUBPROTOCOLS.join(', ')}` };
}

/** Each once. Another scheme than Bearer is for somebody else, a proxy on the way, say. */
function keysIn({ authorization, subprotocols }: UpgradeRequest): string[] {
  const bearer = /^Bearer +(.*?) *$/i.exec(authorization ?? '')?.[1];
  const items = subprotocols.filter((item) => item.startsWith(KEY_ITEM)).map((item) => item.slice(KEY_ITEM.length));
  return [...new Set(bearer === undefined ? items : [bearer, ...items])];
}

function isOriginAllowed(origin: string, host: string | undefined, allowedOrigins: readonly string[]): boolean {
  if (allowedOrigins.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  return url.host === host && (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0 || url.hostname === 'localhost');
}
