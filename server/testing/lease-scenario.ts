/**
 * Runs a scenario text against the lease domain under a virtual clock, and gives the text back with what really came
 * out. A text is a row of blocks: a command (indented lines go on with it), `----`, what comes out. `#` begins a comment.
 *
 *   pool [replace] [hold] [slices=1]   an import; lines `p1 US rpw=3 r7 r8`, or `p1..p500 US r7` for many; what comes
 *                                      behind its answer, or behind so many slices, is held back
 *   configure ttl=200ms..7d [max=1]    policies, whole; lines `r7 ttl=1s..1m max=1`
 *   open c1 [window=30s] [notice=5s] [resume=c0 [secret=guess]] [sessions=10]
 *   drop c1 [suspend=20s]              its socket is gone (with suspend: closed by the coordinator)
 *   bye c1
 *   acquire c1 r7 ttl=30s [times=3] [where={…}]
 *   renew c1 1 2 [ttl=30s]
 *   release c1 1 [requests=5] [outcome=ok], and report likewise
 *   revoke 1 2 [reason=operator]
 *   advance 31s                        time goes on, what is due happens at its time
 *   pause 31s                          time goes on, and nobody looks
 *   due                                everything overdue, slice by slice
 *   continue                           what was held back of an import
 *   restart [floor=9000000] [suspend=20s]   the state goes through a snapshot, and a new run begins
 *   show leases | sessions | pool
 *
 * Leases are named by their token, holders as parseHolder says; `#1` is an address_id.
 */
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { LeaseCommand } from '../lease/commands.ts';
import type { ResourcePolicy } from '../lease/state.ts';
import { type Decided, LeaseDriver } from './lease-driver.ts';
import { decisionLines, duration, holderText, parseDuration, parseHolder } from './lease-notation.ts';

const TTL_MIN_MS = 200;
const TTL_MAX_MS = 7 * 86_400_000;
const SESSIONS_MAX = 1_000;

/** The text as it would have to read, given what the domain does. */
export function runScenario(text: string): string {
  const scenario = new Scenario();
  const lines = text.split('\n');
  const output: string[] = [];
  for (let index = 0; index < lines.length; ) {
    const line = lines[index]!;
    if (line === '' || line.startsWith('#')) {
      output.push(line);
      index += 1;
      continue;
    }
    const block: string[] = [];
    while (index < lines.length && lines[index] !== '----') {
      if (lines[index] === '') throw new Error(`line ${index + 1}: "${line}" has no "----" behind it`);
      block.push(lines[index]!);
      index += 1;
    }
    while (index < lines.length && lines[index] !== '') index += 1;
    output.push(...block, '----', ...scenario.run(block[0]!, block.slice(1)));
  }
  return output.join('\n');
}

/** Words of a command: those in place, and those by name. */
class Words {
  readonly placed: string[] = [];
  readonly #named = new Map<string, string>();

