/**
 * Every frame of the wire: one schema, one type each. PROTOCOL.md says what they mean.
 *
 * Frames from a collector are strict (an unknown field is an error that names it: a misspelt `where` must not lease
 * just any address). Frames from the coordinator may gain fields; a reader passes over those it doesn't know.
 */
import * as v from 'valibot';
import {
  ERROR_CODES,
  LEASE_ENDS,
  type OpenWord,
  OUTCOMES,
  PAIR_STATES,
  REFUSED_REASONS,
  STRATEGIES,
  type Strategy,
} from './codes.ts';
import { type FrameFault, fieldFault, issueFault } from './frame-fault.ts';
import { COUNT_MAX, NAME_LENGTH_MAX, RENEW_LEASES_MAX, REQUESTS_MAX, WAIT_MS_MAX } from './limits.ts';
import { type Where, whereFault, whereSchema } from './where.ts';

/** Exact in every language: at most 53 bits. */
const isExact = v.safeInteger<number, (issue: v.SafeIntegerIssue<number>) => string>(
  (issue) => `Invalid integer: Received ${issue.received}`,
);
const integer = v.pipe(v.number(), isExact);
const natural = v.pipe(v.number(), isExact, v.minValue(0));
const positive = v.pipe(v.number(), isExact, v.minValue(1));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_LENGTH_MAX));
/** A fencing token: an integer that fits 53 bits. Integers, uint64 and float64 are taken by value. */
const token = positive;

// ---- collector → coordinator

const id = natural;

export const helloSchema = v.strictObject({
  type: v.literal('hello'),
  id,
  protocol: natural,
  client: v.exactOptional(name),
  api_key: v.exactOptional(name),
  resume_window_ms: v.exactOptional(natural),
  notice_ms: v.exactOptional(natural),
  batch: v.exactOptional(v.boolean()),
  resume: v.exactOptional(v.strictObject({ session: name, secret: name })),
});

/** Of `acquire` and of `explain`, whatever carries them. */
export const acquireFields = {
  id,
  resource: positive,
  ttl_ms: positive,
  where: v.exactOptional(whereSchema),
  strategy: v.exactOptional(v.picklist(STRATEGIES)),
  sticky: v.exactOptional(name),
  wait_ms: v.exactOptional(v.pipe(natural, v.maxValue(WAIT_MS_MAX))),
  count: v.exactOptional(v.pipe(positive, v.maxValue(COUNT_MAX))),
  key: v.exactOptional(name),
};

/** `sticky` alone stands for its strategy; beside another one it would go for nothing. */
export function stickyAgrees({ strategy, sticky }: { strategy?: Strategy; sticky?: string }): boolean {
  return sticky === undefined ? strategy !== 'sticky' : (strategy ?? 'sticky') === 'sticky';
}
export const STICKY_MESSAGE = 'the strategy sticky goes by it, and no other does';

export const acquireSchema = v.pipe(
  v.strictObject({ type: v.literal('acquire'), ...acquireFields }),
  v.forward(
    v.check((frame) => stickyAgrees(frame), STICKY_MESSAGE),
    ['sticky'],
  ),
);
export const explainSchema = v.pipe(
  v.strictObject({ type: v.literal('explain'), ...acquireFields }),
  v.forward(
    v.check((frame) => stickyAgrees(frame), STICKY_MESSAGE),
    ['sticky'],
  ),
);
export const cancelSchema = v.strictObject({ type: v.literal('cancel'), id, request: natural });

export const renewSchema = v.pipe(
  v.strictObject({
    type: v.literal('renew'),
    id,
    lease: v.exactOptional(token),
    leases: v.exactOptional(v.pipe(v.array(token), v.minLength(1), v.maxLength(RENEW_LEASES_MAX))),
    ttl_ms: v.exactOptional(positive),
  }),
  v.forward(
    v.check((frame) => (frame.lease === undefined) !== (frame.leases === undefined), 'give either lease or leases'),
    ['lease'],
  ),
);

const settleFields = {
  id,
  lease: token,
  outcome: v.exactOptional(v.picklist(OUTCOMES)),
  /** The lease's total so far, not a difference. */
  requests: v.exactOptional(v.pipe(natural, v.maxValue(REQUESTS_MAX))),
};
export const releaseSchema = v.strictObject({ type: v.literal('release'), ...settleFields });
export const reportSchema = v.strictObject({ type: v.literal('report'), ...settleFields });

export const countSchema = v.strictObject({
  type: v.literal('count'),
  id,
  counter: name,
  by: integer,
  key: v.exactOptional(name),
});
export const pingSchema = v.strictObject({ type: v.literal('ping'), id });
export const byeSchema = v.strictObject({ type: v.literal('bye'), id: v.exactOptional(id) });

const collectorSchemas = {
  hello: helloSchema,
  acquire: acquireSchema,
  explain: explainSchema,
  cancel: cancelSchema,
  renew: renewSchema,
  release: releaseSchema,
  report: reportSchema,
  count: countSchema,
  ping: pingSchema,
  bye: byeSchema,
} as const;

