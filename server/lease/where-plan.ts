import type { IntegerOperators, LabelOperators, SetOperators, TextOperators, Where } from '../../protocol/where.ts';

/**
 * A condition, brought to what has to be looked at. Invariant: a constant stands alone, never inside; so what is looked at
 * is bounded by the operators of the condition, however many empty parts it has.
 */
export type Plan = boolean | Test | Junction | Negation;

export interface Junction {
  readonly kind: 'all' | 'any';
  /** Two or more. */
  readonly parts: readonly (Test | Junction | Negation)[];
}

export interface Negation {
  readonly kind: 'not';
  readonly part: Test | Junction;
}

/** All operators on one field. */
export type Test = AddressTest | CountryTest | RpwTest | ResourceIdsTest | LabelTest;

export interface AddressTest {
  readonly kind: 'address';
  readonly holds: (address: string) => boolean;
  /** The texts that the operators name. */
  readonly named: ReadonlySet<string>;
  /** What `holds` says of every address that isn't named. */
  readonly holdsElse: boolean;
}

export interface CountryTest {
  readonly kind: 'country';
  readonly holds: (country: string) => boolean;
}

export interface RpwTest {
  readonly kind: 'rpw';
  readonly holds: (rpw: number) => boolean;
  /** The bounds that the operators set together; `gt` and `lt` are themselves outside. */
  readonly gt: number;
  readonly gte: number;
  readonly lt: number;
  readonly lte: number;
  /** Whether `holds` asks more of a figure than to be within bounds. */
  readonly asksMore: boolean;
}

export interface ResourceIdsTest {
  readonly kind: 'resource_ids';
  readonly holds: (resourceIds: readonly number[]) => boolean;
}

export interface LabelTest {
  readonly kind: 'label';
  readonly holds: (labels: Labels) => boolean;
}

export type Labels = Readonly<Record<string, string>> | undefined;

/** The form in which countries are compared. */
export function foldCountry(country: string): string {
  return country.toLowerCase();
}

/** The plan of a condition that has passed the wire's schema and bounds. */
export function planOf(where: Where): Plan {
  const { address, country, rpw, resource_ids: resourceIds, labels = {}, and = [], or, not } = where;
  const parts: Plan[] = [];
  if (address && isAsking(address)) parts.push(addressTest(address));
  if (country && isAsking(country)) parts.push({ kind: 'country', holds: countryHolds(country) });
  if (rpw && isAsking(rpw)) parts.push(rpwTest(rpw));
  if (resourceIds && isAsking(resourceIds)) parts.push({ kind: 'resource_ids', holds: setHolds(resourceIds) });
  for (const [name, operators] of Object.entries(labels)) {
    if (isAsking(operators)) parts.push({ kind: 'label', holds: labelHolds(name, operators) });
  }
  for (const part of and) parts.push(planOf(part));
  if (or) parts.push(junction('any', or.map(planOf)));
  if (not) parts.push(negation(planOf(not)));
  return junction('all', parts);
}

/** Where there are any, the answer for one address may change with every grant and report. */
export function rpwTestsOf(plan: Plan): readonly RpwTest[] {
  if (typeof plan === 'boolean') return [];
  if (plan.kind === 'all' || plan.kind === 'any') return plan.parts.flatMap(rpwTestsOf);
  if (plan.kind === 'not') return rpwTestsOf(plan.part);
  return plan.kind === 'rpw' ? [plan] : [];
}

function isAsking(operators: object): boolean {
  return Object.values(operators).some((operand) => operand !== undefined);
}

function junction(kind: 'all' | 'any', plans: readonly Plan[]): Plan {
  const neutral = kind === 'all';
  if (plans.includes(!neutral)) return !neutral;
  const parts = plans.filter((plan) => typeof plan !== 'boolean');
  if (parts.length < 2) return parts[0] ?? neutral;
  return { kind, parts };
}

function negation(plan: Plan): Plan {
  if (typeof plan === 'boolean') return !plan;
  return plan.kind === 'not' ? plan.part : { kind: 'not', part: plan };
}

function addressTest(operators: TextOperators): AddressTest {
  const { eq, ne, in: within, nin } = operators;
  const named = new Set([...[eq, ne].filter((text) => text !== undefined), ...(within ?? []), ...(nin ?? [])]);
  const holdsElse = eq === undefined && within === undefined;
  return { kind: 'address', holds: textHolds(operators, asWritten), named, holdsElse };
}

function countryHolds(operators: TextOperators): (country: string) => boolean {
  const holds = textHolds(operators, foldCountry);
  return (country) => holds(foldCountry(country));
}

function labelHolds(name: string, operators: LabelOperators): (labels: Labels) => boolean {
  const holds = textHolds(operators, asWritten);
  const { exists } = operators;
  return (labels) => {
    const text = labels && Object.hasOwn(labels, name) ? labels[name] : undefined;
    if (exists !== undefined && exists !== (text !== undefined)) return false;
    return holds(text);
  };
}

const asWritten = (text: string) => text;

/** `undefined` is a label that isn't there: it equals nothing, so `ne` and `nin` hold. */
function textHolds(operators: TextOperators, fold: (text: string) => string): (text: string | undefined) => boolean {
  const eq = operators.eq === undefined ? undefined : fold(operators.eq);
  const ne = operators.ne === undefined ? undefined : fold(operators.ne);
  const within = operators.in && new Set(operators.in.map(fold));
  const outside = operators.nin && new Set(operators.nin.map(fold));
  return (text) =>
    (eq === undefined || text === eq) &&
    (ne === undefined || text !== ne) &&
    (within === undefined || (text !== undefined && within.has(text))) &&
    (outside === undefined || text === undefined || !outside.has(text));
}

function rpwTest(operators: IntegerOperators): RpwTest {
  const { eq, ne, between = [-Infinity, Infinity] } = operators;
  const { gt = -Infinity, lt = Infinity } = operators;
  const gte = Math.max(operators.gte ?? -Infinity, between[0], eq ?? -Infinity);
  const lte = Math.min(operators.lte ?? Infinity, between[1], eq ?? Infinity);
  const within = operators.in && new Set(operators.in);
  const outside = operators.nin && new Set(operators.nin);
  const holds = (rpw: number) =>
    rpw > gt &&
    rpw >= gte &&
    rpw < lt &&
    rpw <= lte &&
    (ne === undefined || rpw !== ne) &&
    (within === undefined || within.has(rpw)) &&
    (outside === undefined || !outside.has(rpw));
  const asksMore = ne !== undefined || within !== undefined || outside !== undefined;
  return { kind: 'rpw', holds, gt, gte, lt, lte, asksMore };
}

function setHolds(operators: SetOperators): (resourceIds: readonly number[]) => boolean {
  const all = [...(operators.has === undefined ? [] : [operators.has]), ...(operators.has_all ?? [])];
  const { has_any: any, has_none: none } = operators;
  return (resourceIds) =>
    all.every((id) => resourceIds.includes(id)) &&
    (any === undefined || any.some((id) => resourceIds.includes(id))) &&
    (none === undefined || !none.some((id) => resourceIds.includes(id)));
}
