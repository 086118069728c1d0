/**
 * Runs a scenario text against the lease domain under a virtual clock, and gives the text back with what really came
 * out. A text is a row of blocks: a command (indented lines go on with it), `----`, what comes out. `#` begins a comment.
 *
 *   pool [file] [replace] [slices=1] [max=50]   an import (file: that of the start); lines `p1 US rpw=3 weight=2 label.tier=a r7 r8`, or `p1..p500 US r7` for
 *                                      many; what comes behind so many slices is held back
 *   add p1 US r7 [max=50], update #1 p1 CA r7, remove #1 [deadline=10s]   by hand
 *   configure [POLICY]                 policies, whole: the default one, then lines `r7 POLICY`, each over the default.
 *                                      POLICY: ttl=200ms..7d max=1 max_per_client=1 strategy=random cooldown=5s (or released:1s,expired:5s)
 *                                      handover=safe ban=1m ban_max=1h ban_decay=1d ban_address_after=2 slow_share=0.5
 *                                      slow_interval=1s revoke_deadline=10s where={…}
 *   policy r7 POLICY [version=2] [resources=50], policy r7 off [version=2]   by API, over the configuration's
 *   open c1 [client=anna | ip=10.0.0.1] [window=30s] [notice=5s] [resume=c0 [secret=guess]] [sessions=10]
 *   drop c1 [suspend=20s]              its socket is gone (with suspend: closed by the coordinator)
 *   bye c1
 *   expel c1                           an operator ends it
 *   acquire c1 r7 ttl=30s [strategy=sticky] [sticky=anna] [wait=10s] [count=2] [key=a] [times=3] [where={…}]
 *                                      for http:x: [ip=10.0.0.1]
 *   explain c1 r7 …                    likewise
 *   tally c1 r7 times=1000 …           acquires and releases so often, and counts by address
 *   cancel c1 3                        the third acquire of the scenario
 *   renew c1 1 2 [ttl=30s]
 *   release c1 1 [requests=5] [outcome=ok], and report likewise
 *   revoke 1 2 [deadline=10s] [reason=operator]
 *   quarantine #1 [r7] [for=1h], lift #1 [r7]
 *   health #1 down | up, drain #1 [off]
 *   extend 10s                         suspended sessions may be resumed so much longer
 *   advance 31s                        time goes on, what is due happens at its time
 *   pause 31s                          time goes on, and nobody looks
 *   wall -1h                           the wall clock is set
 *   due                                everything overdue, slice by slice
 *   continue                           what was held back of an import
 *   restart [floor=9000000] [suspend=20s]   the state goes through a snapshot, and a new run begins
 *   seed 7                             chance begins anew; at first it is 1
 *   show leases | sessions | pool
 *
 * Leases are named by their token, requests by their number in the scenario, holders as parseHolder says; `#1` is an
 * address_id.
 */

import { decisionLines } from './decision-lines.ts';
import { type Decided, LeaseDriver } from './lease-driver.ts';
import { duration, fields, holderText, parseDuration } from './lease-notation.ts';
import { acquireTerms, parseCommand, parsePolicy, poolRecords, resourceId, Words } from './scenario-words.ts';
import { seededRandom } from './seeded-random.ts';

const TTL_MIN_MS = 200;
const TTL_MAX_MS = 7 * 86_400_000;
/** Answers to a repeated acquire that are shown one by one. */
const ANSWERS_SHOWN_MAX = 4;

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

class Scenario {
  readonly #driver = new LeaseDriver(undefined, seededRandom(1));
  #epoch = 0;
  #request = 0;

  constructor() {
    this.#start(0, 0);
    this.#configure(new Words('configure'), []);
  }

  run(line: string, more: readonly string[]): string[] {
    const words = new Words(line);
    const driver = this.#driver;
    switch (words.at(0)) {
      case 'pool':
        return decisionLines(this.#import(words, more));
      case 'continue':
        return decisionLines(driver.resume());
      case 'configure':
        return decisionLines(this.#configure(words, more));
      case 'acquire':
        return decisionLines(this.#acquire(words));
      case 'tally':
        return this.#tally(words);
      case 'advance':
        return decisionLines(driver.advance(parseDuration(words.at(1))), true);
      case 'pause':
        driver.pause(parseDuration(words.at(1)));
        return ['nothing'];
      case 'wall':
        driver.utcMs += parseDuration(words.at(1));
        return ['nothing'];
      case 'due':
        return decisionLines(driver.runDue(), true);
      case 'restart':
        driver.reload();
        return decisionLines(this.#start(words.named('floor', Number, 0), words.named('suspend', parseDuration, 0)));
      case 'seed':
        driver.random = seededRandom(Number(words.at(1)));
        return ['nothing'];
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
    const defaultPolicy = parsePolicy(words, { ttlMinMs: TTL_MIN_MS, ttlMaxMs: TTL_MAX_MS });
    const policies = new Map(
      more.map((line) => {
        const own = new Words(line);
        return [resourceId(own.at(0)), parsePolicy(own, defaultPolicy)] as const;
      }),
    );
    return this.#driver.execute({ type: 'Configure', defaultPolicy, policies });
  }

  #import(words: Words, more: readonly string[]): Decided[] {
    const records = more.flatMap(poolRecords);
    const slicesMax = words.named('slices', Number, Infinity);
    const command = {
      type: 'ImportPool',
      records,
      replace: words.has('replace'),
      ...(words.has('file') ? { source: 'file' as const } : {}),
      ...words.optional('max', 'resourcesMax', Number),
    } as const;
    return this.#driver.execute(command, (decisions) => {
      return decisions.filter(({ kind }) => kind !== 'due').length === slicesMax;
    });
  }

  #acquire(words: Words): Decided[] {
    const decisions: Decided[] = [];
    for (let times = words.named('times', Number, 1); times > 0; times -= 1) {
      this.#request += 1;
      const key = words.optional('key', 'key', String);
      const terms = acquireTerms(words);
      decisions.push(...this.#driver.execute({ type: 'AcquireLease', ...terms, ...key, request: this.#request }));
    }
    const answered = decisions.filter(({ answer }) => answer !== undefined);
    if (answered.length <= ANSWERS_SHOWN_MAX) return decisions;
    const others = answered.filter(({ answer }) => answer!.type !== 'granted');
    if (others.length > 0) return others;
    return [{ ...decisions[0]!, events: decisions.flatMap(({ events }) => events), answer: undefined }];
  }

  /** How often each address was given, were it free each time. */
  #tally(words: Words): string[] {
    const counts = new Map<string, number>();
    const terms = acquireTerms(words);
    for (let times = words.named('times', Number, 1); times > 0; times -= 1) {
      this.#request += 1;
      const decisions = this.#driver.execute({ type: 'AcquireLease', ...terms, request: this.#request });
      const answer = decisions.find((decision) => decision.answer)!.answer!;
      if (answer.type !== 'granted') return decisionLines(decisions);
      for (const { lease, address } of answer.grants) {
        counts.set(address.address, (counts.get(address.address) ?? 0) + 1);
        this.#driver.execute({ type: 'ReleaseLease', holder: terms.holder, lease, requests: 0 });
      }
    }
    return [...counts]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, count]) => `${name} × ${count}`);
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
      for (const { id, suspendedUntilMs, leaseCount } of state.sessions.values()) {
        const rest = suspendedUntilMs === undefined ? 'open' : `suspended for ${duration(suspendedUntilMs - nowMs)}`;
        lines.push(`${id} ${rest} ${fields({ leases: leaseCount })}`);
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