export type HelloFrame = v.InferOutput<typeof helloSchema>;
export type AcquireFrame = v.InferOutput<typeof acquireSchema>;
export type ExplainFrame = v.InferOutput<typeof explainSchema>;
export type CancelFrame = v.InferOutput<typeof cancelSchema>;
export type RenewFrame = v.InferOutput<typeof renewSchema>;
export type ReleaseFrame = v.InferOutput<typeof releaseSchema>;
export type ReportFrame = v.InferOutput<typeof reportSchema>;
export type CountFrame = v.InferOutput<typeof countSchema>;
export type CollectorFrame = {
  [Type in keyof typeof collectorSchemas]: v.InferOutput<(typeof collectorSchemas)[Type]>;
}[keyof typeof collectorSchemas];

// ---- coordinator → collector

/** One of `words`, or a later version's: a reader that doesn't know a word must still read the frame. */
function openWord<const Words extends readonly string[]>(_words: Words) {
  return v.string() as v.GenericSchema<OpenWord<Words[number]>>;
}

/** A pool record as it is kept and returned: the known fields and whatever else it carries. */
export const addressRecordSchema = v.looseObject({
  address: v.string(),
  country: v.string(),
  rpw: natural,
  resource_ids: v.array(positive),
});
export type AddressRecord = v.InferOutput<typeof addressRecordSchema>;

const grantFields = {
  lease: token,
  resource: positive,
  address: addressRecordSchema,
  /** TTL as granted; in `welcome` what remains of it. */
  ttl_ms: natural,
  clamped: v.exactOptional(v.boolean()),
  waited_ms: v.exactOptional(natural),
};
export const grantSchema = v.object(grantFields);
export type Grant = v.InferOutput<typeof grantSchema>;

export const whySchema = v.object({
  /** Addresses that serve the resource and meet the condition, by pair state; one with none may be absent. */
  states: v.object(v.entriesFromList(PAIR_STATES, v.exactOptional(natural))),
  /** Addresses that serve the resource and don't meet the condition. */
  excluded: natural,
  /** The soonest time one may come free, from now. */
  soonest_ms: v.exactOptional(natural),
  /** Path of the single part of the condition that, dropped, would have given an address. */
  relax: v.exactOptional(v.string()),
  /** The bound that was reached, where one was. */
  max_leases: v.exactOptional(natural),
  max_leases_per_client: v.exactOptional(natural),
  slowed: v.exactOptional(v.boolean()),
  approximate: v.exactOptional(v.boolean()),
});
export type Why = v.InferOutput<typeof whySchema>;

export const heldSchema = v.object({
  ...grantFields,
  /** `id` of the acquire that it answered. */
  request: natural,
  key: v.exactOptional(v.string()),
  revoking: v.exactOptional(v.object({ reason: v.string(), deadline_ms: natural })),
});
export type Held = v.InferOutput<typeof heldSchema>;

export const endedSchema = v.object({
  lease: token,
  resource: positive,
  end: openWord(LEASE_ENDS),
  reason: v.exactOptional(v.string()),
});
export type Ended = v.InferOutput<typeof endedSchema>;

export const waitingSchema = v.object({ request: natural, key: v.exactOptional(v.string()), position: positive });
export type Waiting = v.InferOutput<typeof waitingSchema>;

export const sessionLimitsSchema = v.object({
  frame_bytes_max: natural,
  message_bytes_max: natural,
  ttl_min_ms: natural,
  ttl_max_ms: natural,
  resume_window_ms: natural,
  /** Absent: a third of each lease's TTL, at most 5 s. */
  notice_ms: v.exactOptional(natural),
});
export type SessionLimits = v.InferOutput<typeof sessionLimitsSchema>;

