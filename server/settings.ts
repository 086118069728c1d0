/**
 * Every setting, once: the table from which flags, variables, the file's keys, `--help`, defaults and the type of the
 * configuration all come. A setting named `data_dir` is the flag `--data-dir`, the variable `LEASEHOLD_DATA_DIR` and the
 * file's key `data_dir`; in code it is `config.dataDir`. Relative paths are relative to where the process was started.
 */
import { isIP, isIPv4 } from 'node:net';
import * as v from 'valibot';
import { TTL_MAX_MS } from '../protocol/limits.ts';
import { addressHealth } from './address-health-settings.ts';
import { CAPACITY_MAX, RATE_PER_SEC_MAX } from './clients/token-bucket.ts';
import { FORWARD_SETTINGS } from './forward-settings.ts';
import type { Route } from './gateway/route.ts';
import { type ResourcePolicy, wholePolicy } from './lease/policy.ts';
import { resourceDefaults, resources } from './policy-settings.ts';
import { CDN_HOST_EXPECTED, isCdnHost } from './redirects/cdn-host.ts';
import { routeDefaults, routes, targets, trustedProxies, wholeRoutes } from './route-settings.ts';
import { type CamelKeys, integer, number, oneOf, text } from './setting-schemas.ts';

/** How the text of a flag or variable becomes the value that the file would hold. */
export type SettingKind = 'text' | 'integer' | 'number' | 'boolean' | 'list' | 'json';

export interface Setting<Schema extends v.GenericSchema = v.GenericSchema> {
  readonly kind: SettingKind;
  readonly schema: Schema;
  /** One line for `--help`. */
  readonly meaning: string;
  /** Why there is no flag. */
  readonly noFlag?: string;
  /** The file can't hold it. */
  readonly noFile?: true;
  /** No message shows its value. */
  readonly secret?: true;
}

const PATH_LENGTH_MAX = 4_096;
const KEY_LENGTH_MAX = 256;
const ORIGINS_MAX = 100;
/** Where it has something to do and nobody says where. */
const REVERSE_PORT = 8_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const KIB = 1_024;
const MIB = 1_024 * KIB;
const GIB = 1_024 * MIB;

const HOST_MESSAGE = 'must be an IP address or a host name';
const host = v.pipe(v.string(HOST_MESSAGE), v.check(isHost, HOST_MESSAGE));
const port = integer(0, 65_535);
const CDN_HOST_MESSAGE = `must be ${CDN_HOST_EXPECTED}`;
const cdnHost = v.pipe(v.string(CDN_HOST_MESSAGE), v.check(isCdnHost, CDN_HOST_MESSAGE));
const flag = v.boolean('must be true or false');

const ORIGIN_MESSAGE = 'must be an origin as browsers send it, like https://app.example.com';
const origin = v.pipe(v.string(ORIGIN_MESSAGE), v.check(isOrigin, ORIGIN_MESSAGE));
const ORIGINS_MESSAGE = `must be a list of at most ${ORIGINS_MAX} origins`;
const origins = v.pipe(v.array(origin, ORIGINS_MESSAGE), v.maxLength(ORIGINS_MAX, ORIGINS_MESSAGE));

const KEY_MESSAGE = `must be 1 to ${KEY_LENGTH_MAX} visible ASCII characters without spaces`;
const key = v.pipe(
  v.string(KEY_MESSAGE),
  v.regex(/^[\x21-\x7e]+$/, KEY_MESSAGE),
  v.maxLength(KEY_LENGTH_MAX, KEY_MESSAGE),
);

// ---- the table

function setting<const Schema extends v.GenericSchema>(
  kind: SettingKind,
  schema: Schema,
  meaning: string,
  rest: Pick<Setting, 'noFlag' | 'noFile' | 'secret'> = {},
): Setting<Schema> {
  return { kind, schema, meaning, ...rest };
}

