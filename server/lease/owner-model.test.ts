import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeaseDomain } from '../testing/lease-driver.ts';
import { runOwnerHistory } from '../testing/model/owner-history.ts';
import { OWNERS, type OwnerOperation } from '../testing/model/owner-records.ts';
import type { LeaseEvent } from './events.ts';
import { leaseDomain } from './lease-domain.ts';
import type { LeaseState } from './state.ts';

const TIMEOUT_MS = 120_000;

const slot = fc.nat(4);
const owner = fc.nat(OWNERS.length - 1);
const bound = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined });
const ms = fc.constantFrom(500, 1_000, 3_000, 20_000);
const operation: fc.Arbitrary<OwnerOperation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('open' as const), slot, owner }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('resume' as const), slot, owner }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('drop' as const, 'drop' as const, 'bye' as const), slot }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      type: fc.constant('acquire' as const),
      slot: fc.oneof(slot, slot, slot, slot, fc.constant('http' as const)),
      owner,
      ttlMs: ms,
      waitMs: fc.constantFrom(0, 2_000, 60_000, 60_000, 60_000),
      count: fc.constantFrom(1, 1, 1, 1, 2, 3),
      country: fc.option(fc.nat(1), { nil: undefined }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('release' as const), lease: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('advance' as const), ms }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('configure' as const), max: bound, perClient: bound }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
);
const operations = fc.array(operation, { minLength: 20, maxLength: 150, size: 'max' });

/** With something done behind every event of that type. */
function after<Type extends LeaseEvent['type']>(
  type: Type,
  change: (state: LeaseState, event: Extract<LeaseEvent, { type: Type }>) => void,
): LeaseDomain {
  return {
    ...leaseDomain,
    apply(state, event) {
      leaseDomain.apply(state, event);
      if (event.type === type) change(state, event as Extract<LeaseEvent, { type: Type }>);
    },
  };
}

function holdAll(state: LeaseState, isHeld: boolean): void {
  for (const { tally } of state.sessions.values()) {
    for (const { queue } of state.resources.values()) queue.hold(tally, isHeld);
  }
}

const MUTANTS: Readonly<Record<string, LeaseDomain>> = {
  'forgets what a client holds': after('LeaseGranted', (state) => {
    for (const tally of state.tallies.values()) tally.held.clear();
  }),
  'forgets whose a session is': {
    ...leaseDomain,
    decide(state, command, context) {
      const isOpen = command.type === 'OpenSession';
      const { owner: _, ...ownerless } = isOpen ? command : {};
      return leaseDomain.decide(state, isOpen ? ({ ...ownerless } as typeof command) : command, context);
    },
  },
  'holds everybody back once and for all': after('AcquireQueued', (state) => holdAll(state, true)),
  'holds nobody back': after('LeaseGranted', (state) => holdAll(state, false)),
  'lets whoever has the secret resume a session': {
    ...leaseDomain,
    decide(state, command, context) {
      const known = command.type === 'OpenSession' ? state.sessions.get(command.resume?.session ?? '') : undefined;
      const owned = known?.owner ? { ...command, owner: known.owner } : command;
      return leaseDomain.decide(state, owned as typeof command, context);
    },
  },
  'serves a client again and again': after('LeaseGranted', (state) => {
    for (const { collector, lines } of state.sessions.values()) {
      if (collector.client !== undefined) for (const line of lines) line.resource.queue.rekey(line.strand, 0);
    }
  }),
};

describe('sessions of clients beside their model', { timeout: TIMEOUT_MS }, () => {
  it('agree in every answer and in the order of service, and come back from snapshots and journals', () => {
    fc.assert(
      fc.property(operations, (all) => runOwnerHistory(leaseDomain, all)),
      { numRuns: 30 },
    );
  });
});

describe('the model of clients catches a domain that', { timeout: TIMEOUT_MS }, () => {
  for (const [fault, domain] of Object.entries(MUTANTS)) {
    it(fault, () => {
      const found = fc.check(
        fc.property(operations, (all) => runOwnerHistory(domain, all)),
        { seed: 1, numRuns: 300, endOnFailure: true },
      );
      expect(found.failed, `${found.numRuns} histories, and none shows it`).toBe(true);
    });
  }
});
