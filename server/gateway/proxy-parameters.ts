/** What the parameters in a user of the forward proxy ask for. */
import * as v from 'valibot';
import { STRATEGIES, type Strategy } from '../../protocol/codes.ts';
import { NAME_LENGTH_MAX, REQUESTS_MAX } from '../../protocol/limits.ts';
import { type Where, wholeWhereSchema } from '../../protocol/where.ts';
import type { Parameter, ParameterName } from './proxy-credentials.ts';

const COUNTRIES_MAX = 50;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;

export interface Wanted {
  readonly resource: number;
  readonly where?: Where | undefined;
  readonly strategy?: Strategy | undefined;
  readonly sticky?: string | undefined;
  /** Undefined: an address of its own for each request and tunnel. */
  readonly session?: WantedSession | undefined;
}

export interface WantedSession {
  readonly name: string;
  /** Without a request or tunnel for so long, it is over. */
  readonly idleMs: number;
  /** From its first request on; undefined: as long as it is used. */
  readonly durationMs: number | undefined;
}

export type ReadWanted =
  | { readonly type: 'wanted'; readonly wanted: Wanted }
  | { readonly type: 'bad_parameter'; readonly parameter: string; readonly message: string };

export interface WantedDefaults {
  /** Of who names none; undefined: it must be named. */
  readonly resource: number | undefined;
  /** Of who says nothing of it, and at most. */
  readonly sessionIdleMs: number;
}

export function readWanted(parameters: readonly Parameter[], defaults: WantedDefaults): ReadWanted {
  const draft: Draft = { where: {}, labels: [] };
  for (const parameter of parameters) {
    const fault = READERS[parameter.name as ParameterName](parameter, draft, defaults);
    if (fault !== undefined) return { type: 'bad_parameter', parameter: parameter.name, message: fault };
  }
  const { where, labels, session, idleMs, durationMs, strategy, sticky } = draft;
  const bad = (parameter: string, message: string) => ({ type: 'bad_parameter', parameter, message }) as const;
  const resource = draft.resource ?? defaults.resource;
  if (resource === undefined) return bad('resource', 'must be given: user-resource-7');
  if (session === undefined && idleMs !== undefined) return bad('idle', 'needs a session, too');
  if (session === undefined && durationMs !== undefined) return bad('sessionduration', 'needs a session, too');
  if (labels.length > 0) where.labels = Object.fromEntries(labels.map(([name, eq]) => [name, { eq }]));
  const checked = v.safeParse(wholeWhereSchema, where);
  if (!checked.success) return bad('label', checked.issues[0].message);
  const hasWhere = Object.keys(where).length > 0;
  return {
    type: 'wanted',
    wanted: {
      resource,
      where: hasWhere ? where : undefined,
      strategy,
      sticky,
      session:
        session === undefined ? undefined : { name: session, idleMs: idleMs ?? defaults.sessionIdleMs, durationMs },
    },
  };
}

interface Draft {
  resource?: number;
  readonly where: Where;
  readonly labels: (readonly [name: string, value: string])[];
  strategy?: Strategy;
  sticky?: string;
  session?: string;
  idleMs?: number;
  durationMs?: number;
}

/** Writes into the draft, or says what is wrong. */
type Reader = (parameter: Parameter, draft: Draft, defaults: WantedDefaults) => string | undefined;

const LENGTH_FAULT = `has more than ${NAME_LENGTH_MAX} characters`;

const READERS: Readonly<Record<ParameterName, Reader>> = {
  resource({ value }, draft) {
    const resource = wholeNumber(value, 1, Number.MAX_SAFE_INTEGER);
    if (resource === undefined) return 'must be the id of a resource';
    draft.resource = resource;
    return undefined;
  },
  country({ value }, draft) {
    const countries = value.split(',');
    if (value.length > NAME_LENGTH_MAX || countries.includes('')) return 'must be a country, or several: us,ca';
    if (countries.length > COUNTRIES_MAX) return `names more than ${COUNTRIES_MAX}`;
    draft.where.country = countries.length === 1 ? { eq: countries[0]! } : { in: countries };
    return undefined;
  },
  city: byLabel,
  state: byLabel,
  label: byLabel,
  rpw({ value }, draft) {
    const lte = wholeNumber(value, 0, REQUESTS_MAX);
    if (lte === undefined) return 'must be the most requests of the last seven days';
    draft.where.rpw = { lte };
    return undefined;
  },
  strategy({ value }, draft) {
    const strategy = STRATEGIES.find((word) => word === value.toLowerCase());
    if (strategy === undefined) return `must be one of ${STRATEGIES.join(', ')}`;
    draft.strategy = strategy;
    return undefined;
  },
  sticky({ value }, draft) {
    if (value.length > NAME_LENGTH_MAX) return LENGTH_FAULT;
    draft.sticky = value;
    return undefined;
  },
  session({ value }, draft) {
    if (value.length > NAME_LENGTH_MAX) return LENGTH_FAULT;
    draft.session = value;
    return undefined;
  },
  idle({ value }, draft, { sessionIdleMs }) {
    const most = Math.floor(sessionIdleMs / SECOND_MS);
    const seconds = wholeNumber(value, 1, most);
    if (seconds === undefined) return `must be seconds, from 1 to ${most}`;
    draft.idleMs = seconds * SECOND_MS;
    return undefined;
  },
  sessionduration({ value }, draft) {
    const minutes = wholeNumber(value, 1, DAY_MINUTES);
    if (minutes === undefined) return `must be minutes, from 1 to ${DAY_MINUTES}`;
    draft.durationMs = minutes * MINUTE_MS;
    return undefined;
  },
};

/** `city-berlin` is `label-city-berlin`. */
function byLabel({ name, label = name, value }: Parameter, draft: Draft): string | undefined {
  if (label.length > NAME_LENGTH_MAX || value.length > NAME_LENGTH_MAX) return LENGTH_FAULT;
  if (draft.labels.some(([other]) => other === label)) return `given twice: the label ${label}`;
  draft.labels.push([label, value]);
  return undefined;
}

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}
