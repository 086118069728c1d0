/** Settings of the forward proxy, a part of the table in settings.ts. */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { integer, oneOf } from './setting-schemas.ts';

const ALLOWED_MAX = 1_000;
const PORTS_MAX = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

const ALLOWED_MESSAGE = 'must be an IP address, a range like 10.0.0.0/8, or a host name';
const allowed = v.pipe(v.string(ALLOWED_MESSAGE), v.check(isAllowEntry, ALLOWED_MESSAGE));
const allowedList = list(allowed, ALLOWED_MAX, 'IP addresses, ranges and host names');

const ports = numbers(1, 65_535, PORTS_MAX, 'ports');
const statuses = numbers(400, 599, 200, 'statuses from 400 to 599');

const count = integer(1, 1_000_000);

function row<const Kind extends string, const Schema extends v.GenericSchema>(
  kind: Kind,
  schema: Schema,
  meaning: string,
) {
  return { kind, schema, meaning };
}

export const FORWARD_SETTINGS = {
  forward_resource: row(
    'integer',
    v.exactOptional(integer(1, Number.MAX_SAFE_INTEGER)),
    'Resource of users that name none; unset: it must be named',
  ),
  forward_resolve: row(
    'text',
    v.optional(oneOf(['here', 'upstream']), 'here'),
    'Who resolves names: here, and the address is checked, or upstream',
  ),
  forward_allow: row(
    'list',
    v.optional(allowedList, []),
    'Private addresses, ranges and names that may be gone to all the same',
  ),
  forward_denied_ports: row('list', v.optional(ports, [25]), 'Ports that may not be gone to'),
  forward_retries: row('integer', v.optional(integer(0, 10), 2), 'Times to try again on another address'),
  forward_connect_timeout_ms: row(
    'integer',
    v.optional(integer(100, 2 * MINUTE_MS), 10_000),
    'Time for a connection through an address',
  ),
  forward_response_timeout_ms: row(
    'integer',
    v.optional(integer(100, 10 * MINUTE_MS), MINUTE_MS),
    'Time from a request to the head of its answer',
  ),
  forward_tunnel_idle_ms: row(
    'integer',
    v.optional(integer(100, DAY_MS), 5 * MINUTE_MS),
    'A tunnel in which nothing moves for so long is cut',
  ),
  forward_session_idle_ms: row(
    'integer',
    v.optional(integer(100, DAY_MS), MINUTE_MS),
    'A sticky session that is not used for so long is over',
  ),
  forward_sessions_max: row('integer', v.optional(count, 10_000), 'Sticky sessions at one time'),
  forward_client_sessions_max: row('integer', v.optional(count, 1_000), 'The same of one client'),
  forward_client_requests_max: row(
    'integer',
    v.optional(count, 1_000),
    'Requests and tunnels of one client through the forward proxy at one time',
  ),
  forward_ban_statuses: row(
    'list',
    v.optional(statuses, []),
    'Answers of sites that mean that an address is banned: 403,429',
  ),
};

function list<const Item extends v.GenericSchema>(item: Item, most: number, what: string) {
  const message = `must be a list of at most ${most} ${what}`;
  return v.pipe(v.array(item, message), v.maxLength(most, message));
}

/** From the file as numbers, from flags and variables as their digits. */
function numbers(least: number, most: number, lengthMax: number, what: string) {
  const digits = v.pipe(
    v.unknown(),
    v.transform((value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value)),
    integer(least, most),
  );
  return list(digits, lengthMax, what);
}

function isAllowEntry(entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/');
  const family = isIP(address);
  if (family === 0) {
    const isName = /^(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/i.test(entry) && entry.length <= 253;
    return isName && !/^[\d.]+$/.test(entry);
  }
  return (
    rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
  );
}
