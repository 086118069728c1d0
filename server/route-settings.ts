/**
 * Routes of the reverse proxy as settings write them: flat objects of the fields of gateway/route.ts in snake_case. What a
 * route doesn't say of itself is as in `route_defaults`, field by field.
 */
import { BlockList, isIP } from 'node:net';
import * as v from 'valibot';
import { STRATEGIES } from '../protocol/codes.ts';
import type { Route, RoutePolicy, TargetSettings } from './gateway/route.ts';
import { integer, oneOf, text, toCamelKeys } from './setting-schemas.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ROUTES_MAX = 256;
const TARGETS_MAX = 256;
/** Of all routes: each is a few lines of the metrics. */
const ALL_TARGETS_MAX = 1_024;
const WEIGHT_MAX = 1_000;
const PATH_LENGTH_MAX = 1_024;
const URL_LENGTH_MAX = 1_024;
const TEXT_LENGTH_MAX = 10_000;
const PROXIES_MAX = 256;

/** Comes before a schema of an object, which would take an empty list for an empty object. */
const object = v.pipe(
  v.unknown(),
  v.check((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'must be an object'),
);

const TARGET_MESSAGE = 'must be host:port, or a URL of http or https with nothing behind the port';
/** As `TargetSettings.url`; undefined where it is none. A port that isn't said is the scheme's own. */
function targetUrl(written: string): string | undefined {
  if (written.length > URL_LENGTH_MAX) return undefined;
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(written);
  if (!hasScheme && !/:\d+$/.test(written)) return undefined;
  const href = hasScheme ? written : `http://${written}`;
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(href) || !URL.canParse(href)) return undefined;
  const { protocol, hostname, port, origin } = new URL(href);
  if (hostname === '' || port === '0') return undefined;
  return port === '' ? `${protocol}//${hostname}:${protocol === 'https:' ? 443 : 80}` : origin;
}
const url = v.pipe(
  v.string(TARGET_MESSAGE),
  v.check((written) => targetUrl(written) !== undefined, TARGET_MESSAGE),
  v.transform((written) => targetUrl(written)!),
);

const targetObject = v.pipe(
  object,
  v.strictObject({ url, weight: v.optional(integer(1, WEIGHT_MAX), 1) }, 'is not part of a target (url, weight)'),
);
const plainTarget = v.pipe(
  url,
  v.transform((written): TargetSettings => ({ url: written, weight: 1 })),
);
const target = v.lazy((value) => (typeof value === 'object' ? targetObject : plainTarget));

function targetList<Schema extends v.GenericSchema<unknown, TargetSettings>>(one: Schema, least: number) {
  const message = `must be a list of ${least} to ${TARGETS_MAX} targets`;
  return v.pipe(
    v.array(one, message),
    v.minLength(least, message),
    v.maxLength(TARGETS_MAX, message),
    v.check((list) => new Set(list.map((entry) => entry.url)).size === list.length, 'names a target twice'),
  );
}

/** Of one route for everything. */
export const targets = targetList(plainTarget, 0);

const TOKEN_MESSAGE = 'must be the name of a header or cookie';
const name = v.pipe(v.string(TOKEN_MESSAGE), v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, TOKEN_MESSAGE));
const PATH_MESSAGE = 'must be a path: visible ASCII characters, the first of them /, without ? and #';
const path = v.pipe(
  v.string(PATH_MESSAGE),
  v.regex(/^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/, PATH_MESSAGE),
  v.maxLength(PATH_LENGTH_MAX, PATH_MESSAGE),
);
const PROBE_PATH_MESSAGE = 'must be a path: visible ASCII characters, the first of them /';
const probePath = v.pipe(
  v.string(PROBE_PATH_MESSAGE),
  v.regex(/^\/[\x21\x22\x24-\x7e]*$/, PROBE_PATH_MESSAGE),
  v.maxLength(PATH_LENGTH_MAX, PROBE_PATH_MESSAGE),
);
const HOST_MESSAGE = 'must be a host name without port, or *. and one';
const host = v.pipe(
  v.string(HOST_MESSAGE),
  v.toLowerCase(),
  v.check(
    (value) => isIP(value) !== 0 || /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(value),
    HOST_MESSAGE,
  ),
  v.maxLength(253, HOST_MESSAGE),
);
const SHARE_MESSAGE = 'must be a number from 0 to 1';
const share = v.pipe(v.number(SHARE_MESSAGE), v.minValue(0, SHARE_MESSAGE), v.maxValue(1, SHARE_MESSAGE));

