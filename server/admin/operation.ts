/**
 * An operation of the HTTP API, said once: the same descriptor serves it, checks what it is asked, and describes it in the
 * OpenAPI document. A folder's routes.ts is a list of them, which main hands to the listener.
 *
 * Parameters of path and query, headers too, are texts: where a schema asks for a number, a truth value or a list, the
 * text becomes one before it is checked. So schemas stay plain, and say the same to whoever reads the document.
 */
import type { HonoRequest } from 'hono';
import * as v from 'valibot';
import { describeIssue } from '../../protocol/frame-fault.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { type ReadPart, readBody } from './requests.ts';

/** Who asks. */
export interface Caller {
  /** The id of a client with a key; otherwise the peer's IP as text, of IPv6 its /64. Limits go by it. */
  readonly client: string;
  readonly isAuthenticated: boolean;
  readonly role: 'collector' | 'operator';
  /** Id of the stored key that it came with. */
  readonly key: string | undefined;
}

/** Why a request that was let in may no longer be answered; undefined: it may. Decided at once, so that nothing comes between. */
export type Recheck = () => Response | Promise<Response> | undefined;

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Entries = v.ObjectEntries;
type Output<Of extends Entries> = v.InferOutput<v.StrictObjectSchema<Of, undefined>>;

/** What an operation answers by one status. */
export interface AnswerSpec {
  readonly description: string;
  /** Absent: no body. */
  readonly schema?: v.GenericSchema;
  /** Absent: application/json. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A body that the handler reads for itself, chunk by chunk. */
export interface RawBody {
  readonly bytesMax: number;
  /** What one has to look like, by content type; of what has no schema it is text. */
  readonly content: Readonly<Record<string, v.GenericSchema | undefined>>;
}

export interface Asked<Params, Query, Headers_, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly headers: Headers_;
  readonly body: Body;
  readonly caller: Caller;
  /** A body takes its time: who reads one, or goes on for long, asks again directly before anything is done. */
  readonly recheck: Recheck;
  /** As it came; aborted where the peer goes away. */
  readonly request: Request;
}

export interface OperationSpec<
  Params extends Entries,
  Query extends Entries,
  Headers_ extends Entries,
  Body extends v.GenericSchema,
> {
  /** `operationId`: a verb and a noun, unique. */
  readonly id: string;
  /** The chapter of the document that it stands in. */
  readonly tag: string;
  readonly method: Method;
  /** With parameters in braces: `/v1/leases/{lease}`. */
  readonly path: string;
  /** Other paths to the same; not in the document. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly description?: string;
  /** Who may ask; `anyone`: no key is looked at. */
  readonly role: 'anyone' | 'collector' | 'operator';
  /** A collector's request that costs nothing: who gives back is never held up. */
  readonly isFree?: true;
  /** Of a GET: it changes something. Every other method but DELETE does. What changes something waits for the disk. */
  readonly changes?: true;
  readonly params?: Params;
  readonly query?: Query;
  /** By name as in the document; a header that isn't named here is passed over. */
  readonly headers?: Headers_;
  /** A JSON object. */
  readonly body?: Body;
  /** An empty body counts as `{}`. */
  readonly isBodyOptional?: true;
  readonly rawBody?: RawBody;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** Statuses of its own problems, beside those that follow from the rest: what each means. */
  readonly problems?: Readonly<Record<number, string>>;
  handle(
    asked: Asked<Output<Params>, Output<Query>, Output<Headers_>, v.InferOutput<Body>>,
  ): Promise<Response> | Response;
}

/** An operation with the types of its parts forgotten. */
export interface Operation
  extends Omit<OperationSpec<Entries, Entries, Entries, v.GenericSchema>, 'handle' | 'params' | 'query' | 'headers'> {
  readonly params: Entries;
  readonly query: Entries;
  readonly headers: Entries;
  /** Whether a request changes something when it succeeds. */
  readonly isChange: boolean;
  /** Whether a request takes a token of the caller's bucket. */
  readonly isCharged: boolean;
  /** The answer to a request that may be asked; `recheck` is asked once its body is in. */
  serve(request: HonoRequest, caller: Caller, recheck: Recheck): Promise<Response>;
}

export function operation<
  const Params extends Entries = Record<never, never>,
  const Query extends Entries = Record<never, never>,
  const Headers_ extends Entries = Record<never, never>,
  const Body extends v.GenericSchema = v.GenericSchema<undefined>,
