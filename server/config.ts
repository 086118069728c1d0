/**
 * Reads the settings from flags, variables, a file and defaults, the earlier before the later, and reports everything
 * that is wrong with any of them at once. It touches neither the process nor the disk itself: main hands both in.
 *
 * Each source is checked whole, values that a stronger source overrides included: a fault that sleeps until somebody
 * drops a flag is still a fault. A variable that is set to nothing counts as not set; flags are taken as they are.
 */
import * as v from 'valibot';
import { pathOf } from '../protocol/frame-fault.ts';
import { parseJson } from './lease/parse-json.ts';
import { policyFaults, type ResourcePolicy } from './lease/policy.ts';
import { toCamelKeys } from './setting-schemas.ts';
import {
  type Config,
  defaultText,
  isLoopback,
  SETTING_NAMES,
  type SettingName,
  settingOf,
  settingsSchema,
  withWholePolicies,
} from './settings.ts';

export { type Config, SETTINGS } from './settings.ts';

/** Kept equal to package.json's by a test. */
export const VERSION = '0.1.0';
export const ENV_PREFIX = 'LEASEHOLD_';
/** A longer configuration file is refused. */
export const CONFIG_LENGTH_MAX = 1_048_576;
/** Policies of all resources as JSON: one commit takes them (1 MB, and a character may take three bytes). */
export const POLICIES_CHARACTERS_MAX = 300_000;

/** One goes with the other. */
const PAIRS = [
  ['tls_cert', 'tls_key'],
  ['admin_tls_cert', 'admin_tls_key'],
  ['rate_capacity', 'rate_per_sec'],
] as const;

export interface ConfigInput {
  /** What follows the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; throws where it can't be read. */
  readonly readFile: (path: string) => string;
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: string[] }
  /** `--help` or `--version`: to be printed, and nothing else done. */
  | { readonly ok: 'help'; readonly text: string };

export function loadConfig({ argv, env, readFile }: ConfigInput): LoadedConfig {
  if (argv.includes('--help') || argv.includes('-h')) return { ok: 'help', text: helpText() };
  if (argv.includes('--version')) return { ok: 'help', text: `leasehold ${VERSION}\n` };
  const problems: string[] = [];
  const flags = check(readFlags(argv, problems), problems);
  const variables = check(readVariables(env, problems), problems);
  const file = check(readConfigFile(flags.config ?? variables.config, readFile, problems), problems);
  const given: Given = { ...file, ...variables, ...flags };
  // What is faulty has been left out, so that what remains holds for itself and can be checked as a whole.
  const config = withWholePolicies(toCamelKeys(v.parse(settingsSchema, valuesOf(given))));
  checkTogether(config, given, problems);
  return problems.length === 0 ? { ok: true, config } : { ok: false, problems };
}

export function flagOf(name: SettingName): string {
  return `--${name.replaceAll('_', '-')}`;
}

export function variableOf(name: SettingName): string {
  return `${ENV_PREFIX}${name.toUpperCase()}`;
}

// ---- the three sources

/** A value as the file would hold it, and how to call the place it comes from. */
interface GivenValue {
  readonly value: unknown;
  readonly label: string;
  /** What was wrong already with its text. */
  readonly fault?: string;
  /** It has been reported; it stands here only so that nobody calls the setting missing. */
  readonly faulty?: true;
}
type Given = Readonly<Partial<Record<SettingName, GivenValue>>>;

const FLAGS = new Map(SETTING_NAMES.map((name) => [flagOf(name), name]));
const VARIABLES = new Map(SETTING_NAMES.map((name) => [variableOf(name), name]));
const FILE_KEYS = new Map(
  SETTING_NAMES.filter((name) => !settingOf(name).noFile).map((name) => [name as string, name]),
);

