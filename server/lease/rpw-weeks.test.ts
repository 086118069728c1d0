import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseDriver } from '../testing/lease-driver.ts';
import type { LeaseAnswers, LeaseCommand } from './commands.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RESOURCE = 7;
const HOLDER = { kind: 'client', client: 'anna' } as const;

type Step =
  | { type: 'wait'; hours: number }
  | { type: 'acquire' }
  /** Of the lease granted so many before the last: so many requests more than its total so far; absent: none at all. */
  | { type: 'report' | 'release'; back: number; more: number | undefined }
  /** A file that gives these figures for the addresses. */
  | { type: 'import'; figures: number[] }
  | { type: 'restart' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('acquire' as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constantFrom('report' as const, 'release' as const),
        back: fc.nat({ max: 3 }),
        more: fc.option(fc.nat({ max: 50 }), { nil: undefined }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('import' as const),
        figures: fc.array(fc.constantFrom(0, 100, 250), { minLength: 3, maxLength: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  ),
  { minLength: 40, maxLength: 80, size: 'max' },
);

/** Every single request, as somebody would write it down who watches the addresses. */
interface Logged {
  readonly address: string;
  readonly day: number;
  readonly lease: number | undefined;
}

interface Watched {
  readonly token: number;
  readonly address: string;
  readonly day: number;
  total: number;
  isSettled: boolean;
  endedAtMs: number | undefined;
}

class Weeks {
  readonly #driver = new LeaseDriver();
  readonly #leases: Watched[] = [];
  #log: Logged[] = [];
  #figures: number[] = [];
  #epoch = 0;

  constructor() {
    this.#restart();
    const policy = { ttlMinMs: 1, ttlMaxMs: 60 * DAY_MS };
    this.#ask({ type: 'Configure', defaultPolicy: policy, policies: new Map() });
    this.#import([0, 100, 250]);
  }

  run(step: Step): void {
    switch (step.type) {
      case 'wait':
        this.#driver.advance(step.hours * HOUR_MS);
        break;
      case 'acquire':
        this.#acquire();
        break;
      case 'report':
      case 'release':
        this.#settle(step);
        break;
      case 'import':
        this.#import(step.figures);
        break;
      case 'restart':
        this.#restart();
    }
    this.#check();
  }

  get #today(): number {
    return Math.floor(this.#driver.utcMs / DAY_MS);
  }

  #acquire(): void {
    const wish = { holder: HOLDER, resource: RESOURCE, ttlMs: 60 * DAY_MS, request: 0 };
    const answer = this.#ask({ type: 'AcquireLease', ...wish });
    if (answer.type !== 'granted') return;
    const { lease: token, address } = answer.grants[0]!;
    const day = this.#today;
    this.#log.push({ address: address.address, day, lease: token });
    expect(address.rpw).toBe(this.#rpwOf(address.address));
    const settled = { total: 1, isSettled: false, endedAtMs: undefined };
    this.#leases.push({ token, address: address.address, day, ...settled });
  }

  #settle({ type, back, more }: Extract<Step, { back: number }>): void {
    const lease = this.#leases.at(-1 - back);
    if (!lease || (lease.endedAtMs !== undefined && this.#driver.nowMs - lease.endedAtMs >= 600_000)) return;
    const requests = more === undefined ? 0 : lease.total + more;
    const named = { holder: HOLDER, lease: lease.token, requests };
    if (type === 'report') this.#ask({ type: 'ReportLease', ...named });
    else this.#ask({ type: 'ReleaseLease', ...named });
    if (type === 'release') lease.endedAtMs ??= this.#driver.nowMs;
    if (requests < lease.total) {
      // Nothing was sent through it: the request that the grant stood for was none. Totals never fall again.
      if (lease.isSettled) return;
      const own = this.#log.findIndex((one) => one.lease === lease.token);
      // Where a file's figure has taken its place since, it is that which counted it.
      const sameDay = this.#log.findIndex((one) => one.address === lease.address && one.day === lease.day);
      if (own !== -1 || sameDay !== -1) this.#log.splice(own === -1 ? sameDay : own, 1);
    }
    for (let sent = lease.total; sent < requests; sent += 1) {
      this.#log.push({ address: lease.address, day: this.#today, lease: undefined });
    }
    lease.total = requests;
    lease.isSettled = true;
  }

  #import(figures: readonly number[]): void {
    const records = figures.map((rpw, index) => ({
      address: `p${index}`,
      country: 'US',
      rpw,
      resource_ids: [RESOURCE],
    }));
    this.#ask({ type: 'ImportPool', records, replace: false });
    for (const [index, figure] of figures.entries()) {
      // The same figure again says nothing new.
      if (figure === this.#figures[index]) continue;
      const address = `p${index}`;
      this.#log = this.#log.filter((one) => one.address !== address);
      for (let count = 0; count < figure; count += 1) this.#log.push({ address, day: this.#today, lease: undefined });
    }
    this.#figures = [...figures];
  }

  #restart(): void {
    this.#epoch += 1;
    this.#driver.reload();
    this.#ask({ type: 'StartEpoch', epoch: this.#epoch, tokenFloor: 0, suspendMs: 0 });
  }

  #ask<Command extends LeaseCommand>(command: Command): LeaseAnswers[Command['type']] {
    const { answer } = this.#driver.execute(command).find((decided) => decided.answer)!;
    return answer as LeaseAnswers[Command['type']];
  }

  #rpwOf(address: string): number {
    return this.#log.filter((one) => one.address === address && one.day > this.#today - 7).length;
  }

  /** A question of the same day: whoever asks for a condition on rpw is answered by the figure of now. */
  #check(): void {
    for (const { address } of this.#driver.state.addresses.values()) {
      const where = { address: { eq: address }, rpw: { eq: this.#rpwOf(address) } };
      const wish = { holder: HOLDER, resource: RESOURCE, ttlMs: 1, where };
      const answer = this.#ask({ type: 'ExplainAcquire', ...wish });
      expect(answer.type === 'explained' && answer.why.excluded, `${address} on day ${this.#today}`).toBe(2);
    }
    expect(this.#driver.replayed()).toEqual(this.#driver.snapshot());
  }
}

describe('rpw over weeks', () => {
  it('is what a log of every request of the last seven UTC days comes to, restarts and imports between', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const weeks = new Weeks();
        for (const step of taken) weeks.run(step);
      }),
      { numRuns: 60 },
    );
  });
});
