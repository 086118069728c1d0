/** Who held what at a time of the past, and how it ended. */
import * as v from 'valibot';
import { assertNever } from '../../protocol/assert.ts';
import { LEASE_ENDS } from '../../protocol/codes.ts';
import { problemResponse } from '../../protocol/problems.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { parseTime, TIME_FORMATS } from '../past-time.ts';
import { type Operation, operation } from './operation.ts';
import { idSchema, invalid, nextSchema } from './requests.ts';
import { WorkLine } from './work-line.ts';

/** The state is rebuilt for each question, so pages are long, and questions few. */
const PAGE_DEFAULT = 1_000;
const PAGE_MAX = 10_000;
const WAITING_MAX = 4;
const TIME_MAX_MS = 60_000;
const RETRY_S = 10;

export interface PastQuestion {
  /** By the wall clock, ms since 1970. */
  readonly utcMs: number;
  readonly filter: {
    readonly resource: number | undefined;
    readonly address: string | undefined;
    readonly after: number | undefined;
    readonly limit: number;
  };
  /** Nothing behind it may be told. */
  readonly upToPosition: number;
}

export type PastAnswer =
  /** JSON, as `pastSchema` says. */
  | { readonly type: 'answer'; readonly text: string }
  /** The time is before what is kept; undefined: nothing is. */
  | { readonly type: 'not_kept'; readonly keptFromUtc: string | undefined }
  | { readonly type: 'damaged'; readonly message: string };

export interface HistoryOptions {
  /** Away from the event loop. Rejects soon once it is aborted. */
  readonly lookBack: (question: PastQuestion, signal: AbortSignal) => Promise<PastAnswer>;
  /** Of the last durable event. */
  readonly position: () => number;
  /** The wall clock. */
  readonly utcMs: () => number;
  readonly scheduler: Scheduler;
}

const heldSchema = v.object({
  lease: idSchema,
  resource: idSchema,
  address_id: idSchema,
  address: v.pipe(v.string(), v.description('Without its credentials.')),
  holder: v.looseObject({ kind: v.string() }),
  ttl_ms: v.number(),
  remaining_ms: v.pipe(v.number(), v.description('What was left of it then.')),
  requests: v.number(),
  granted_utc: v.pipe(v.nullable(v.string()), v.description('null: before what is kept.')),
  granted_day: v.string(),
  revoking: v.nullable(v.object({ reason: v.string(), remaining_ms: v.number() })),
  end: v.pipe(v.nullable(v.picklist(LEASE_ENDS)), v.description('null: it is still held.')),
  reason: v.nullable(v.string()),
  ended_utc: v.nullable(v.string()),
  ended_position: v.nullable(v.number()),
});

const pastSchema = v.object({
  utc: v.pipe(v.string(), v.description('The time that was asked for.')),
  position: v.pipe(v.number(), v.description('Of the last event by then.')),
  end_position: v.pipe(v.number(), v.description('Of the last event that was looked at.')),
  epoch: v.number(),
  coordinator: v.pipe(
    v.picklist(['running', 'stopped', 'ended', 'unknown', 'not_begun']),
    v.description('`unknown`: nothing was written since.'),
  ),
  since_utc: v.pipe(v.nullable(v.string()), v.description('Of what was written last before.')),
  until_utc: v.pipe(v.nullable(v.string()), v.description('Of what was written first after.')),
  clock_set_back: v.pipe(v.boolean(), v.description('The wall clock has shown the time twice; it is the later one.')),
  leases: v.array(heldSchema),
  next: nextSchema,
  faults: v.exactOptional(
    v.pipe(v.array(v.string()), v.description('Damage behind that time: how leases ended may be missing.')),
  ),
});

const LIMIT_MESSAGE = `expected a positive integer up to ${PAGE_MAX}`;

export interface History {
  readonly operations: readonly Operation[];
  /** Calls off what is being looked up. */
  close(): void;
}

export function historyRoutes(options: HistoryOptions): History {
  const { lookBack, position, utcMs: nowUtcMs, scheduler } = options;
  const line = new WorkLine({ scheduler, waitingMax: WAITING_MAX, timeMaxMs: TIME_MAX_MS });
  const lookUp = operation({
    id: 'lookBack',
    tag: 'events',
    method: 'get',
    path: '/v1/history',
    role: 'operator',
    summary: 'Says who held what at a time of the past, and how it ended.',
    description:
      'From what the data folder keeps, as `leasehold journal at` does. The state is rebuilt for each request, one at a time, ' +
      'which takes seconds where there are many leases.',
    query: {
      at: v.pipe(v.string(), v.description(`${TIME_FORMATS}.`)),
      resource: v.exactOptional(v.pipe(idSchema, v.description('Leases of this resource only.'))),
      address: v.exactOptional(
        v.pipe(v.string(), v.description('Leases of this address only: all of it, its `host:port`, or its id.')),
      ),
      after: v.exactOptional(v.pipe(idSchema, v.description('`next` of the page before.'))),
      limit: v.exactOptional(
        v.pipe(
          v.number(LIMIT_MESSAGE),
          v.safeInteger(LIMIT_MESSAGE),
          v.minValue(1, LIMIT_MESSAGE),
          v.maxValue(PAGE_MAX, LIMIT_MESSAGE),
          v.description(`Leases on a page; ${PAGE_DEFAULT} where absent.`),
        ),
      ),
    },
    answers: { 200: { description: 'One page, by rising tokens.', schema: pastSchema } },
    problems: {
      410: 'Nothing is kept from that time; `kept_from_utc` says from when on.',
      500: 'The files that lead to that time are damaged.',
      503: 'Too many ask at the same time, or the coordinator is stopping.',
      504: 'It took too long.',
    },
    handle: async ({ query, request }) => {
      const utcMs = parseTime(query.at, nowUtcMs());
      if (utcMs === undefined) return invalid('at', TIME_FORMATS);
      const { resource, address, after, limit = PAGE_DEFAULT } = query;
      const question = { utcMs, filter: { resource, address, after, limit }, upToPosition: position() };
      const result = await line.run((signal) => lookBack(question, signal), request.signal);
      switch (result.outcome) {
        case 'done':
          return responseOf(result.value);
        case 'too_many':
          return problemResponse(503, 'too many look back at the same time', {
            reason: 'too_many',
            retryAfterS: RETRY_S,
          });
        case 'too_long':
          return problemResponse(504, `it took more than ${TIME_MAX_MS / 1_000} s`, { reason: 'too_long' });
        case 'called_off':
          return problemResponse(503, 'the coordinator is stopping', { reason: 'stopping', retryAfterS: RETRY_S });
        default:
          return assertNever(result);
      }
    },
  });
  return { operations: [lookUp], close: () => line.close() };
}

function responseOf(answer: PastAnswer): Response {
  switch (answer.type) {
    case 'answer':
      return new Response(answer.text, {
        headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
      });
    case 'not_kept': {
      const { keptFromUtc } = answer;
      const message = keptFromUtc === undefined ? 'nothing is kept' : `what is kept begins at ${keptFromUtc}`;
      return problemResponse(410, `at: ${message}`, {
        reason: 'not_kept',
        path: 'at',
        ...(keptFromUtc === undefined ? {} : { kept_from_utc: keptFromUtc }),
      });
    }
    case 'damaged':
      return problemResponse(500, answer.message, { reason: 'damaged' });
    default:
      return assertNever(answer);
  }
}