/** `--name value`, `--name=value`, and for what is true or false also `--name` and `--no-name`. The last one counts. */
function readFlags(argv: readonly string[], problems: string[]): Given {
  const given: Partial<Record<SettingName, GivenValue>> = {};
  for (let index = 0; index < argv.length; index += 1) {
    const [, written = '', inline] = /^([^=]*)(?:=([\s\S]*))?$/.exec(argv[index] ?? '') ?? [];
    if (!written.startsWith('--')) {
      problems.push(`unexpected argument "${shortened(written)}"`);
      continue;
    }
    const positive = FLAGS.get(`--${written.slice('--no-'.length)}`);
    const negated = written.startsWith('--no-') && positive !== undefined && settingOf(positive).kind === 'boolean';
    const name = negated ? positive : FLAGS.get(written);
    const setting = name && settingOf(name);
    if (negated || setting?.kind === 'boolean') {
      if (negated && inline !== undefined) problems.push(`${written}: takes no value`);
      else given[name as SettingName] = { value: negated ? false : asBoolean(inline ?? 'true'), label: written };
      continue;
    }
    const next = argv[index + 1];
    const takesNext = inline === undefined && next !== undefined && !next.startsWith('--');
    const value = inline ?? (takesNext ? next : undefined);
    if (takesNext) index += 1;
    if (!name || !setting) problems.push(`${shortened(written)}: unknown flag${suggestion(written, FLAGS.keys())}`);
    else if (setting.noFlag !== undefined) problems.push(`${written}: not taken as a flag: ${setting.noFlag}`);
    else if (value === undefined) problems.push(`${written}: needs a value`);
    else given[name] = fromText(name, value, written);
  }
  return given;
}

function readVariables(env: ConfigInput['env'], problems: string[]): Given {
  const given: Partial<Record<SettingName, GivenValue>> = {};
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(ENV_PREFIX)) continue;
    const name = VARIABLES.get(variable);
    if (!name) problems.push(`${shortened(variable)}: unknown variable${suggestion(variable, VARIABLES.keys())}`);
    else if (value !== undefined && value !== '') given[name] = fromText(name, value, variable);
  }
  return given;
}

function readConfigFile(path: GivenValue | undefined, readFile: ConfigInput['readFile'], problems: string[]): Given {
  if (typeof path?.value !== 'string' || path.faulty) return {};
  const file = path.value;
  let text: string;
  try {
    text = readFile(file);
  } catch (error) {
    problems.push(`${path.label}: can't read ${file}: ${(error as Error).message}`);
    return {};
  }
  if (text.length > CONFIG_LENGTH_MAX) {
    problems.push(`${file}: longer than ${CONFIG_LENGTH_MAX} characters`);
    return {};
  }
  const parsed = parseJson(text);
  if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value)) {
    problems.push(`${file}: ${parsed.ok ? 'must be an object of settings' : parsed.message}`);
    return {};
  }
  const given: Partial<Record<SettingName, GivenValue>> = {};
  for (const [key, value] of Object.entries(parsed.value)) {
    const name = FILE_KEYS.get(key);
    if (name) given[name] = { value, label: `${file}: ${key}` };
    else problems.push(`${file}: ${shortened(key)}: unknown setting${suggestion(key, FILE_KEYS.keys())}`);
  }
  return given;
}

/** What is no number or truth value stays text: the schema then says what it should have been. */
function fromText(name: SettingName, text: string, label: string): GivenValue {
  switch (settingOf(name).kind) {
    case 'text':
      return { value: text, label };
    case 'integer':
      return { value: /^[+-]?\d+$/.test(text) ? Number(text) : text, label };
    case 'number':
      return { value: /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : text, label };
    case 'boolean':
      return { value: asBoolean(text), label };
    case 'list': {
      const items = text.split(',').map((item) => item.trim());
      return { value: items.filter((item) => item !== ''), label };
    }
    case 'json': {
      const parsed = parseJson(text);
      return parsed.ok ? { value: parsed.value, label } : { value: undefined, label, fault: parsed.message };
    }
  }
}

function asBoolean(text: string): unknown {
  if (text === 'true' || text === '1') return true;
  return text === 'false' || text === '0' ? false : text;
}

