/** The OpenAPI 3.1 document of a list of operations, made of the schemas that check the requests themselves. */
import { toJsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { addressRecordSchema, grantSchema, whySchema } from '../../protocol/frames.ts';
import { PROBLEM_CONTENT_TYPE } from '../../protocol/problems.ts';
import { whereSchema, wholeWhereSchema } from '../../protocol/where.ts';
import type { AnswerSpec, Operation } from './operation.ts';
import { problemSchema } from './requests.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonMap = { readonly [key: string]: Json };

/** Schemas that have a name in the document; whoever has them inside refers to them. */
const NAMED = {
  AddressRecord: addressRecordSchema,
  Grant: grantSchema,
  Problem: problemSchema,
  Where: whereSchema,
  Why: whySchema,
};
/** Another form of one of these, by the same name. */
const ALSO_NAMED = { Where_: wholeWhereSchema };

export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

export function openApiDocument(operations: readonly Operation[], info: DocumentInfo): JsonMap {
  const paths: Record<string, Record<string, Json>> = {};
  for (const each of operations) (paths[each.path] ??= {})[each.method] = describe(each);
  return {
    openapi: '3.1.0',
    info: { title: info.title, version: info.version, description: info.description },
    servers: [{ url: '/' }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: namedSchemas(),
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: "A client's API key, or the operator's." },
      },
    },
  };
}

function describe(operation: Operation): JsonMap {
  const { id, tag, summary, description, role, body, rawBody, isBodyOptional } = operation;
  const parameters = (['params', 'query', 'headers'] as const).flatMap((part) =>
    Object.entries(operation[part]).map(([name, schema]) => parameter(part, name, schema as v.GenericSchema)),
  );
  const content = body
    ? { 'application/json': { schema: jsonSchema(body) } }
    : rawBody && Object.fromEntries(Object.entries(rawBody.content).map(([type, schema]) => [type, ofText(schema)]));
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    // Needed once there is an operator's key.
    ...(role === 'anyone' ? { security: [] } : { security: [{ key: [] }, {}] }),
    'x-role': role,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(content === undefined ? {} : { requestBody: { required: isBodyOptional !== true, content } }),
    responses: { ...answersOf(operation), ...problemsOf(operation) },
  };
}

const PLACES = { params: 'path', query: 'query', headers: 'header' } as const;

function parameter(part: keyof typeof PLACES, name: string, schema: v.GenericSchema): JsonMap {
  const { description, ...rest } = jsonSchema(schema);
  const isList = rest['type'] === 'array';
  return {
    name,
    in: PLACES[part],
    required: part === 'params' || !isOptional(schema),
    ...(description === undefined ? {} : { description }),
    // A list is one text with commas.
    ...(isList && part === 'query' ? { style: 'form', explode: false } : {}),
    schema: rest,
  };
}

function isOptional(schema: v.GenericSchema): boolean {
  return schema.type === 'exact_optional' || schema.type === 'optional';
}

function answersOf({ answers }: Operation): JsonMap {
  return Object.fromEntries(Object.entries(answers).map(([status, spec]) => [status, answer(spec)]));
}

function answer({ description, schema, contentType = 'application/json', headers }: AnswerSpec): JsonMap {
  const described = Object.entries(headers ?? {}).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  return {
    description,
    ...(described.length === 0 ? {} : { headers: Object.fromEntries(described) as JsonMap }),
    ...(schema || contentType !== 'application/json' ? { content: { [contentType]: ofText(schema) } } : {}),
  };
}

function ofText(schema: v.GenericSchema | undefined): JsonMap {
  return { schema: schema ? jsonSchema(schema) : { type: 'string' } };
}

const LIMIT_HEADERS = {
  'RateLimit-Limit': 'Tokens that the bucket holds.',
  'RateLimit-Remaining': 'Tokens left.',
  'RateLimit-Reset': 'Seconds until it is full again.',
};

/** Those of its own, and those that follow from what it takes and who may ask. */
function problemsOf(operation: Operation): JsonMap {
  const { role, body, rawBody, params, query, headers, isCharged, isChange, problems = {} } = operation;
  const all: Record<number, string> = {};
  if (body || rawBody) all[400] = 'The body is not what its content type says.';
  if (role !== 'anyone') all[401] = 'A key is needed, or the one given is wrong.';
  all[403] = role === 'operator' ? "Not an operator's key, or a foreign host or origin." : 'A foreign host or origin.';
  if (body || rawBody) all[413] = 'The body is too long.';
  if (rawBody) all[415] = 'A content type that is not taken.';
  if (body || rawBody || [params, query, headers].some((part) => Object.keys(part).length > 0)) {
    all[422] = 'A value is invalid; `path` names its place.';
  }
  if (isCharged) all[429] = 'The client asks too often.';
  if (isChange && role !== 'anyone') all[503] = 'The disk is behind, or the coordinator has not begun to serve.';
  return Object.fromEntries(
    Object.entries({ ...all, ...problems }).map(([status, description]) => [
      status,
      answer({
        description,
        schema: problemSchema,
        contentType: PROBLEM_CONTENT_TYPE,
        ...(status === '429'
          ? { headers: { ...LIMIT_HEADERS, 'Retry-After': 'Seconds until there is a token.' } }
          : {}),
      }),
    ]),
  );
}

const CONVERSION = {
  target: 'draft-2020-12',
  typeMode: 'input',
  // What a check says beside the schema stands in its description, or in the problem that it makes.
  errorMode: 'ignore',
  overrideRef: ({ referenceId }: { referenceId: string }) => `#/components/schemas/${nameOf(referenceId)}`,
} as const;

/** The parts of `Where` that hold conditions themselves come with a number for a name. */
function nameOf(referenceId: string): string {
  return /^\d+$/.test(referenceId) ? `Where${referenceId}` : referenceId.replace(/_$/, '');
}

function namedSchemas(): JsonMap {
  const made = toJsonSchemaDefs(NAMED, CONVERSION) as unknown as JsonMap;
  return Object.fromEntries(Object.entries(made).map(([id, schema]) => [nameOf(id), schema]));
}

function jsonSchema(schema: v.GenericSchema): JsonMap {
  const made = toJsonSchema(schema, { ...CONVERSION, definitions: { ...NAMED, ...ALSO_NAMED } });
  const { $schema: _draft, $defs: _definitions, ...rest } = made as unknown as Record<string, Json>;
  return rest;
}
