/** What the routes of every folder read requests with and answer by. */
import type { HonoRequest } from 'hono';
import * as v from 'valibot';
import { jsonCodec } from '../../protocol/codec.ts';
import type { ErrorCode } from '../../protocol/codes.ts';
import { describeIssue } from '../../protocol/frame-fault.ts';
import { NAME_LENGTH_MAX } from '../../protocol/limits.ts';
import { problemResponse } from '../../protocol/problems.ts';
import type { AnswersTo } from '../coordinator/domain.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { Caller } from './operation.ts';

/** A longer body is answered 413. */
export const BODY_BYTES_MAX = 65_536;
const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

export type ReadPart<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Response };

/**
 * The body by `schema`. What is longer is a 413, what is no JSON a 400, what the schema refuses a 422 that names the place.
 * `isOptional`: none counts as `{}`.
 */
export async function readBody<const Schema extends v.GenericSchema>(
  request: HonoRequest,
  schema: Schema,
  isOptional = false,
): Promise<ReadPart<v.InferOutput<Schema>>> {
  const text = await readText(request);
  if (text === undefined)
    return { ok: false, problem: problemResponse(413, `a body has at most ${BODY_BYTES_MAX} bytes`) };
  const decoded = text === '' && isOptional ? EMPTY : jsonCodec.decode(text);
  if (!decoded.ok) return { ok: false, problem: problemResponse(400, decoded.message) };
  const { value } = decoded;
  // An empty list would pass for an object without fields.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, problem: problemResponse(422, 'the body must be an object') };
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return { ok: true, value: parsed.output };
  const { path, message } = describeIssue(parsed.issues[0]);
  return {
    ok: false,
    problem: problemResponse(422, path === '' ? message : `${path}: ${message}`, path === '' ? {} : { path }),
  };
}

const EMPTY = { ok: true, value: {} } as const;

/** undefined: longer than a body may be; what is beyond the bound is not kept. */
async function readText(request: HonoRequest): Promise<string | undefined> {
  if (Number(request.header('content-length') ?? 0) > BODY_BYTES_MAX) return undefined;
  const { body } = request.raw;
  if (!body) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** An id in a path, a query or a body. */
export const idSchema = v.pipe(
  v.number('expected a positive integer'),
  v.safeInteger('expected a positive integer'),
  v.minValue(1, 'expected a positive integer'),
);

/** One page of what is listed by rising ids. */
export interface Page {
  /** Nothing up to this id. */
  readonly after: number;
  readonly limit: number;
}

const LIMIT_MESSAGE = `expected a positive integer up to ${PAGE_MAX}`;
const limit = v.exactOptional(
  v.pipe(
    v.number(LIMIT_MESSAGE),
    v.safeInteger(LIMIT_MESSAGE),
    v.minValue(1, LIMIT_MESSAGE),
    v.maxValue(PAGE_MAX, LIMIT_MESSAGE),
    v.description(`Entries on a page; ${PAGE_DEFAULT} where absent.`),
  ),
);

/** Of an operation that lists by rising ids. */
export const pageQuery = {
  after: v.exactOptional(v.pipe(idSchema, v.description('`next` of the page before.'))),
  limit,
};

/** The same of what is listed by names. */
export const namePageQuery = {
  after: v.exactOptional(v.pipe(v.string(), v.description('`next` of the page before.'))),
  limit,
};

export function pageOf({
  after = 0,
  limit: most = PAGE_DEFAULT,
}: {
  readonly after?: number;
  readonly limit?: number;
}): Page {
  return { after, limit: most };
}

/** `next` of an answer. */
export const nextSchema = v.exactOptional(
  v.pipe(v.number(), v.description('Ask for `after` this; absent: there is no more.')),
);

/** The same of a page by names. */
export const nextNameSchema = v.exactOptional(
  v.pipe(v.string(), v.description('Ask for `after` this; absent: there is no more.')),
);

/** What every 4xx and 5xx is answered with. */
export const problemSchema = v.pipe(
  v.looseObject({
    type: v.string(),
    title: v.string(),
    status: v.number(),
    code: v.pipe(v.number(), v.description('The status once more.')),
    message: v.pipe(v.string(), v.description('For people.')),
    reason: v.exactOptional(v.pipe(v.string(), v.description('A word for it, where there is one.'))),
    path: v.exactOptional(v.pipe(v.string(), v.description('The part of the request that it is about.'))),
  }),
  v.description('RFC 9457, application/problem+json.'),
);

const KEY_HEADER = 'Idempotency-Key';
export const keyHeader = {
  [KEY_HEADER]: v.exactOptional(
    v.pipe(
      v.string(),
      v.minLength(1),
      v.maxLength(NAME_LENGTH_MAX),
      v.description('Of a client with an API key: the same key gives the same answer, so a request may be repeated.'),
    ),
  ),
};

/** The key that makes a request idempotent, or why it is not taken. */
export function idempotencyKey(
  headers: { readonly [KEY_HEADER]?: string },
  caller: Caller,
): { readonly key?: string; readonly problem?: Response } {
  const key = headers[KEY_HEADER];
  if (key === undefined) return {};
  if (caller.isAuthenticated) return { key };
  const message = `${KEY_HEADER}: only of a client with an API key`;
  return { problem: problemResponse(422, message, { path: KEY_HEADER }) };
}

/** A 422 about one part of the request. */
export function invalid(path: string, expected: string): Response {
  return problemResponse(422, `${path}: expected ${expected}`, { path });
}

/** A 404 about one part of the request; `reason` is a word for it. */
export function unknown(path: string, message: string, reason: string): Response {
  return problemResponse(404, `${path}: ${message}`, { reason, path });
}

const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  unknown_resource: 404,
  unknown_lease: 404,
  lease_lost: 409,
  not_holder: 403,
  too_many: 429,
  overloaded: 503,
  storage_full: 507,
};

/** What a domain refuses in the words of the wire. */
export function rejection({
  code,
  message,
  path,
  retryAfterMs,
}: {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly retryAfterMs?: number;
}): Response {
  return problemResponse(STATUSES[code] ?? 422, message, {
    reason: code,
    ...(path === undefined ? {} : { path }),
    ...(retryAfterMs === undefined ? {} : { retryAfterS: Math.ceil(retryAfterMs / 1_000) }),
  });
}

export function json(value: object, status = 200): Response {
  return Response.json(value, { status, headers: { 'Cache-Control': 'no-store' } });
}

/** The answer to `command`, once everything that it saw is durable. */
export function answerOf<
  State,
  Command extends { readonly type: string },
  Answers extends AnswersTo<Command>,
  Notice,
  const Type extends Command['type'],
>(
  port: DomainPort<State, Command, Answers, Notice>,
  command: Command & { readonly type: Type },
): Promise<Answers[Type]> {
  return new Promise((resolve) => port.execute(command, resolve));
}

/** What `query` sees now, once that is durable. */
export function lookAt<
  State,
  Command extends { readonly type: string },
  Answers extends AnswersTo<Command>,
  Notice,
  Value,
>(port: DomainPort<State, Command, Answers, Notice>, query: (state: State, nowMs: number) => Value): Promise<Value> {
  return new Promise((resolve) => port.read(query, resolve));
}
