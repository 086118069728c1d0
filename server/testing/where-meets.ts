import type { IntegerOperators, SetOperators, TextOperators, Where } from '../../protocol/where.ts';
import type { Attributes } from '../lease/where.ts';

/** The condition read word by word: every operator that is given has to hold. */
export function meets(where: Where, it: Attributes): boolean {
  const { address, country, rpw, resource_ids: resourceIds, labels, and, or, not } = where;
  if (address && !textMeets(address, it.address)) return false;
  if (country && !textMeets(lowerCase(country), lowerName(it.country))) return false;
  if (rpw && !integerMeets(rpw, it.rpw)) return false;
  if (resourceIds && !setMeets(resourceIds, it.resourceIds)) return false;
  if (labels && !labelsMeet(labels, it.labels ?? {})) return false;
  if (and && !meetsAll(and, it)) return false;
  if (or && !meetsAny(or, it)) return false;
  return !not || !meets(not, it);
}

function meetsAll(parts: readonly Where[], it: Attributes): boolean {
  for (const part of parts) if (!meets(part, it)) return false;
  return true;
}

function meetsAny(parts: readonly Where[], it: Attributes): boolean {
  for (const part of parts) if (meets(part, it)) return true;
  return false;
}

function setMeets(operators: SetOperators, ids: readonly number[]): boolean {
  const { has, has_all: hasAll, has_any: hasAny, has_none: hasNone } = operators;
  if (has !== undefined && !ids.includes(has)) return false;
  if (hasAll && !hasAll.every((id) => ids.includes(id))) return false;
  if (hasAny && !hasAny.some((id) => ids.includes(id))) return false;
  return !hasNone?.some((id) => ids.includes(id));
}

function labelsMeet(asked: NonNullable<Where['labels']>, own: Readonly<Record<string, string>>): boolean {
  for (const name of namesIn(asked)) {
    const operators = asked[name]!;
    const label = Object.hasOwn(own, name) ? own[name] : undefined;
    if (operators.exists !== undefined && operators.exists !== (label !== undefined)) return false;
    if (!textMeets(operators, label)) return false;
  }
  return true;
}

function textMeets(operators: TextOperators, text: string | undefined): boolean {
  const { eq, ne, in: within, nin } = operators;
  if (eq !== undefined && text !== eq) return false;
  if (ne !== undefined && text === ne) return false;
  if (within && (text === undefined || !within.includes(text))) return false;
  return !(nin && text !== undefined && nin.includes(text));
}

function integerMeets(operators: IntegerOperators, figure: number): boolean {
  const { eq, ne, in: within, nin, lt, lte, gt, gte, between } = operators;
  if (eq !== undefined && figure !== eq) return false;
  if (ne !== undefined && figure === ne) return false;
  if (within && !within.includes(figure)) return false;
  if (nin?.includes(figure)) return false;
  if (lt !== undefined && !(figure < lt)) return false;
  if (lte !== undefined && !(figure <= lte)) return false;
  if (gt !== undefined && !(figure > gt)) return false;
  if (gte !== undefined && !(figure >= gte)) return false;
  return !between || (between[0] <= figure && figure <= between[1]);
}

// Conditions and addresses are looked at again and again: what is made of them is made once.
const lowerCased = new WeakMap<TextOperators, TextOperators>();
const lowerNames = new Map<string, string>();
const names = new WeakMap<object, readonly string[]>();

function lowerCase(operators: TextOperators): TextOperators {
  let lower = lowerCased.get(operators);
  if (!lower) {
    lower = JSON.parse(JSON.stringify(operators).toLowerCase()) as TextOperators;
    lowerCased.set(operators, lower);
  }
  return lower;
}

/** Of a country: there are few. */
function lowerName(name: string): string {
  let lower = lowerNames.get(name);
  if (lower === undefined) {
    lower = name.toLowerCase();
    lowerNames.set(name, lower);
  }
  return lower;
}

function namesIn(asked: object): readonly string[] {
  let found = names.get(asked);
  if (!found) {
    found = Object.keys(asked);
    names.set(asked, found);
  }
  return found;
}