  constructor(line: string) {
    const [head, where] = line.split(/ where=(?=\{)/);
    for (const word of head!.trim().split(/\s+/)) {
      const [, name, value] = /^(\w+)=(.+)$/.exec(word) ?? [];
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
}

class Scenario {
  readonly #driver = new LeaseDriver();
  #epoch = 0;
  #request = 0;

  constructor() {
    this.#start(0, 0);
    this.#configure(new Words(`configure ttl=${TTL_MIN_MS}ms..${TTL_MAX_MS}ms`), []);
  }

  run(line: string, more: readonly string[]): string[] {
    const words = new Words(line);
    const driver = this.#driver;
    switch (words.at(0)) {
      case 'pool': {
        const records = more.flatMap(poolRecords);
        const command = { type: 'ImportPool', records, replace: words.has('replace') } as const;
        const slicesMax = words.named('slices', Number, Infinity);
        return decisionLines(
          driver.execute(command, (decisions) => {
            return decisions.length === slicesMax || (words.has('hold') && decisions.at(-1)!.answer !== undefined);
          }),
        );
      }
      case 'continue':
        return decisionLines(driver.resume());
      case 'configure':
        return decisionLines(this.#configure(words, more));
      case 'acquire':
        return decisionLines(this.#acquire(words));
      case 'advance':
        return decisionLines(driver.advance(parseDuration(words.at(1))), true);
      case 'pause':
        driver.pause(parseDuration(words.at(1)));
        return ['nothing'];
      case 'due':
        return decisionLines(driver.runDue(), true);
      case 'restart':
        driver.reload();
        return decisionLines(this.#start(words.named('floor', Number, 0), words.named('suspend', parseDuration, 0)));
      case 'show':
        return this.#show(words.at(1));
      default:
        return decisionLines(driver.execute(parseCommand(words)));
    }
  }

  #start(tokenFloor: number, suspendMs: number): Decided[] {
    this.#epoch += 1;
    return this.#driver.execute({ type: 'StartEpoch', epoch: this.#epoch, tokenFloor, suspendMs });
  }

  #configure(words: Words, more: readonly string[]): Decided[] {
    const defaultPolicy = policy(words, { ttlMinMs: TTL_MIN_MS, ttlMaxMs: TTL_MAX_MS });
    const policies = new Map(
      more.map((line) => {
        const own = new Words(line);
        return [resourceId(own.at(0)), policy(own, defaultPolicy)] as const;
      }),
    );
    return this.#driver.execute({ type: 'Configure', defaultPolicy, policies });
  }

  #acquire(words: Words): Decided[] {
    const decisions: Decided[] = [];
    for (let times = words.named('times', Number, 1); times > 0; times -= 1) {
      this.#request += 1;
      decisions.push(
        ...this.#driver.execute({
          type: 'AcquireLease',
          holder: parseHolder(words.at(1)),
          resource: resourceId(words.at(2)),
          ttlMs: words.named('ttl', parseDuration, 0),
          request: this.#request,
          ...words.optional('where', 'where', (json) => JSON.parse(json) as Where),
        }),
      );
    }
    const answered = decisions.flatMap(({ answer }) => (answer ? [answer.type] : []));
    if (answered.length <= 4) return decisions;
    const first = decisions[0]!;
    const summary = decisions.filter(({ answer }) => answer?.type !== 'granted');
    if (summary.length > 0) return summary;
    return [{ ...first, events: decisions.flatMap(({ events }) => events), answer: undefined }];
  }

  #show(what: string): string[] {
    const { state, nowMs } = this.#driver;
    const lines: string[] = [];
    if (what === 'leases') {
      for (const { token, resource, addressId, holder, deadlineMs } of state.leases.values()) {
        const { address } = state.addresses.get(addressId)!;
        lines.push(`${token} ${address} r${resource} ${holderText(holder)} remaining=${duration(deadlineMs - nowMs)}`);
      }
    } else if (what === 'sessions') {
      for (const { id, suspendedUntilMs, leases } of state.sessions.values()) {
        const rest = suspendedUntilMs === undefined ? 'open' : `suspended for ${duration(suspendedUntilMs - nowMs)}`;
        lines.push(`${id} ${rest} leases=${leases.size}`);
      }
    } else if (what === 'pool') {
      for (const { id, address, country, rpw, resourceIds, removed } of state.addresses.values()) {
        const serves = removed ? 'removed' : resourceIds.map((resource) => `r${resource}`).join(' ');
        lines.push(`#${id} ${address} ${country} rpw=${rpw} ${serves}`);
      }
    } else throw new Error(`show what? "${what}"`);
    return lines.length === 0 ? ['nothing'] : lines;
  }
}

function parseCommand(words: Words): LeaseCommand {
  const type = words.at(0);
  switch (type) {
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
        ...(resume === '' ? {} : { resume: { session: resume, secretHash } }),
      };
    }
    case 'drop':
      return { type: 'DropSession', session: words.at(1), suspendMs: words.named('suspend', parseDuration, 0) };
    case 'bye':
      return { type: 'EndSession', session: words.at(1) };
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
        ...words.optional('outcome', 'outcome', (text) => text as 'ok' | 'failed' | 'banned'),
        ...words.optional('requests', 'requests', Number),
      };
    case 'revoke':
      return { type: 'RevokeLeases', leases: words.placed.slice(1).map(Number), reason: 'operator' };
    default:
      throw new Error(`unknown command "${type}"`);
  }
}

function policy(words: Words, base: ResourcePolicy): ResourcePolicy {
  const [ttlMinMs, ttlMaxMs] = words.named('ttl', (range) => range.split('..').map(parseDuration), []);
  const bounds = { ttlMinMs: ttlMinMs ?? base.ttlMinMs, ttlMaxMs: ttlMaxMs ?? base.ttlMaxMs };
  return { ...base, ...bounds, ...words.optional('max', 'maxLeases', Number) };
}

function resourceId(word: string): number {
  if (!/^r\d+$/.test(word)) throw new Error(`not a resource: "${word}"`);
  return Number(word.slice(1));
}

/** `p1 US rpw=3 r7 r8`; `p1..p500` stands for as many records. */
function poolRecords(line: string): AddressRecord[] {
  const words = new Words(line);
  const [country, ...resources] = words.placed.slice(1);
  const [, first, last] = /^p(\d+)(?:\.\.p(\d+))?$/.exec(words.at(0)) ?? [];
  if (first === undefined || country === undefined) throw new Error(`not a record: "${line}"`);
  const count = Number(last ?? first) - Number(first) + 1;
  return Array.from({ length: count }, (_, index) => ({
    address: `p${Number(first) + index}`,
    country,
    rpw: words.named('rpw', Number, 0),
    resource_ids: resources.map(resourceId),
  }));
}
