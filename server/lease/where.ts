import type { IntegerOperators, LabelOperators, SetOperators, TextOperators, Where } from '../../protocol/where.ts';

/** What a condition can look at. */
export interface Attributes {
  readonly address: string;
  readonly country: string;
  /** As it counts now. */
  readonly rpw: number;
  readonly resourceIds: readonly number[];
  readonly labels: Readonly<Record<string, string>> | undefined;
}

type Test = (attributes: Attributes) => boolean;

export interface CompiledWhere {
  readonly holds: Test;
  /** Whether the answer for one address may change with every grant and report. */
  readonly readsRpw: boolean;
}

/** Turns a condition that has passed the wire's schema and bounds into a function. An empty one holds for everything. */
export function compileWhere(where: Where): CompiledWhere {
  return { holds: compile(where), readsRpw: readsRpw(where) };
}

function readsRpw(where: Where): boolean {
  if (where.rpw) return true;
  const inner = [...(where.and ?? []), ...(where.or ?? []), ...(where.not ? [where.not] : [])];
  return inner.some(readsRpw);
}

function compile(where: Where): Test {
  const tests: Test[] = [];
  if (where.address) tests.push(textTest((it) => it.address, where.address, asWritten));
  if (where.country) tests.push(textTest((it) => it.country, where.country, withoutCase));
  if (where.rpw) tests.push(integerTest(where.rpw));
  if (where.resource_ids) tests.push(setTest(where.resource_ids));
  for (const [label, operators] of Object.entries(where.labels ?? {})) tests.push(labelTest(label, operators));
  for (const part of where.and ?? []) tests.push(compile(part));
  if (where.or) {
    const alternatives = where.or.map(compile);
    tests.push((it) => alternatives.some((test) => test(it)));
  }
  if (where.not) {
    const inner = compile(where.not);
    tests.push((it) => !inner(it));
  }
  return (it) => tests.every((test) => test(it));
}

const asWritten = (text: string) => text;
const withoutCase = (text: string) => text.toLowerCase();

function textTest(read: (it: Attributes) => string, operators: TextOperators, fold: (text: string) => string): Test {
  const matches = valueTest(operators, fold);
  return (it) => matches(fold(read(it)));
}

function labelTest(label: string, operators: LabelOperators): Test {
  const matches = valueTest(operators, asWritten);
  const { exists } = operators;
  return (it) => {
    const value = it.labels && Object.hasOwn(it.labels, label) ? it.labels[label] : undefined;
    if (exists !== undefined && exists !== (value !== undefined)) return false;
    return matches(value);
  };
}

/** `undefined` is a label that isn't there: it equals nothing, so `ne` and `nin` hold. */
function valueTest(operators: TextOperators, fold: (text: string) => string) {
  const eq = operators.eq === undefined ? undefined : fold(operators.eq);
  const ne = operators.ne === undefined ? undefined : fold(operators.ne);
  const within = operators.in && new Set(operators.in.map(fold));
  const outside = operators.nin && new Set(operators.nin.map(fold));
  return (value: string | undefined) =>
    (eq === undefined || value === eq) &&
    (ne === undefined || value !== ne) &&
    (within === undefined || (value !== undefined && within.has(value))) &&
    (outside === undefined || value === undefined || !outside.has(value));
}

function integerTest(operators: IntegerOperators): Test {
  const { eq, ne, lt = Infinity, lte = Infinity, gt = -Infinity, gte = -Infinity } = operators;
  const [low, high] = operators.between ?? [-Infinity, Infinity];
  const within = operators.in && new Set(operators.in);
  const outside = operators.nin && new Set(operators.nin);
  return ({ rpw }) =>
    rpw < lt &&
    rpw <= lte &&
    rpw > gt &&
    rpw >= gte &&
    rpw >= low &&
    rpw <= high &&
    (eq === undefined || rpw === eq) &&
    (ne === undefined || rpw !== ne) &&
    (within === undefined || within.has(rpw)) &&
    (outside === undefined || !outside.has(rpw));
}

function setTest(operators: SetOperators): Test {
  const all = [...(operators.has === undefined ? [] : [operators.has]), ...(operators.has_all ?? [])];
  const { has_any: any, has_none: none } = operators;
  return ({ resourceIds }) =>
    all.every((id) => resourceIds.includes(id)) &&
    (any === undefined || any.some((id) => resourceIds.includes(id))) &&
    (none === undefined || !none.some((id) => resourceIds.includes(id)));
}