export const welcomeSchema = v.object({
  type: v.literal('welcome'),
  id,
  session: v.string(),
  secret: v.string(),
  epoch: natural,
  heartbeat_ms: positive,
  resumed: v.boolean(),
  leases: v.array(heldSchema),
  waiting: v.array(waitingSchema),
  ended: v.array(endedSchema),
  limits: sessionLimitsSchema,
});
export const grantedSchema = v.union([
  v.object({ type: v.literal('granted'), id, ...grantFields }),
  v.object({ type: v.literal('granted'), id, leases: v.array(grantSchema) }),
]);
export const queuedSchema = v.object({
  type: v.literal('queued'),
  id,
  position: positive,
  estimate_ms: v.exactOptional(natural),
});
export const refusedSchema = v.object({
  type: v.literal('refused'),
  id,
  reason: openWord(REFUSED_REASONS),
  why: whySchema,
  retry_after_ms: v.exactOptional(natural),
});
export const explainedSchema = v.object({
  type: v.literal('explained'),
  id,
  would: v.picklist(['grant', 'queue', 'refuse']),
  why: whySchema,
});
/** What had been granted before the cancel and was released by it: one lease, or those of a count. */
export const cancelledSchema = v.object({
  type: v.literal('cancelled'),
  id,
  lease: v.exactOptional(token),
  leases: v.exactOptional(v.array(token)),
});
export const releasedSchema = v.object({ type: v.literal('released'), id });
export const reportedSchema = v.object({ type: v.literal('reported'), id });
const renewedOneSchema = v.object({
  type: v.literal('renewed'),
  id,
  lease: token,
  ttl_ms: natural,
  clamped: v.exactOptional(v.boolean()),
});
export const renewalSchema = v.union([
  v.object({ lease: token, ttl_ms: natural, clamped: v.exactOptional(v.boolean()) }),
  v.object({ lease: token, lost: v.literal(true) }),
]);
export const renewedSchema = v.union([
  renewedOneSchema,
  v.object({ type: v.literal('renewed'), id, leases: v.array(renewalSchema) }),
]);
export const countedSchema = v.object({
  type: v.literal('counted'),
  id,
  counter: v.string(),
  value: integer,
});
export const pongSchema = v.object({ type: v.literal('pong'), id });
export const expiringSchema = v.object({ type: v.literal('expiring'), lease: token, remaining_ms: natural });
export const expiredSchema = v.object({ type: v.literal('expired'), lease: token });
const revocationFields = {
  lease: token,
  reason: v.string(),
  deadline_ms: v.exactOptional(natural),
  substitute: v.exactOptional(grantSchema),
};
export const revokingSchema = v.object({ type: v.literal('revoking'), ...revocationFields });
export const revokedSchema = v.object({ type: v.literal('revoked'), ...revocationFields });
export const goawaySchema = v.object({
  type: v.literal('goaway'),
  deadline_ms: natural,
  reconnect_after_ms: natural,
});
export const errorSchema = v.object({
  type: v.literal('error'),
  id: v.exactOptional(id),
  code: openWord(ERROR_CODES),
  message: v.string(),
  path: v.exactOptional(v.string()),
  retry_after_ms: v.exactOptional(natural),
});
export type ErrorFrame = v.InferOutput<typeof errorSchema>;

const coordinatorSchemas = {
  welcome: welcomeSchema,
  granted: grantedSchema,
  queued: queuedSchema,
  refused: refusedSchema,
  explained: explainedSchema,
  cancelled: cancelledSchema,
  released: releasedSchema,
  reported: reportedSchema,
  renewed: renewedSchema,
  counted: countedSchema,
  pong: pongSchema,
  expiring: expiringSchema,
  expired: expiredSchema,
  revoking: revokingSchema,
  revoked: revokedSchema,
  goaway: goawaySchema,
  error: errorSchema,
} as const;

export type WelcomeFrame = v.InferOutput<typeof welcomeSchema>;
export type GrantedFrame = v.InferOutput<typeof grantedSchema>;
export type QueuedFrame = v.InferOutput<typeof queuedSchema>;
export type CoordinatorFrame = {
  [Type in keyof typeof coordinatorSchemas]: v.InferOutput<(typeof coordinatorSchemas)[Type]>;
}[keyof typeof coordinatorSchemas];

// ---- reading

export { type FrameFault, pathOf } from './frame-fault.ts';

export type Parsed<Frame> =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly fault: FrameFault };

const collectorSchemaOf = new Map<string, v.GenericSchema>(Object.entries(collectorSchemas));
const coordinatorSchemaOf = new Map<string, v.GenericSchema>(Object.entries(coordinatorSchemas));

/** A decoded value as a frame of a collector. Never throws; every fault names its place. */
export function parseCollectorFrame(value: unknown): Parsed<CollectorFrame> {
  const parsed = parseFrame(collectorSchemaOf, value) as Parsed<CollectorFrame>;
  if (!parsed.ok) return parsed;
  const { frame } = parsed;
  if ((frame.type === 'acquire' || frame.type === 'explain') && frame.where) {
    // As it was received: what the schema hands on no longer shows what it passed over.
    const fault = whereFault((value as { where: Where }).where);
    if (fault) {
      const path = fault.path === '' ? 'where' : `where.${fault.path}`;
      return { ok: false, fault: fieldFault(path, fault.message, frame.id) };
    }
  }
  return parsed;
}

/** A decoded value as a frame of the coordinator, for clients. */
export function parseCoordinatorFrame(value: unknown): Parsed<CoordinatorFrame> {
  return parseFrame(coordinatorSchemaOf, value) as Parsed<CoordinatorFrame>;
}

function parseFrame(schemas: ReadonlyMap<string, v.GenericSchema>, value: unknown): Parsed<unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    return { ok: false, fault: { code: 'bad_frame', message: 'a frame is a map' } };
  }
  const { type, id: rawId } = value as { type?: unknown; id?: unknown };
  const id = Number.isSafeInteger(rawId) && (rawId as number) >= 0 ? (rawId as number) : undefined;
  if (typeof type !== 'string') {
    return { ok: false, fault: fieldFault('type', type === undefined ? 'missing' : 'a frame names its type', id) };
  }
  const schema = schemas.get(type);
  if (!schema) {
    return { ok: false, fault: { ...fieldFault('type', `unknown type "${type}"`, id), code: 'unknown_type' } };
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { ok: true, frame: result.output };
  return { ok: false, fault: issueFault(result.issues[0], id) };
}
