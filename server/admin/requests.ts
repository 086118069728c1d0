/** What the routes of every folder read requests with and answer by. */
import type { HonoRequest } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import * as v from 'valibot';
import { jsonCodec } from '../../protocol/codec.ts';
import { describeIssue } from '../../protocol/frame-fault.ts';
import { problemResponse } from '../../protocol/problems.ts';
import type { DomainPort } from '../coordinator/coordinator.ts';
import type { AnswersTo } from '../coordinator/domain.ts';

/** A longer body is answered 413. */
export const BODY_BYTES_MAX = 65_536;
const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

export type ReadPart<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Response };

/** Stands before every handler that reads a body. */
export const boundedBody = bodyLimit({
  maxSize: BODY_BYTES_MAX,
  onError: () => problemResponse(413, `a body has at most ${BODY_BYTES_MAX} bytes`),
});

/** The body by `schema`. What is no JSON is a 400, what the schema refuses a 422 that names the place. */
export async function readBody<const Schema extends v.GenericSchema>(
  request: HonoRequest,
  schema: Schema,
): Promise<ReadPart<v.InferOutput<Schema>>> {
  const decoded = jsonCodec.decode(await request.text());
  if (!decoded.ok) return { ok: false, problem: problemResponse(400, decoded.message) };
  const { value } = decoded;
  // An empty list would pass for an object without fields.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, problem: problemResponse(422, 'the body must be an object') };
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return { ok: true, value: parsed.output };
  const { path, message } = describeIssue(parsed.issues[0]);
  return { ok: false, problem: problemResponse(422, `${path}: ${message}`, { path }) };
}

/** One page of what is listed by rising ids. */
export interface Page {
  /** Nothing up to this id. */
  readonly after: number;
  readonly limit: number;
}

/** `after` and `limit` of a query. */
export function readPage(query: Readonly<Record<string, string>>): ReadPart<Page> {
  const limit = query['limit'] === undefined ? PAGE_DEFAULT : positiveInteger(query['limit']);
  if (limit === undefined || limit > PAGE_MAX) {
    return { ok: false, problem: invalid('limit', `a positive integer up to ${PAGE_MAX}`) };
  }
  const after = query['after'] === undefined ? 0 : positiveInteger(query['after']);
  if (after === undefined) return { ok: false, problem: invalid('after', 'a positive integer') };
  return { ok: true, value: { after, limit } };
}

/** A part of a path or query; undefined where it is none. */
export function positiveInteger(text: string | undefined): number | undefined {
  if (text === undefined || !/^[1-9]\d{0,15}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A 422 about one part of the request. */
export function invalid(path: string, expected: string): Response {
  return problemResponse(422, `${path}: expected ${expected}`, { path });
}

/** A 404 about one part of the request; `reason` is a word for it. */
export function unknown(path: string, message: string, reason: string): Response {
  return problemResponse(404, `${path}: ${message}`, { reason, path });
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
