/** How the health of pool addresses is looked after, as the setting `address_health` writes it: fields in snake_case. */
import * as v from 'valibot';
import { integer, number, oneOf, text, toCamelKeys } from './setting-schemas.ts';

const DAY_MS = 86_400_000;
const STREAK_MAX = 1_000;
/** Less than the SOCKS handshake gives itself. */
const TIMEOUT_MAX_MS = 25_000;

const URL_LENGTH_MAX = 2_048;
const URL_MESSAGE = 'must be an http or https URL without credentials or a fragment';
const url = v.pipe(text(URL_LENGTH_MAX), v.check(isProbeUrl, URL_MESSAGE));
const STATUSES_MESSAGE = 'must be a list of 1 to 100 statuses';
const statuses = v.pipe(
  v.array(integer(200, 599), STATUSES_MESSAGE),
  v.minLength(1, STATUSES_MESSAGE),
  v.maxLength(100, STATUSES_MESSAGE),
);
const LATENCY = integer(1, 600_000);

const fields = {
  type: v.exactOptional(oneOf(['tcp', 'http'])),
  url: v.exactOptional(url),
  expect: v.exactOptional(statuses),
  interval_ms: v.optional(integer(100, DAY_MS), 30_000),
  jitter: v.optional(number(0, 0.5), 0.1),
  timeout_ms: v.optional(integer(10, TIMEOUT_MAX_MS), 5_000),
  concurrency_max: v.optional(integer(1, 10_000), 100),
  up: v.optional(integer(1, STREAK_MAX), 2),
  down: v.optional(integer(1, STREAK_MAX), 3),
  traffic_down: v.optional(integer(1, STREAK_MAX), 5),
  latency_max_ms: v.exactOptional(LATENCY),
  ejection_ms: v.optional(integer(100, DAY_MS), 30_000),
  ejection_max_ms: v.optional(integer(100, DAY_MS), 300_000),
  unhealthy_share_max: v.optional(number(0, 1), 0.5),
};

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

export const ADDRESS_HEALTH_FIELDS = Object.keys(fields);

/** `{}`: nobody is probed. */
export const addressHealth = v.pipe(
  v.unknown(),
  // An empty list would pass for an empty object.
  v.check(isObject, 'must be an object'),
  v.strictObject(fields, `is not part of it (${ADDRESS_HEALTH_FIELDS.join(', ')})`),
  v.forward(
    v.check(({ type, url: asked }) => type !== 'http' || asked !== undefined, 'is needed where type is http'),
    ['url'],
  ),
  v.forward(
    v.check(({ type, url: asked }) => type === 'http' || asked === undefined, 'is only for type http'),
    ['url'],
  ),
  v.forward(
    v.check(({ type, expect }) => type === 'http' || expect === undefined, 'is only for type http'),
    ['expect'],
  ),
  v.transform((given) => toCamelKeys(given)),
);

function isProbeUrl(value: string): boolean {
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return false;
  const { username, password, hash, port } = new URL(value);
  return username === '' && password === '' && hash === '' && port !== '0';
}
