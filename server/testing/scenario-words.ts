/** What the words of a scenario's commands stand for. */
import type { LeaseEnd, Outcome, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { StorageLevel } from '../coordinator/domain.ts';
import type { AcquireTerms, LeaseCommand } from '../lease/commands.ts';
import type { Owner } from '../lease/holder.ts';
import type { ResourcePolicy } from '../lease/policy.ts';
import { parseDuration, parseHolder } from './lease-notation.ts';

const SESSIONS_MAX = 1_000;

/** Words of a command: those in place, and those by name. */
export class Words {
  readonly placed: string[] = [];
  readonly #named = new Map<string, string>();
  readonly #line: string;

  constructor(line: string) {
    this.#line = line;
    const [head, where] = line.split(/ where=(?=\{)/);
    for (const word of head!.trim().split(/\s+/)) {
      const [, name, value] = /^([\w.]+)=(.+)$/.exec(word) ?? [];
      if (name === undefined) this.placed.push(word);
      else this.#named.set(name, value!);
    }
    if (where !== undefined) this.#named.set('where', where);
  }

  at(index: number): string {
    const word = this.placed[index];
    if (word === undefined) throw new Error(`"${this.placed.join(' ')}" lacks something`);
    return word;
  }

  /** The line from that word on. */
  line(index: number): string {
    return this.#line.split(/\s+/).slice(index).join(' ');
  }

  has(word: string): boolean {
    return this.placed.includes(word);
  }

  /** Nothing where it isn't given, so that the answer can be spread. */
  optional<Name extends string, Value>(name: string, as: Name, parse: (text: string) => Value) {
    const text = this.#named.get(name);
    return (text === undefined ? {} : { [as]: parse(text) }) as { [Key in Name]?: Value };
  }

  named<Value>(name: string, parse: (text: string) => Value, absent: Value): Value {
    const text = this.#named.get(name);
    return text === undefined ? absent : parse(text);
  }

  /** `label.tier=a` is a value of the group `label`. */
  group(name: string): Record<string, string> {
    const own = [...this.#named].filter(([word]) => word.startsWith(`${name}.`));
    return Object.fromEntries(own.map(([word, value]) => [word.slice(name.length + 1), value]));
  }
}

/** Every command but those that need to know more than their own words. */
export function parseCommand(words: Words): LeaseCommand {
  const type = words.at(0);
  switch (type) {
    case 'add':
      return { type: 'AddAddress', record: oneRecord(words.line(1)), ...words.optional('max', 'resourcesMax', Number) };
    case 'update': {
      const max = words.optional('max', 'resourcesMax', Number);
      return { type: 'UpdateAddress', addressId: addressId(words.at(1)), record: oneRecord(words.line(2)), ...max };
    }
    case 'remove': {
      const deadline = words.optional('deadline', 'deadlineMs', parseDuration);
      return { type: 'RemoveAddress', addressId: addressId(words.at(1)), ...deadline };
    }
    case 'policy': {
      const version = words.optional('version', 'version', Number);
      const resource = resourceId(words.at(1));
      if (words.has('off')) return { type: 'DeletePolicy', resource, ...version };
      const resourcesMax = words.optional('resources', 'resourcesMax', Number);
      return { type: 'SetPolicy', resource, policy: parseOwnPolicy(words), ...version, ...resourcesMax };
    }
    case 'open': {
      const resume = words.named('resume', String, '');
      const secretHash = words.named('secret', String, `secret of ${resume}`);
      return {
        type: 'OpenSession',
        session: words.at(1),
        secretHash: `secret of ${words.at(1)}`,
        resumeWindowMs: words.named('window', parseDuration, 0),
        sessionsMax: words.named('sessions', Number, SESSIONS_MAX),
        ...words.optional('notice', 'noticeMs', parseDuration),
        ...ownerOf(words),
        ...(resume === '' ? {} : { resume: { session: resume, secretHash } }),
      };
    }
    case 'drop':
      return { type: 'DropSession', session: words.at(1), suspendMs: words.named('suspend', parseDuration, 0) };
    case 'bye':
      return { type: 'EndSession', session: words.at(1) };
    case 'expel':
      return { type: 'RevokeSession', session: words.at(1) };
    case 'explain':
      return { type: 'ExplainAcquire', ...acquireTerms(words) };
    case 'cancel':
      return { type: 'CancelAcquire', holder: parseHolder(words.at(1)), request: Number(words.at(2)) };
    case 'renew': {
      const leases = words.placed.slice(2).map(Number);
      const ttl = words.optional('ttl', 'ttlMs', parseDuration);
      return { type: 'RenewLeases', holder: parseHolder(words.at(1)), leases, ...ttl };
    }
    case 'release':
    case 'report':
      return {
        type: type === 'release' ? 'ReleaseLease' : 'ReportLease',
        holder: parseHolder(words.at(1)),
        lease: Number(words.at(2)),
        ...words.optional('outcome', 'outcome', (text) => text as Outcome),
        ...words.optional('requests', 'requests', Number),
      };
    case 'revoke': {
      const reason = words.named('reason', (text) => text as RevokeReason, 'operator');
      const deadline = words.optional('deadline', 'deadlineMs', parseDuration);
      return { type: 'RevokeLeases', leases: words.placed.slice(1).map(Number), reason, ...deadline };
    }
    case 'quarantine':
      return { type: 'Quarantine', ...pairNamed(words), ...words.optional('for', 'forMs', parseDuration) };
    case 'lift':
      return { type: 'LiftQuarantine', ...pairNamed(words) };
    case 'health':
      return { type: 'SetAddressHealth', addressId: addressId(words.at(1)), isHealthy: words.at(2) === 'up' };
    case 'drain':
      return { type: 'DrainAddress', addressId: addressId(words.at(1)), isDraining: !words.has('off') };
    case 'storage':
      return { type: 'SetStorage', level: words.at(1) as StorageLevel };
    case 'extend':
      return { type: 'ExtendSuspensions', byMs: parseDuration(words.at(1)) };
    default:
      throw new Error(`unknown command "${type}"`);
  }
}

/** `c1 r7 ttl=30s …` behind the word that says what is asked. */
export function acquireTerms(words: Words): AcquireTerms {
  return {
    holder: parseHolder(words.at(1)),
    resource: resourceId(words.at(2)),
    ttlMs: words.named('ttl', parseDuration, 0),
    ...ownerOf(words),
    ...words.optional('strategy', 'strategy', (text) => text as Strategy),
    ...words.optional('sticky', 'sticky', String),
    ...words.optional('wait', 'waitMs', parseDuration),
    ...words.optional('count', 'count', Number),
    ...words.optional('where', 'where', parseWhere),
  };
}

/** What isn't given is as in `base`. */
export function parsePolicy(words: Words, base: ResourcePolicy): ResourcePolicy {
  return { ...base, ...parseOwnPolicy(words) };
}

export function parseOwnPolicy(words: Words): Partial<ResourcePolicy> {
  const [ttlMinMs, ttlMaxMs] = words.named('ttl', (range) => range.split('..').map(parseDuration), []);
  return {
    ...(ttlMinMs === undefined ? {} : { ttlMinMs }),
    ...(ttlMaxMs === undefined ? {} : { ttlMaxMs }),
    ...words.optional('max', 'maxLeases', Number),
    ...words.optional('max_per_client', 'maxLeasesPerClient', Number),
    ...words.optional('strategy', 'strategy', (text) => text as Strategy),
    ...words.optional('cooldown', 'cooldownMs', parseCooldowns),
    ...words.optional('handover', 'handover', (text) => text as 'fast' | 'safe'),
    ...words.optional('ban', 'banMs', parseDuration),
    ...words.optional('ban_max', 'banMaxMs', parseDuration),
    ...words.optional('ban_decay', 'banDecayMs', parseDuration),
    ...words.optional('ban_address_after', 'banAddressAfter', Number),
    ...words.optional('slow_share', 'slowShare', Number),
    ...words.optional('slow_interval', 'slowIntervalMs', parseDuration),
    ...words.optional('revoke_deadline', 'revokeDeadlineMs', parseDuration),
    ...words.optional('where', 'where', parseWhere),
  };
}

export function resourceId(word: string): number {
  if (!/^r\d+$/.test(word)) throw new Error(`not a resource: "${word}"`);
  return Number(word.slice(1));
}

/** `p1 US rpw=3 weight=2 label.tier=a r7 r8`; `p1..p500` stands for as many records. */
export function poolRecords(line: string): AddressRecord[] {
  const words = new Words(line);
  const [country, ...resources] = words.placed.slice(1);
  const [, first, last] = /^p(\d+)(?:\.\.p(\d+))?$/.exec(words.at(0)) ?? [];
  if (first === undefined || country === undefined) throw new Error(`not a record: "${line}"`);
  const count = Number(last ?? first) - Number(first) + 1;
  const labels = words.group('label');
  return Array.from({ length: count }, (_, index) => ({
    address: `p${Number(first) + index}`,
    country,
    rpw: words.named('rpw', Number, 0),
    resource_ids: resources.map(resourceId),
    ...words.optional('weight', 'weight', Number),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  }));
}

/** `client=anna` or `ip=10.0.0.1`. */
function ownerOf(words: Words): { owner?: Owner } {
  const client = words.optional('client', 'owner', (name): Owner => ({ kind: 'client', client: name }));
  return { ...client, ...words.optional('ip', 'owner', (ip): Owner => ({ kind: 'ip', ip })) };
}

function oneRecord(line: string): AddressRecord {
  const [record, ...more] = poolRecords(line);
  if (!record || more.length > 0) throw new Error(`not one record: "${line}"`);
  return record;
}

/** `released:1s,expired:5s`, or one for every kind of end. */
function parseCooldowns(text: string): Partial<Record<LeaseEnd, number>> {
  if (!text.includes(':')) {
    const ms = parseDuration(text);
    return { released: ms, expired: ms, revoked: ms, session_lost: ms };
  }
  return Object.fromEntries(
    text.split(',').map((part) => {
      const [end, ms] = part.split(':');
      return [end!, parseDuration(ms!)];
    }),
  );
}

function pairNamed(words: Words): { addressId: number; resource?: number } {
  const resource = words.placed[2];
  return { addressId: addressId(words.at(1)), ...(resource === undefined ? {} : { resource: resourceId(resource) }) };
}

function addressId(word: string): number {
  if (!/^#\d+$/.test(word)) throw new Error(`not an address_id: "${word}"`);
  return Number(word.slice(1));
}

function parseWhere(json: string): Where {
  return JSON.parse(json) as Where;
}