const path = text(PATH_LENGTH_MAX);
const TRANSPORTS = ['auto', 'uws', 'ws'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export const SETTINGS = {
  config: setting('text', v.exactOptional(path), 'JSON file of settings; flags and variables come before it', {
    noFile: true,
  }),
  host: setting('text', v.optional(host, '127.0.0.1'), 'Where collectors connect'),
  port: setting('integer', v.optional(port, 7_400), 'Port of the WebSocket listener; 0: any free one'),
  admin_host: setting(
    'text',
    v.optional(host, '127.0.0.1'),
    'Where the HTTP API listens; not loopback: needs admin_key',
  ),
  admin_port: setting('integer', v.optional(port, 7_401), 'Port of the HTTP API; 0: any free one'),
  admin_key: setting('text', v.exactOptional(key), 'First operator key of the HTTP API', {
    noFlag: 'a flag shows in the list of processes: set LEASEHOLD_ADMIN_KEY, or admin_key in the file',
    secret: true,
  }),
  tls_cert: setting(
    'text',
    v.exactOptional(path),
    'PEM file: certificate chain of the WebSocket listener; SIGHUP reloads',
  ),
  tls_key: setting('text', v.exactOptional(path), 'PEM file: its key, not encrypted'),
  admin_tls_cert: setting('text', v.exactOptional(path), 'PEM file: certificate chain of the HTTP API'),
  admin_tls_key: setting('text', v.exactOptional(path), 'PEM file: its key'),
  data_dir: setting('text', v.optional(path, 'snapshots'), 'Folder of snapshots and deltas'),
  pool: setting('text', v.exactOptional(path), 'JSON file of address records, taken in at start'),
  pool_replace: setting('boolean', v.optional(flag, false), 'Remove the addresses that the pool file no longer has'),
  transport: setting('text', v.optional(oneOf(TRANSPORTS), 'auto'), 'auto (uws where it loads, or else ws), uws or ws'),
  log_level: setting('text', v.optional(oneOf(LOG_LEVELS), 'info'), LOG_LEVELS.join(', ')),
  heartbeat_ms: setting('integer', v.optional(integer(100, MINUTE_MS), 10_000), 'Time between pings; two missed: gone'),
  hello_timeout_ms: setting(
    'integer',
    v.optional(integer(100, MINUTE_MS), 10_000),
    'Time in which a socket says hello',
  ),
  resume_window_max_ms: setting('integer', v.optional(integer(0, DAY_MS), 300_000), 'Longest resume window granted'),
  notice_ms: setting(
    'integer',
    v.exactOptional(integer(0, TTL_MAX_MS)),
    'Lead of `expiring` before expiry; unset: a third of the TTL, at most 5 s',
  ),
  drain_ms: setting('integer', v.optional(integer(0, 10 * MINUTE_MS), 1_000), 'Time for sessions to leave at shutdown'),
  api_keys: setting('boolean', v.optional(flag, false), 'Nobody without an API key is served'),
  rate_capacity: setting(
    'integer',
    v.exactOptional(integer(1, CAPACITY_MAX)),
    'Requests that a client may have saved up, if it has no limit of its own',
  ),
  rate_per_sec: setting(
    'number',
    v.exactOptional(number(0, RATE_PER_SEC_MAX)),
    'Requests a second that a client gets back, with rate_capacity',
  ),
  sessions_max: setting('integer', v.optional(integer(1, 1_000_000), 50_000), 'Sessions at one time'),
  sessions_per_client_max: setting(
    'integer',
    v.exactOptional(integer(1, 1_000_000)),
    'Sessions at one time of a client with a key; unset: as many as there may be',
  ),
  sockets_per_ip_max: setting(
    'integer',
    v.optional(integer(1, 1_000_000), 25_000),
    'WebSockets at one time from one IP, of IPv6 from one /64',
  ),
  http_connections_max: setting(
    'integer',
    v.optional(integer(1, 1_000_000), 10_000),
    'Connections to the HTTP API at one time',
  ),
  http_connections_per_ip_max: setting('integer', v.optional(integer(1, 1_000_000), 5_000), 'The same from one IP'),
  gateway_host: setting('text', v.optional(host, '127.0.0.1'), 'Where the parts of the gateway listen'),
  reverse_port: setting(
    'integer',
    v.exactOptional(port),
    `Port of the reverse proxy; 0: any free one; unset: ${REVERSE_PORT} if it has targets or routes`,
  ),
  forward_port: setting('integer', v.exactOptional(port), 'Port of the forward proxy over leases; unset: none'),
  redirect_port: setting('integer', v.exactOptional(port), 'Port of the redirect balancer; unset: none'),
  targets: setting(
    'list',
    v.optional(targets, []),
    'Where the reverse proxy sends what no route is for: host:port or URLs',
  ),
  routes: setting('json', v.optional(routes, []), 'Routes of the reverse proxy by host and path: see .env.example'),
  route_defaults: setting(
    'json',
    v.optional(routeDefaults, {}),
    'Of every route, {"strategy": "least_connections"}: see .env.example',
  ),
  trusted_proxies: setting(
    'list',
    v.optional(trustedProxies, []),
    'IPs, networks of proxies in front whose X-Forwarded-* are believed',
  ),
  ...FORWARD_SETTINGS,
  cdn_host: setting('text', v.optional(cdnHost, 'cdn.example.com'), 'Where redirects lead to at first; then by API'),
  distribution_rate: setting(
    'integer',
    v.optional(integer(1, Number.MAX_SAFE_INTEGER), 10),
    'One redirect of so many leads to the origin at first; then by API',
  ),
  address_health: setting(
    'json',
    v.optional(addressHealth, {}),
    'Probes of pool addresses, {"type": "tcp"}: see .env.example',
  ),
  outbox_bytes_max: setting(
    'integer',
    v.optional(integer(64 * KIB, GIB), MIB),
    'Bytes waiting for a slow collector before its socket is closed',
  ),
  allowed_origins: setting('list', v.optional(origins, []), 'Origins of web pages that may connect'),
  resources_max: setting('integer', v.optional(integer(1, 10_000), 50), 'Distinct resources'),
  segment_bytes: setting(
    'integer',
    v.optional(v.pipe(integer(4 * MIB, 256 * MIB), v.multipleOf(512, 'must be a multiple of 512')), 16 * MIB),
    'Bytes of one delta file',
  ),
  snapshot_bytes: setting(
    'integer',
    v.optional(integer(MIB, 64 * GIB), 64 * MIB),
    'Bytes of deltas between snapshots; fewer where a start would take long',
  ),
  snapshot_age_ms: setting(
    'integer',
    v.optional(integer(1_000, 7 * DAY_MS), HOUR_MS),
    'Time between snapshots where less is written',
  ),
  snapshots_kept: setting(
    'integer',
    v.optional(integer(2, 1_000), 2),
    'Snapshots kept, with the deltas since the oldest: more than two to look back',
  ),
  resource_defaults: setting(
    'json',
    v.optional(resourceDefaults, {}),
    'Policy of every resource, {"max_leases": 5, "ban_ms": 60000}: see .env.example',
  ),
  resources: setting('json', v.optional(resources, {}), 'Policies by resource id: {"7": {"max_leases": 1}}'),
};

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The one schema of the whole configuration, as the file holds it. */
export const settingsSchema = v.object(
  Object.fromEntries(Object.entries(SETTINGS).map(([name, { schema }]) => [name, schema])) as {
    [Name in SettingName]: (typeof SETTINGS)[Name]['schema'];
  },
);

type OwnConfig = CamelKeys<v.InferOutput<typeof settingsSchema>>;

export interface Config
  extends Omit<OwnConfig, 'resourceDefaults' | 'resources' | 'targets' | 'routes' | 'routeDefaults'> {
  readonly resourceDefaults: ResourcePolicy;
  /** Whole policies: what a resource doesn't say of itself is as in `resourceDefaults`. */
  readonly resources: ReadonlyMap<number, ResourcePolicy>;
  /** Whole routes, `targets` among them as that of whatever no other one is for. */
  readonly routes: readonly Route[];
}

export function withWholePolicies({ targets, routeDefaults, ...config }: OwnConfig): Config {
  const whole = Array.from(config.resources, ([id, own]) => [id, wholePolicy(config.resourceDefaults, own)] as const);
  const own = wholeRoutes(config.routes, routeDefaults, targets);
  const listens = own.length > 0 && config.reversePort === undefined ? { reversePort: REVERSE_PORT } : {};
  return { ...config, ...listens, resources: new Map(whole), routes: own };
}

/** The table's row by name, with the types of the rows forgotten. */
export function settingOf(name: SettingName): Setting {
  return SETTINGS[name];
}

/** The default as a variable would spell it; empty where there is none. */
export function defaultText(name: SettingName): string {
  const value: unknown = v.getDefault(settingOf(name).schema);
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  return settingOf(name).kind === 'list' && Array.isArray(value) ? value.join(',') : JSON.stringify(value);
}

/** Whether only this machine can reach a listener on `listenHost`. What it doesn't know counts as reachable. */
export function isLoopback(listenHost: string): boolean {
  const lower = listenHost.toLowerCase();
  return lower === 'localhost' || lower === '::1' || (isIPv4(lower) && lower.startsWith('127.'));
}

function isHost(value: string): boolean {
  if (isIP(value) !== 0) return true;
  const isName = /^(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/i.test(value) && value.length <= 253;
  return isName && !/^[\d.]+$/.test(value);
}

function isOrigin(value: string): boolean {
  return /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value;
}