const policyFields = {
  strategy: v.exactOptional(oneOf(STRATEGIES)),
  sticky_header: v.exactOptional(v.pipe(name, v.toLowerCase())),
  sticky_cookie: v.exactOptional(name),
  rewrite_host: v.exactOptional(v.boolean('must be true or false')),
  all_down_status: v.exactOptional(integer(400, 599)),
  all_down_text: v.exactOptional(text(TEXT_LENGTH_MAX)),
  connect_timeout_ms: v.exactOptional(integer(10, 60_000)),
  response_timeout_ms: v.exactOptional(integer(10, DAY_MS)),
  idle_timeout_ms: v.exactOptional(integer(100, DAY_MS)),
  tunnel_idle_ms: v.exactOptional(integer(100, 7 * DAY_MS)),
  in_flight_max: v.exactOptional(integer(1, 1_000_000)),
  probe_interval_ms: v.exactOptional(integer(100, HOUR_MS)),
  probe_timeout_ms: v.exactOptional(integer(10, 60_000)),
  probe_path: v.exactOptional(probePath),
  probe_status: v.exactOptional(integer(200, 599)),
  probe_up: v.exactOptional(integer(1, 100)),
  probe_down: v.exactOptional(integer(1, 100)),
  eject_after: v.exactOptional(integer(0, 1_000_000)),
  eject_slower_than_ms: v.exactOptional(integer(1, HOUR_MS)),
  eject_ms: v.exactOptional(integer(100, HOUR_MS)),
  eject_max_ms: v.exactOptional(integer(100, DAY_MS)),
  eject_share_max: v.exactOptional(share),
  slow_start_ms: v.exactOptional(integer(0, HOUR_MS)),
};

const USUAL: RoutePolicy = {
  rewriteHost: false,
  allDownStatus: 503,
  connectTimeoutMs: 1_000,
  responseTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  tunnelIdleMs: HOUR_MS,
  inFlightMax: 10_000,
  probeIntervalMs: 1_000,
  probeTimeoutMs: 1_000,
  probeStatus: 200,
  probeUp: 1,
  probeDown: 2,
  ejectAfter: 5,
  ejectMs: 10_000,
  ejectMaxMs: 300_000,
  ejectShareMax: 0.5,
  slowStartMs: 0,
};

/** In the order in which people are shown them. */
export const ROUTE_POLICY_FIELDS = Object.keys(policyFields);
const FIELDS = ROUTE_POLICY_FIELDS.join(', ');

/** Of every route. */
export const routeDefaults = v.pipe(
  object,
  v.strictObject(policyFields, `is not part of a route's policy (${FIELDS})`),
  v.transform((policy) => toCamelKeys(policy) satisfies Partial<RoutePolicy>),
);

const ROUTES_MESSAGE = `must be a list of at most ${ROUTES_MAX} routes`;
const route = v.pipe(
  object,
  v.strictObject(
    { host: v.exactOptional(host), path: v.optional(path, '/'), targets: targetList(target, 1), ...policyFields },
    `is not part of a route (host, path, targets, ${FIELDS})`,
  ),
);
type OwnRoute = v.InferOutput<typeof route>;

const keyOf = (of: Pick<OwnRoute, 'host' | 'path'>) => `${of.host ?? ''}${of.path}`;

export const routes = v.pipe(
  v.array(route, ROUTES_MESSAGE),
  v.maxLength(ROUTES_MAX, ROUTES_MESSAGE),
  v.check((list) => new Set(list.map(keyOf)).size === list.length, 'has two routes of one host and path'),
  v.check(
    (list) => list.reduce((count, one) => count + one.targets.length, 0) <= ALL_TARGETS_MAX,
    `names more than ${ALL_TARGETS_MAX} targets in all`,
  ),
);

/** `routes` with what they leave unsaid, and `targets` as the route of whatever no other one is for. */
export function wholeRoutes(
  own: readonly OwnRoute[],
  defaults: Partial<RoutePolicy>,
  forAll: readonly TargetSettings[],
): Route[] {
  const whole = own.map(({ targets: list, host: of, path: below, ...policy }): Route => {
    const merged = { ...USUAL, ...defaults, ...toCamelKeys(policy) };
    const place = { name: keyOf({ ...(of !== undefined && { host: of }), path: below }), path: below, targets: list };
    return { ...place, ...(of !== undefined && { host: of }), policy: merged };
  });
  const rest = { name: '/', path: '/', targets: forAll, policy: { ...USUAL, ...defaults } };
  return forAll.length === 0 ? whole : [...whole, rest];
}

const PROXY_MESSAGE = 'must be an IP address, or a network like 10.0.0.0/8';
const proxy = v.pipe(
  v.string(PROXY_MESSAGE),
  v.check((written) => addNetwork(new BlockList(), written), PROXY_MESSAGE),
);
const PROXIES_MESSAGE = `must be a list of at most ${PROXIES_MAX} addresses and networks`;
export const trustedProxies = v.pipe(v.array(proxy, PROXIES_MESSAGE), v.maxLength(PROXIES_MAX, PROXIES_MESSAGE));

/** The list that node looks addresses up in. */
export function networkList(written: readonly string[]): BlockList {
  const list = new BlockList();
  for (const one of written) addNetwork(list, one);
  return list;
}

function addNetwork(list: BlockList, written: string): boolean {
  const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(written) ?? [];
  const version = isIP(address);
  const bits = prefix === undefined ? undefined : Number(prefix);
  if (version === 0 || (bits !== undefined && bits > (version === 4 ? 32 : 128))) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, bits, family);
  return true;
}