// ---- checking

/** Reports what the schema finds in one source, and marks it. */
function check(given: Given, problems: string[]): Given {
  const checked: Partial<Record<SettingName, GivenValue>> = {};
  for (const name of SETTING_NAMES) {
    const entry = given[name];
    if (!entry) continue;
    if (entry.fault !== undefined) {
      problems.push(`${entry.label}: ${entry.fault}`);
      checked[name] = { ...entry, faulty: true };
      continue;
    }
    const { schema, secret } = settingOf(name);
    const result = v.safeParse(schema, entry.value, { abortPipeEarly: true });
    checked[name] = result.success ? entry : { ...entry, faulty: true };
    for (const issue of result.issues ?? []) {
      const place = pathOf(issue);
      // Behind a key of the file the path goes on, behind a flag or variable it begins.
      const joint = place === '' || !entry.label.includes(': ') ? ': ' : place.startsWith('[') ? '' : '.';
      const at = place === '' ? '' : `${joint}${place}`;
      // The others don't speak of the value.
      const received = !secret && issue.message.startsWith('must ') ? `, not ${shown(issue.input)}` : '';
      problems.push(`${entry.label}${at}: ${issue.message}${received}`);
    }
  }
  return checked;
}

function valuesOf(given: Given): Record<string, unknown> {
  const entries = Object.entries(given).filter(([, entry]) => !entry.faulty);
  return Object.fromEntries(entries.map(([name, entry]) => [name, entry.value]));
}

/** What no setting can know of itself. Nothing is said of a setting that has been reported already. */
function checkTogether(config: Config, given: Given, problems: string[]): void {
  const labelOf = (name: SettingName) => given[name]?.label ?? flagOf(name);
  const areSound = (...names: SettingName[]) => names.every((name) => !given[name]?.faulty);

  if (areSound('admin_host', 'admin_key') && config.adminKey === undefined && !isLoopback(config.adminHost)) {
    const reason = `must be set where ${labelOf('admin_host')} is ${config.adminHost}, which others can reach`;
    problems.push(`${variableOf('admin_key')}: ${reason}`);
  }
  const isRedirectOpen = config.redirectPort !== undefined && !isLoopback(config.gatewayHost);
  if (areSound('gateway_host', 'redirect_port', 'admin_key') && config.adminKey === undefined && isRedirectOpen) {
    const reason = `must be set where ${labelOf('redirect_port')} is and ${labelOf('gateway_host')} is ${config.gatewayHost}`;
    problems.push(`${variableOf('admin_key')}: ${reason}, or others could change where redirects lead`);
  }
  const hosts = [config.host, config.adminHost];
  const shareHost = config.host === config.adminHost || hosts.includes('0.0.0.0') || hosts.includes('::');
  const sharePort = shareHost && config.port !== 0 && config.port === config.adminPort;
  if (areSound('host', 'port', 'admin_host', 'admin_port') && sharePort) {
    problems.push(`${labelOf('admin_port')}: ${config.adminPort} is the port of the WebSocket listener already`);
  }
  const isOpenProxy = config.forwardPort !== undefined && !config.apiKeys && !isLoopback(config.gatewayHost);
  if (areSound('forward_port', 'api_keys', 'gateway_host') && isOpenProxy) {
    const reason = `needs ${flagOf('api_keys')} where ${labelOf('gateway_host')} is ${config.gatewayHost}, which others can reach`;
    problems.push(`${labelOf('forward_port')}: ${reason}: it would be an open proxy`);
  }
  for (const [one, other] of PAIRS) {
    if (!areSound(one, other) || (given[one] === undefined) === (given[other] === undefined)) continue;
    const [there, missing] = given[one] === undefined ? [other, one] : [one, other];
    problems.push(`${labelOf(there)}: needs ${flagOf(missing)}, too`);
  }
  checkRoutes(config, given, problems);
  if (areSound('resources', 'resources_max') && config.resources.size > config.resourcesMax) {
    const bound = `${labelOf('resources_max')} allows ${config.resourcesMax}`;
    problems.push(`${labelOf('resources')}: names ${config.resources.size} resources, ${bound}`);
  }
  const isSound = (label: string, policy: ResourcePolicy) => {
    const faults = policyFaults(policy);
    problems.push(...faults.map((fault) => `${label}: ${fault}`));
    return faults.length === 0;
  };
  if (!areSound('resource_defaults')) return;
  // Whatever is wrong with the defaults would be wrong once more with every resource.
  if (!isSound(labelOf('resource_defaults'), config.resourceDefaults)) return;
  for (const [id, policy] of config.resources) isSound(`${labelOf('resources')}: ${id}`, policy);
  const ofDefaults = JSON.stringify(config.resourceDefaults).length;
  const ofAll = ofDefaults + JSON.stringify([...config.resources]).length;
  if (ofDefaults > POLICIES_CHARACTERS_MAX) {
    problems.push(`${labelOf('resource_defaults')}: ${ofDefaults} characters, ${POLICIES_CHARACTERS_MAX} at most`);
  } else if (ofAll > POLICIES_CHARACTERS_MAX) {
    const what = `${ofAll} characters with the defaults put in`;
    problems.push(`${labelOf('resources')}: ${what}, ${POLICIES_CHARACTERS_MAX} at most`);
  }
}

