/**
 * The language of conditions: `{"country": {"in": ["US", "CA"]}, "rpw": {"lt": 500}}`.
 *
 * A map; several keys in one map mean *and*, and so do several operators on one field. Countries compare without case.
 * An empty map holds for every address.
 */
import * as v from 'valibot';
import { describeIssue } from './frame-fault.ts';
import {
  NAME_LENGTH_MAX,
  NESTING_DEPTH_MAX,
  WHERE_DEPTH_MAX,
  WHERE_LIST_MAX,
  WHERE_OPERATORS_MAX,
  WHERE_TEXT_LENGTH_MAX,
  WHERE_VALUES_MAX,
} from './limits.ts';

const text = v.pipe(v.string(), v.maxLength(WHERE_TEXT_LENGTH_MAX));
const integer = v.pipe(
  v.number(),
  v.safeInteger((issue) => `Invalid integer: Received ${issue.received}`),
);
const list = <const Item extends v.GenericSchema>(item: Item) => v.pipe(v.array(item), v.maxLength(WHERE_LIST_MAX));

const textOperators = v.strictObject({
  eq: v.exactOptional(text),
  ne: v.exactOptional(text),
  in: v.exactOptional(list(text)),
  nin: v.exactOptional(list(text)),
});

const integerOperators = v.strictObject({
  eq: v.exactOptional(integer),
  ne: v.exactOptional(integer),
  in: v.exactOptional(list(integer)),
  nin: v.exactOptional(list(integer)),
  lt: v.exactOptional(integer),
  lte: v.exactOptional(integer),
  gt: v.exactOptional(integer),
  gte: v.exactOptional(integer),
  /** Both ends included. */
  between: v.exactOptional(v.strictTuple([integer, integer], 'between takes two integers')),
});

const setOperators = v.strictObject({
  has: v.exactOptional(integer),
  has_all: v.exactOptional(list(integer)),
  has_any: v.exactOptional(list(integer)),
  has_none: v.exactOptional(list(integer)),
});

const labelOperators = v.strictObject({ ...textOperators.entries, exists: v.exactOptional(v.boolean()) });

export type TextOperators = v.InferOutput<typeof textOperators>;
export type IntegerOperators = v.InferOutput<typeof integerOperators>;
export type SetOperators = v.InferOutput<typeof setOperators>;
export type LabelOperators = v.InferOutput<typeof labelOperators>;

export interface Where {
  address?: TextOperators;
  country?: TextOperators;
  rpw?: IntegerOperators;
  resource_ids?: SetOperators;
  labels?: Record<string, LabelOperators>;
  and?: Where[];
  or?: Where[];
  not?: Where;
}

export const whereSchema: v.GenericSchema<Where> = v.strictObject({
  address: v.exactOptional(textOperators),
  country: v.exactOptional(textOperators),
  rpw: v.exactOptional(integerOperators),
  resource_ids: v.exactOptional(setOperators),
  labels: v.exactOptional(v.record(v.pipe(v.string(), v.maxLength(NAME_LENGTH_MAX)), labelOperators)),
  and: v.exactOptional(v.lazy(() => list(whereSchema))),
  or: v.exactOptional(v.lazy(() => v.pipe(list(whereSchema), v.nonEmpty('or needs at least one condition')))),
  not: v.exactOptional(v.lazy(() => whereSchema)),
});

export interface WhereFault {
  /** From the condition's root, e.g. `and[1].not`; empty for the root. */
  readonly path: string;
  readonly message: string;
}

/** Names of keys that valibot leaves out of a map with free keys. */
const LABEL_NAMES_REFUSED: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * What the schema can't say of a condition that has passed it: depth, size, cost, and that every map is one. Give it the
 * condition as it was received: valibot takes an empty list for an empty map and drops labels of certain names, and
 * either would turn a condition into one that holds for any address.
 */
export function whereFault(where: Where): WhereFault | undefined {
  let operators = 0;
  let values = 0;
  /** Counts what one key holds, and names it where that is too much. */
  const listFault = (list: unknown, path: string): WhereFault | undefined => {
    if (Array.isArray(list)) values += list.length;
    return values > WHERE_VALUES_MAX
      ? { path, message: `more than ${WHERE_VALUES_MAX} values in all lists` }
      : undefined;
  };
  const operatorsFault = (map: object, path: string): WhereFault | undefined => {
    if (!isMap(map)) return { path, message: 'operators are a map' };
    operators += Object.keys(map).length;
    for (const [operator, operand] of Object.entries(map)) {
      const fault = operator === 'between' ? undefined : listFault(operand, `${path}.${operator}`);
      if (fault) return fault;
    }
    return undefined;
  };
  const visit = (part: Where, path: string, depth: number): WhereFault | undefined => {
    const at = (key: string) => (path === '' ? key : `${path}.${key}`);
    if (!isMap(part)) return { path, message: 'a condition is a map' };
    if (depth > WHERE_DEPTH_MAX) return { path, message: `nested deeper than ${WHERE_DEPTH_MAX}` };
    for (const field of ['address', 'country', 'rpw', 'resource_ids'] as const) {
      const fault = part[field] && operatorsFault(part[field], at(field));
      if (fault) return fault;
    }
    if (part.labels !== undefined && !isMap(part.labels)) return { path: at('labels'), message: 'labels are a map' };
    for (const [name, labelOperators] of Object.entries(part.labels ?? {})) {
      const labelPath = at(`labels.${name}`);
      if (LABEL_NAMES_REFUSED.has(name)) return { path: labelPath, message: 'a label of this name is not taken' };
      const fault = operatorsFault(labelOperators, labelPath);
      if (fault) return fault;
    }
    if (operators > WHERE_OPERATORS_MAX) return { path, message: `more than ${WHERE_OPERATORS_MAX} operators` };
    for (const key of ['and', 'or'] as const) {
      const tooMany = listFault(part[key], at(key));
      if (tooMany) return tooMany;
      for (const [index, inner] of (part[key] ?? []).entries()) {
        const fault = visit(inner, `${at(key)}[${index}]`, depth + 1);
        if (fault) return fault;
      }
    }
    return part.not ? visit(part.not, at('not'), depth + 1) : undefined;
  };
  return visit(where, '', 0);
}

/** All that must hold of a condition, for one that comes from elsewhere than a frame. An issue's path is as in an error. */
export const wholeWhereSchema = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, Where>(({ dataset: { value }, addIssue, NEVER }) => {
    const fault = wholeFault(value);
    if (!fault) return value as Where;
    const { path: key, message } = fault;
    addIssue({
      message,
      ...(key === '' ? {} : { path: [{ type: 'unknown', origin: 'value', input: value, key, value: undefined }] }),
    });
    return NEVER;
  }),
);

function wholeFault(value: unknown): WhereFault | undefined {
  // The schema follows a condition as deep as it goes.
  if (isDeeperThan(value, NESTING_DEPTH_MAX)) return { path: '', message: `nested deeper than ${NESTING_DEPTH_MAX}` };
  const parsed = v.safeParse(whereSchema, value, { abortEarly: true });
  return parsed.success ? whereFault(value as Where) : describeIssue(parsed.issues[0]);
}

/** Maps and lists inside one another. */
function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeperThan(inner, depth - 1));
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
