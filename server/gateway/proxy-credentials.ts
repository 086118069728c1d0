/**
 * Who asks the forward proxy, and for what: `Proxy-Authorization: Basic`, in the way of commercial proxies. The grammar:
 *
 *     user      = [ word "-" ] parameter *( "-" parameter )  |  word
 *     word      = API key | any text without "-" that is no parameter's name
 *     parameter = name "-" value  |  "label-" name "-" value
 *     value     = text in which "-" is written %2D, and what else needs it as in a URL
 *     password  = API key | anything
 *
 * `lh_…-resource-7-country-us-session-abc` or `user-resource-7` (where no keys are needed) with any password or none, or
 * `resource-7-country-us` with the key as its password. A key in the user counts before the password; it may have dashes
 * itself and is known by its length.
 */

/** As in the user; values are decoded. Of a label: its name and its value, divided by a dash. */
export interface Parameter {
  readonly name: string;
  readonly value: string;
  /** Of a label. */
  readonly label?: string;
}

export type ProxyCredentials =
  | {
      readonly type: 'credentials';
      /** What claims to be one; undefined: none was given. */
      readonly key: string | undefined;
      readonly parameters: readonly Parameter[];
    }
  /** No header. */
  | { readonly type: 'missing' }
  /** Not Basic, or nothing that it could stand for. */
  | { readonly type: 'malformed' }
  /** `parameter`: the first that can't be read. */
  | { readonly type: 'bad_parameter'; readonly key: string | undefined; readonly parameter: string; message: string };

/** What a parameter may be called, and how others call it. */
export const PARAMETER_NAMES = [
  'resource',
  'country',
  'city',
  'state',
  'label',
  'rpw',
  'strategy',
  'sticky',
  'session',
  'idle',
  'sessionduration',
] as const;
export type ParameterName = (typeof PARAMETER_NAMES)[number];

const NAMES: ReadonlySet<string> = new Set(PARAMETER_NAMES);
const KEY_AT_START = /^lh_[0-9a-f]{16}_[\w-]{32}(?=-|$)/;
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

export function readCredentials(header: string | undefined): ProxyCredentials {
  if (header === undefined) return { type: 'missing' };
  const [, encoded] = BASIC.exec(header) ?? [];
  if (encoded === undefined) return { type: 'malformed' };
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1) return { type: 'malformed' };
  const user = text.slice(0, colon);
  const password = text.slice(colon + 1);
  const keyInUser = KEY_AT_START.exec(user)?.[0];
  // One that was cut or mistyped; no part of it is to be named in an answer.
  if (keyInUser === undefined && user.startsWith('lh_')) return { type: 'credentials', key: user, parameters: [] };
  const key = keyInUser ?? (password === '' ? undefined : password);
  const rest = keyInUser === undefined ? withoutWord(user) : user.slice(keyInUser.length + 1);
  const read = readParameters(rest);
  return 'fault' in read
    ? { type: 'bad_parameter', key, parameter: read.parameter, message: read.fault }
    : { type: 'credentials', key, parameters: read };
}

/** What follows the word, which says nothing where it is no key. */
function withoutWord(user: string): string {
  const [first = ''] = user.split('-', 1);
  return NAMES.has(first.toLowerCase()) ? user : user.slice(first.length + 1);
}

function readParameters(text: string): Parameter[] | { readonly fault: string; readonly parameter: string } {
  if (text === '') return [];
  const parts = text.split('-');
  const parameters: Parameter[] = [];
  for (let index = 0; index < parts.length; ) {
    const name = parts[index]!.toLowerCase();
    if (!NAMES.has(name)) {
      const known = PARAMETER_NAMES.join(', ');
      return { fault: `is no parameter (${known}); a dash in a value is written %2D`, parameter: shortened(name) };
    }
    const valueCount = name === 'label' ? 2 : 1;
    const values = parts.slice(index + 1, index + 1 + valueCount).map(decoded);
    index += 1 + valueCount;
    if (values.includes(undefined)) return { fault: 'has a % that encodes nothing', parameter: name };
    const value = values.at(-1);
    if (values.length < valueCount || values.includes('') || value === undefined) {
      return { fault: valueCount === 2 ? 'needs a name and a value' : 'needs a value', parameter: name };
    }
    const label = name === 'label' ? values[0]! : undefined;
    const isTwice = parameters.some((other) => other.name === name && other.label === label);
    if (isTwice) return { fault: 'given twice', parameter: name };
    parameters.push({ name, value, ...(label === undefined ? {} : { label }) });
  }
  return parameters;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const SHOWN_LENGTH_MAX = 40;

/** Of what may be anything: a piece of a key, too. */
function shortened(name: string): string {
  return /^[a-z_]{1,40}$/.test(name) ? name : name.length > SHOWN_LENGTH_MAX ? 'a long word' : 'a word';
}