/** A listener without routes, and two routes for everything. */
function checkRoutes(config: Config, given: Given, problems: string[]): void {
  const told = [given.targets, given.routes].filter((entry) => entry !== undefined);
  if ([...told, given.reverse_port].some((entry) => entry?.faulty)) return;
  if (config.reversePort !== undefined && config.routes.length === 0) {
    const label = given.reverse_port!.label;
    problems.push(`${label}: needs ${flagOf('targets')} or ${flagOf('routes')}, to know where requests go`);
  }
  const forAll = config.routes.filter(({ host, path }) => host === undefined && path === '/');
  if (forAll.length > 1)
    problems.push(`${given.targets!.label}: ${given.routes!.label} has a route for everything, too`);
}

// ---- words

const PLACEHOLDERS = { text: ' TEXT', integer: ' N', number: ' N', boolean: '', list: ' A,B', json: ' JSON' } as const;

function helpText(): string {
  const rows = SETTING_NAMES.map((name): [string, string] => {
    const { kind, meaning, noFlag } = settingOf(name);
    const flag = kind === 'boolean' ? flagOf(name).replace('--', '--[no-]') : flagOf(name);
    const usual = defaultText(name);
    return [
      noFlag === undefined ? `${flag}${PLACEHOLDERS[kind]}` : variableOf(name),
      usual === '' ? meaning : `${meaning} (${usual})`,
    ];
  });
  rows.push(['-h, --help', 'This text'], ['--version', 'The version']);
  const width = Math.max(...rows.map(([left]) => left.length));
  return `leasehold ${VERSION}: leases proxy addresses to collectors over a WebSocket

Usage: node dist/server/main.js [flags]        (from a checkout: npm start -- [flags])

Every flag is also a variable (--data-dir: ${variableOf('data_dir')}) and a key of the file that --config names (data_dir).
Flags come before variables, variables before the file. Durations are in ms. Defaults in parentheses.

${rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')}
`;
}

const SHOWN_LENGTH_MAX = 80;

function shown(value: unknown): string {
  return shortened(typeof value === 'number' ? String(value) : JSON.stringify(value));
}

function shortened(text: string): string {
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

/** `; did you mean …?` with the nearest of `known`, where one is near enough. */
function suggestion(written: string, known: Iterable<string>): string {
  let best: string | undefined;
  let bestDistance = 1 + Math.min(3, Math.floor(written.length / 3));
  for (const word of known) {
    const distance = editDistance(shortened(written), word);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best === undefined ? '' : `; did you mean ${best}?`;
}

/** Letters to insert, drop or replace (Levenshtein). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}
