/**
 * A client of the HTTP API that knows nothing but the OpenAPI document: where a parameter stands, what a body is, what an
 * answer may look like. Whatever the coordinator says beside its document is an error here.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';

type Json = Record<string, unknown>;

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: { readonly type?: string };
}

export interface ApiOperation {
  readonly method: string;
  readonly path: string;
  readonly operationId: string;
  readonly 'x-role': 'anyone' | 'collector' | 'operator';
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { schema: Json }> };
  readonly responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

export interface ApiArguments {
  /** By name, wherever the document puts them. */
  readonly with?: Readonly<Record<string, unknown>>;
  /** JSON unless `contentType` says otherwise. */
  readonly body?: unknown;
  readonly contentType?: string;
  /** Instead of the client's own; empty: none. */
  readonly key?: string;
}

export class ApiClient {
  readonly document: Json;
  readonly operations: ReadonlyMap<string, ApiOperation>;
  readonly called = new Set<string>();
  readonly base: string;
  readonly #key: string | undefined;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });

  private constructor(base: string, key: string | undefined, document: Json) {
    this.base = base;
    this.#key = key;
    this.document = document;
    this.#ajv.addSchema({ $id: 'document', ...document });
    const operations: ApiOperation[] = Object.entries(document['paths'] as Json).flatMap(([path, methods]) =>
      Object.entries(methods as Json).map(([method, described]) => ({ ...(described as ApiOperation), method, path })),
    );
    this.operations = new Map(operations.map((each) => [each.operationId, each]));
  }

  static async open(base: string, key?: string): Promise<ApiClient> {
    const document = (await (await fetch(`${base}/docs.json`)).json()) as Json;
    return new ApiClient(base, key, document);
  }

  /** Throws on what the document doesn't allow us to send, or the coordinator to answer. */
  async call(operationId: string, given: ApiArguments = {}): Promise<ApiAnswer> {
    const response = await this.send(operationId, given);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: this.check(operationId, response, text) };
  }

  /** The response itself, for what doesn't end. */
  async send(operationId: string, given: ApiArguments = {}, signal?: AbortSignal): Promise<Response> {
    const described = this.operations.get(operationId);
    if (!described) throw new Error(`${operationId} is not in the document`);
    this.called.add(operationId);
    const { url, headers } = this.#place(described, given.with ?? {});
    const key = given.key ?? this.#key;
    if (key !== undefined && key !== '') headers['Authorization'] = `Bearer ${key}`;
    const type = given.contentType ?? 'application/json';
    if (given.body !== undefined) {
      if (!described.requestBody?.content[type]) throw new Error(`${operationId} takes no ${type}`);
      headers['Content-Type'] = type;
    } else if (described.requestBody?.required === true) throw new Error(`${operationId} needs a body`);
    const body = typeof given.body === 'string' ? given.body : JSON.stringify(given.body);
    return fetch(this.base + url, {
      method: described.method.toUpperCase(),
      headers,
      ...(given.body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
    });
  }

  /** The body of an answer, where it is what the document says of its status. */
  check(operationId: string, response: Response, text: string): Json {
    const described = this.operations.get(operationId)!;
    const answer = described.responses[String(response.status)];
    if (!answer) throw new Error(`${operationId}: ${response.status} is not in the document: ${text}`);
    const [type, media] = Object.entries(answer.content ?? {})[0] ?? [];
    const actual = (response.headers.get('content-type') ?? '').split(';')[0]!;
    if (actual !== (type ?? '')) throw new Error(`${operationId} ${response.status}: ${actual} instead of ${type}`);
    if (!media) return {};
    const body: unknown = actual.endsWith('json') ? JSON.parse(text) : text;
    const validate = this.#ajv.compile(inDocument(media.schema) as Json);
    if (!validate(body)) {
      throw new Error(`${operationId} ${response.status}: ${this.#ajv.errorsText(validate.errors)}: ${text}`);
    }
    return typeof body === 'string' ? { text: body } : (body as Json);
  }

  #place({ path, parameters = [], operationId }: ApiOperation, values: Readonly<Record<string, unknown>>) {
    const headers: Record<string, string> = {};
    const query = new URLSearchParams();
    let url = path;
    const unknown = Object.keys(values).filter((name) => !parameters.some((each) => each.name === name));
    if (unknown.length > 0) throw new Error(`${operationId} takes no ${unknown.join(', ')}`);
    for (const { name, in: place, required } of parameters) {
      const value = values[name];
      if (value === undefined) {
        if (required) throw new Error(`${operationId} needs ${name}`);
        continue;
      }
      const text = Array.isArray(value) ? value.join(',') : String(value as string | number | boolean);
      if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(text));
      else if (place === 'query') query.set(name, text);
      else headers[name] = text;
    }
    return { url: query.size === 0 ? url : `${url}?${query.toString()}`, headers };
  }
}

/** References go to the document; within a schema of its own they would go nowhere. */
function inDocument(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(inDocument);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' ? `document${value as string}` : inDocument(value),
    ]),
  );
}
