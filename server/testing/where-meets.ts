import type { IntegerOperators, TextOperators, Where } from '../../protocol/where.ts';
import type { Attributes } from '../lease/where.ts';

/** The condition read word by word: every operator that is given has to hold. */
export function meets(where: Where, it: Attributes): boolean {
  const verdicts: boolean[] = [];
  if (where.address) verdicts.push(textMeets(where.address, it.address));
  if (where.country) verdicts.push(textMeets(lowerCase(where.country), it.country.toLowerCase()));
  if (where.rpw) verdicts.push(integerMeets(where.rpw, it.rpw));
  const { has, has_all, has_any, has_none } = where.resource_ids ?? {};
  const serves = (id: number) => it.resourceIds.includes(id);
  if (has !== undefined) verdicts.push(serves(has));
  if (has_all) verdicts.push(has_all.every(serves));
  if (has_any) verdicts.push(has_any.some(serves));
  if (has_none) verdicts.push(!has_none.some(serves));
  for (const [name, operators] of Object.entries(where.labels ?? {})) {
    const label = Object.entries(it.labels ?? {}).find(([own]) => own === name)?.[1];
    if (operators.exists !== undefined) verdicts.push(operators.exists === (label !== undefined));
    verdicts.push(textMeets(operators, label));
  }
  if (where.and) verdicts.push(where.and.every((part) => meets(part, it)));
  if (where.or) verdicts.push(where.or.some((part) => meets(part, it)));
  if (where.not) verdicts.push(!meets(where.not, it));
  return !verdicts.includes(false);
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

/** Conditions are looked at again and again: each is brought to lower case once. */
const lowerCased = new WeakMap<TextOperators, TextOperators>();

function lowerCase(operators: TextOperators): TextOperators {
  let lower = lowerCased.get(operators);
  if (!lower) {
    lower = JSON.parse(JSON.stringify(operators).toLowerCase()) as TextOperators;
    lowerCased.set(operators, lower);
  }
  return lower;
}
