/**
 * Policies of resources as settings write them: flat objects of the fields of lease/policy.ts in snake_case. What a
 * resource doesn't say of itself is as in `resource_defaults`, field by field, and `cooldown_ms` kind by kind.
 */
import * as v from 'valibot';
import { LEASE_ENDS, STRATEGIES } from '../protocol/codes.ts';
import { TTL_MAX_MS, TTL_MIN_MS } from '../protocol/limits.ts';
import { wholeWhereSchema } from '../protocol/where.ts';
import type { ResourcePolicy } from './lease/policy.ts';
import { integer, oneOf, toCamelKeys, toSnakeCase } from './setting-schemas.ts';

const DAY_MS = 86_400_000;
/** Longest that one cool-down, ban or decay of a ban's level may be set to. */
const REST_MAX_MS = 30 * DAY_MS;
/** As many resources as `resources_max` may allow. */
const RESOURCES_MAX = 10_000;
const SLOW_INTERVAL_MAX_MS = 3_600_000;

/** Comes before a schema of an object, which would take an empty list for an empty object. */
function object(message = 'must be an object') {
  return v.pipe(v.unknown(), v.check(isObject, message));
}

const ttl = integer(TTL_MIN_MS, TTL_MAX_MS);
const rest = integer(0, REST_MAX_MS);
const ban = integer(1, REST_MAX_MS);

type Cooldown = NonNullable<ResourcePolicy['cooldownMs']>;
const KINDS = LEASE_ENDS.join(', ');
const COOLDOWN_MESSAGE = `must be an integer from 0 to ${REST_MAX_MS}, or an object of such by kind of end (${KINDS})`;
const cooldownForAll = v.pipe(
  v.number(COOLDOWN_MESSAGE),
  rest,
  v.transform((ms): Cooldown => Object.fromEntries(LEASE_ENDS.map((end) => [end, ms]))),
);
const cooldownByEnd = v.pipe(
  v.strictObject(v.entriesFromList(LEASE_ENDS, v.exactOptional(rest)), `is no kind of end (${KINDS})`),
  v.transform((byEnd): Cooldown => byEnd),
);
const cooldown = v.lazy((value) => (isObject(value) ? cooldownByEnd : cooldownForAll));

const SHARE_MESSAGE = 'must be a number above 0 and below 1';
const share = v.pipe(v.number(SHARE_MESSAGE), v.gtValue(0, SHARE_MESSAGE), v.ltValue(1, SHARE_MESSAGE));

const optionalFields = {
  max_leases: v.exactOptional(integer(1, Number.MAX_SAFE_INTEGER)),
  max_leases_per_client: v.exactOptional(integer(1, Number.MAX_SAFE_INTEGER)),
  where: v.exactOptional(wholeWhereSchema),
  strategy: v.exactOptional(oneOf(STRATEGIES)),
  cooldown_ms: v.exactOptional(cooldown),
  handover: v.exactOptional(oneOf(['fast', 'safe'])),
  ban_ms: v.exactOptional(ban),
  ban_max_ms: v.exactOptional(ban),
  ban_decay_ms: v.exactOptional(ban),
  ban_address_after: v.exactOptional(integer(1, RESOURCES_MAX)),
  slow_share: v.exactOptional(share),
  slow_interval_ms: v.exactOptional(integer(1, SLOW_INTERVAL_MAX_MS)),
  revoke_deadline_ms: v.exactOptional(integer(0, TTL_MAX_MS)),
};

/** In the order in which people are shown them. */
export const POLICY_FIELDS = ['ttl_min_ms', 'ttl_max_ms', ...Object.keys(optionalFields)];
const NO_FIELD_MESSAGE = `is not part of a policy (${POLICY_FIELDS.join(', ')})`;

/** Of every resource. */
export const resourceDefaults = v.pipe(
  object(),
  v.strictObject(
    { ttl_min_ms: v.optional(ttl, TTL_MIN_MS), ttl_max_ms: v.optional(ttl, TTL_MAX_MS), ...optionalFields },
    NO_FIELD_MESSAGE,
  ),
  v.transform((policy) => toCamelKeys(policy) satisfies ResourcePolicy),
);

/** Of one resource, where it differs. */
export const ownPolicy = v.pipe(
  object(),
  v.strictObject(
    { ttl_min_ms: v.exactOptional(ttl), ttl_max_ms: v.exactOptional(ttl), ...optionalFields },
    NO_FIELD_MESSAGE,
  ),
  v.transform((policy) => toCamelKeys(policy) satisfies Partial<ResourcePolicy>),
);

/** The same as plain schemas: what an API describes, and checks before `ownPolicy` makes of it what we go by. */
export const policyEntries = {
  ttl_min_ms: v.exactOptional(ttl),
  ttl_max_ms: v.exactOptional(ttl),
  ...optionalFields,
  cooldown_ms: v.exactOptional(
    v.union([rest, v.strictObject(v.entriesFromList(LEASE_ENDS, v.exactOptional(rest)))], COOLDOWN_MESSAGE),
  ),
};

/** As settings write it. */
export function policyShown(policy: Partial<ResourcePolicy>): Record<string, unknown> {
  const entries = Object.entries(policy).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [toSnakeCase(name), value]));
}

const ID_MESSAGE = 'must have positive integers as keys, the ids of resources';
const resourceId = v.pipe(
  v.string(),
  v.check((id) => /^[1-9]\d*$/.test(id) && Number.isSafeInteger(Number(id)), ID_MESSAGE),
);
export const resources = v.pipe(
  object('must be an object from resource ids to policies'),
  v.record(resourceId, ownPolicy),
  v.transform((policies) => new Map(Object.entries(policies).map(([id, policy]) => [Number(id), policy]))),
);

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
