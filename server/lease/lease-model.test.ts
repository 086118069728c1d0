import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeaseDomain } from '../testing/lease-driver.ts';
import { runHistory } from '../testing/lease-history.ts';
import { operationsArbitrary } from '../testing/lease-operations.ts';
import type { LeaseCommand } from './commands.ts';
import type { LeaseDecision } from './decide.ts';
import type { LeaseEvent } from './events.ts';
import { leaseDomain } from './lease-domain.ts';
import type { LeaseState } from './state.ts';

describe('lease domain beside the model', () => {
  it('agrees in every answer, and its indexes, snapshots and journal with its state', () => {
    fc.assert(
      fc.property(operationsArbitrary(150), (operations) => runHistory(leaseDomain, operations)),
      { numRuns: 250 },
    );
  });
});

describe('the model catches a domain that', () => {
  const apply = (after: (state: LeaseState, event: LeaseEvent) => void): LeaseDomain => ({
    ...leaseDomain,
    apply(state, event) {
      leaseDomain.apply(state, event);
      after(state, event);
    },
  });
  const decide = (
    change: (decision: LeaseDecision, state: LeaseState, command: LeaseCommand, utcMs: number) => LeaseDecision,
  ): LeaseDomain => ({
    ...leaseDomain,
    decide: (state, command, context) =>
      change(leaseDomain.decide(state, command, context), state, command, context.utcMs),
  });
  const mapEvents = (change: (event: LeaseEvent, state: LeaseState, utcMs: number) => LeaseEvent): LeaseDomain =>
    decide((decision, state, _, utcMs) => ({
      ...decision,
      events: decision.events.map((event) => change(event, state, utcMs)),
    }));

  const mutants: Readonly<Record<string, LeaseDomain>> = {
    'forgets that a pair is leased': apply((state, event) => {
      if (event.type !== 'LeaseGranted') return;
      state.resources.get(event.resource)!.pool.setFree(state.addresses.get(event.addressId)!, true);
    }),
    'gives a token again': apply((state, event) => {
      if (event.type === 'LeaseEnded') state.lastToken = Math.min(state.lastToken, event.lease - 1);
    }),
    'forgets the token floor at a restart': {
      ...leaseDomain,
      apply(state, event) {
        const { lastToken } = state;
        leaseDomain.apply(state, event);
        if (event.type === 'EpochStarted') state.lastToken = lastToken;
      },
    },
    'keeps the pairs of a lost session': {
      ...leaseDomain,
      apply(state, event) {
        const lease = event.type === 'LeaseEnded' ? state.leases.get(event.lease) : undefined;
        leaseDomain.apply(state, event);
        const address = lease && state.addresses.get(lease.addressId);
        if (lease?.end === 'session_lost' && address) state.resources.get(lease.resource)!.pool.setFree(address, false);
      },
    },
    'counts deadlines by the wall clock': (() => {
      let offsetMs: number | undefined;
      return {
        ...leaseDomain,
        decide(state, command, context) {
          const aheadMs = context.utcMs - context.nowMs;
          if (command.type === 'StartEpoch') offsetMs = aheadMs;
          const nowMs = command.type === 'AcquireLease' ? context.nowMs + aheadMs - offsetMs! : context.nowMs;
          return leaseDomain.decide(state, command, { ...context, nowMs });
        },
      } satisfies LeaseDomain;
    })(),
    'shortens a lease by a renewal': mapEvents((event, state) => {
      if (event.type !== 'LeaseRenewed') return event;
      const lease = state.leases.get(event.lease)!;
      return event.deadlineMs === lease.deadlineMs ? { ...event, deadlineMs: event.deadlineMs - 1 } : event;
    }),
    'lets anybody release': {
      ...leaseDomain,
      decide(state, command, context) {
        const lease = command.type === 'ReleaseLease' ? state.leases.get(command.lease) : undefined;
        return leaseDomain.decide(
          state,
          lease ? ({ ...command, holder: lease.holder } as LeaseCommand) : command,
          context,
        );
      },
    },
    'lets an address go without revoking its leases': decide((decision, _, command) =>
      command.type === 'RevokeWithdrawn' ? { events: [], answer: { type: 'done' } } : decision,
    ),
    'tells nobody of an expiry': decide((decision) => ({
      ...decision,
      notices: (decision.notices ?? []).filter(({ type }) => type !== 'LeaseExpired'),
    })),
    'goes on granting past max_leases': {
      ...leaseDomain,
      decide(state, command, context) {
        if (command.type !== 'AcquireLease') return leaseDomain.decide(state, command, context);
        const { maxLeases: _, ...policy } = state.policies.get(command.resource) ?? state.defaultPolicy;
        const policies = new Map([[command.resource, policy]]);
        return leaseDomain.decide({ ...state, policies }, command, context);
      },
    },
    'ends a lease a millisecond late': {
      ...leaseDomain,
      decide: (state, command, context) =>
        leaseDomain.decide(state, command, command.type === 'Due' ? context : { ...context, nowMs: context.nowMs - 1 }),
    },
    'does not write renewals': {
      ...leaseDomain,
      isDurable: (event) => event.type !== 'LeaseRenewed' && leaseDomain.isDurable(event),
    },
    'loses a zero on the way to the disk': {
      ...leaseDomain,
      encodeEvent: (event) =>
        leaseDomain.encodeEvent(
          event.type === 'LeaseReported' && event.requests === 0 ? { ...event, requests: undefined } : event,
        ),
    },
    'leaves the ended leases out of a snapshot': {
      ...leaseDomain,
      *encode(state) {
        for (const record of leaseDomain.encode(state)) if ((record as unknown[])[0] !== 'ended') yield record;
      },
    },
    'keeps the day for ever': mapEvents((event) => (event.type === 'DayTurned' ? { ...event, day: 20_458 } : event)),
  };

  for (const [fault, domain] of Object.entries(mutants)) {
    it(fault, () => {
      const found = fc.check(
        fc.property(operationsArbitrary(150), (operations) => runHistory(domain, operations)),
        { seed: 1, numRuns: 1_000, endOnFailure: true },
      );
      expect(found.failed, `${found.numRuns} histories, and none shows it`).toBe(true);
    });
  }
});
