import type { Where } from '../../protocol/where.ts';
import { inKeyOrder } from './key-order.ts';
import { type Labels, type Plan, planOf, rpwTestsOf } from './where-plan.ts';

/** What a condition can look at. */
export interface Attributes {
  readonly address: string;
  readonly country: string;
  /** As it counts now. */
  readonly rpw: number;
  readonly resourceIds: readonly number[];
  readonly labels: Labels;
}

export interface CompiledWhere {
  readonly plan: Plan;
  readonly holds: (it: Attributes) => boolean;
  /** Whether the answer for one address may change with every grant and report. */
  readonly readsRpw: boolean;
  /** Whether it may be another for an address whose rpw goes from `before` to `after`. Asked at every grant: it is quick. */
  readonly mayTurn: (before: number, after: number) => boolean;
}

/** Turns a condition that has passed the wire's schema and bounds into a function. An empty one holds for everything. */
export function compileWhere(where: Where): CompiledWhere {
  const plan = planOf(where);
  const rpwTests = rpwTestsOf(plan);
  const mayTurn = (before: number, after: number) => rpwTests.some(({ holds }) => holds(before) !== holds(after));
  return { plan, holds: compile(plan), readsRpw: rpwTests.length > 0, mayTurn };
}

function compile(plan: Plan): (it: Attributes) => boolean {
  if (typeof plan === 'boolean') return () => plan;
  switch (plan.kind) {
    case 'all': {
      const parts = plan.parts.map(compile);
      return (it) => parts.every((holds) => holds(it));
    }
    case 'any': {
      const parts = plan.parts.map(compile);
      return (it) => parts.some((holds) => holds(it));
    }
    case 'not': {
      const holds = compile(plan.part);
      return (it) => !holds(it);
    }
    case 'address':
      return ({ address }) => plan.holds(address);
    case 'country':
      return ({ country }) => plan.holds(country);
    case 'rpw':
      return ({ rpw }) => plan.holds(rpw);
    case 'resource_ids':
      return ({ resourceIds }) => plan.holds(resourceIds);
    case 'label':
      return ({ labels }) => plan.holds(labels);
  }
}

/** One text for conditions that differ in nothing but the order of their keys. */
export function whereKey(where: Where): string {
  return JSON.stringify(inKeyOrder(where));
}

/** Holds where both do; either may be absent. */
export function both(one: Where | undefined, other: Where | undefined): Where | undefined {
  return one && other ? { and: [one, other] } : (one ?? other);
}

/** The parts that all have to hold, each with its path: fields, labels, elements of `and`, and `or` and `not` as wholes. */
export function conjuncts(where: Where): { readonly path: string; readonly where: Where }[] {
  const parts: { path: string; where: Where }[] = [];
  for (const [field, operators] of Object.entries(where)) {
    if (field === 'and') where.and!.forEach((part, index) => parts.push({ path: `and[${index}]`, where: part }));
    else if (field === 'labels') {
      for (const [name, label] of Object.entries(where.labels!)) {
        parts.push({ path: `labels.${name}`, where: { labels: { [name]: label } } });
      }
    } else if (operators !== undefined) parts.push({ path: field, where: { [field]: operators } });
  }
  return parts;
}
