/** The lease domain by itself, for tests that are no scenario: many requests, or a look inside. */
import type { AcquireLease, LeaseAnswer, LeaseCommand, LeaseNotice } from '../lease/commands.ts';
import type { ResourcePolicy } from '../lease/policy.ts';
import { type LeaseDomain, LeaseDriver } from './lease-driver.ts';

const LIMITS = { ttlMinMs: 200, ttlMaxMs: 1e9 };

/** The lease domain with the sessions `a`, `b`, `c` and a pool of `size` addresses for the resources 1 and 2. */
export class LeaseBench {
  readonly driver: LeaseDriver;

  constructor(size: number, policy: Partial<ResourcePolicy> = {}, rpw = 0, domain?: LeaseDomain) {
    this.driver = new LeaseDriver(domain);
    this.run({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    this.configure(policy);
    const records = Array.from({ length: size }, (_, index) => {
      return { address: `p${index + 1}`, country: 'US', rpw, resource_ids: [1, 2] };
    });
    this.run({ type: 'ImportPool', records, replace: false });
    for (const session of ['a', 'b', 'c']) {
      this.run({ type: 'OpenSession', session, secretHash: '', resumeWindowMs: 0, sessionsMax: 9 });
    }
  }

  configure(policy: Partial<ResourcePolicy>): void {
    this.run({ type: 'Configure', defaultPolicy: { ...LIMITS, ...policy }, policies: new Map() });
  }

  run(command: LeaseCommand): LeaseAnswer {
    const decisions = this.driver.execute(command);
    return decisions.findLast(({ answer }) => answer !== undefined)!.answer!;
  }

  acquire(session: string, request: number, terms: Partial<AcquireLease> = {}): LeaseAnswer {
    const holder = { kind: 'session', session } as const;
    return this.run({ type: 'AcquireLease', holder, resource: 1, ttlMs: 60_000, request, ...terms });
  }

  /** Tokens of what is granted at once. */
  granted(session: string, request: number, terms: Partial<AcquireLease> = {}): number[] {
    const answer = this.acquire(session, request, terms);
    if (answer.type !== 'granted') throw new Error(`request ${request} is ${answer.type}`);
    return answer.grants.map(({ lease }) => lease);
  }

  release(session: string, leases: readonly number[], outcome?: 'banned'): void {
    for (const lease of leases) {
      const holder = { kind: 'session', session } as const;
      this.run({ type: 'ReleaseLease', holder, lease, ...(outcome && { outcome }) });
    }
  }

  advance(ms: number): LeaseNotice[] {
    return this.driver.advance(ms).flatMap(({ notices }) => notices);
  }

  holders(): string[] {
    return Array.from(this.driver.state.leases.values(), ({ holder }) => ('session' in holder ? holder.session : ''));
  }
}