>(spec: OperationSpec<Params, Query, Headers_, Body>): Operation {
  const { method, role, body, rawBody } = spec;
  const params = spec.params ?? {};
  const query = spec.query ?? {};
  const headers = spec.headers ?? {};
  const partsOf = {
    params: v.strictObject(params),
    query: v.strictObject(query),
    headers: v.object(headers),
  };
  const isChange = method === 'get' ? spec.changes === true : method !== 'delete';
  const serve = async (request: HonoRequest, caller: Caller, recheck: Recheck): Promise<Response> => {
    const fromPath = readTexts(partsOf.params, params, request.param());
    if (!fromPath.ok) return fromPath.problem;
    const twice = Object.entries(request.queries()).find(([, texts]) => texts.length > 1);
    if (twice) return problemResponse(422, `${twice[0]}: given twice`, { path: twice[0] });
    const fromQuery = readTexts(partsOf.query, query, request.query());
    if (!fromQuery.ok) return fromQuery.problem;
    const fromHeaders = readTexts(partsOf.headers, headers, headerTexts(headers, request));
    if (!fromHeaders.ok) return fromHeaders.problem;
    const fromBody = body ? await readBody(request, body, spec.isBodyOptional) : NO_BODY;
    if (!fromBody.ok) return fromBody.problem;
    const tooLong = rawBody && rawBodyFault(request, rawBody);
    if (tooLong) return tooLong;
    const refused = recheck();
    if (refused) return refused;
    return spec.handle({
      params: fromPath.value as Output<Params>,
      query: fromQuery.value as Output<Query>,
      headers: fromHeaders.value as Output<Headers_>,
      body: fromBody.value as v.InferOutput<Body>,
      caller,
      recheck,
      request: request.raw,
    });
  };
  const isCharged = role === 'collector' && spec.isFree !== true;
  return { ...spec, params, query, headers, isChange, isCharged, serve };
}

const NO_BODY = { ok: true, value: undefined } as const;

/** A longer one that says so is refused before it is read; the handler counts what comes. */
function rawBodyFault(request: HonoRequest, { bytesMax, content }: RawBody): Response | undefined {
  if (Number(request.header('content-length') ?? 0) > bytesMax) {
    return problemResponse(413, `a body has at most ${bytesMax} bytes`);
  }
  const type = contentTypeOf(request);
  if (Object.hasOwn(content, type)) return undefined;
  return problemResponse(415, `Content-Type: expected one of ${Object.keys(content).join(', ')}`, {
    path: 'Content-Type',
  });
}

/** Without its parameters, in lower case; empty where there is none. */
export function contentTypeOf(request: HonoRequest | Request): string {
  const given = 'raw' in request ? request.header('content-type') : request.headers.get('content-type');
  return (given ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

function headerTexts(headers: Entries, request: HonoRequest): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const text = request.header(name);
    if (text !== undefined) texts[name] = text;
  }
  return texts;
}

function readTexts(
  schema: v.GenericSchema,
  entries: Entries,
  texts: Readonly<Record<string, string>>,
): ReadPart<unknown> {
  const values = Object.entries(texts).map(([name, text]) => {
    const entry = Object.hasOwn(entries, name) ? (entries[name] as v.GenericSchema) : undefined;
    return [name, entry ? fromText(entry, text) : text] as const;
  });
  const parsed = v.safeParse(schema, Object.fromEntries(values), { abortEarly: true });
  if (parsed.success) return { ok: true, value: parsed.output };
  const { path, message } = describeIssue(parsed.issues[0]);
  return { ok: false, problem: problemResponse(422, `${path}: ${message}`, { path }) };
}

const NUMBER_TEXT = /^-?\d{1,16}(\.\d{1,9})?$/;

/** As what the schema asks for; a text that isn't one stays it, and the schema says what was expected. */
function fromText(schema: v.GenericSchema, text: string): unknown {
  const inner = schema as {
    readonly type: string;
    readonly wrapped?: v.GenericSchema;
    readonly item?: v.GenericSchema;
  };
  if (inner.wrapped) return fromText(inner.wrapped, text);
  switch (inner.type) {
    case 'number':
      return NUMBER_TEXT.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || (text === 'false' ? false : text);
    case 'array':
      return text.split(',').map((item) => fromText(inner.item!, item));
    default:
      return text;
  }
}
