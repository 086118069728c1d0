/** Lease domains with one fault each: every one of them has to be found by a history beside the model. */
import type { LeaseCommand } from '../../lease/commands.ts';
import type { LeaseDecision } from '../../lease/decide.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import type { ResourcePolicy } from '../../lease/policy.ts';
import type { LeaseState, Resource } from '../../lease/state.ts';
import type { LeaseDomain } from '../lease-driver.ts';

type Command<Type extends LeaseCommand['type']> = Extract<LeaseCommand, { type: Type }>;
type Event<Type extends LeaseEvent['type']> = Extract<LeaseEvent, { type: Type }>;

const FREE = { state: 'free', untilMs: 0, isEligible: true } as const;
const LEASED = { state: 'leased', untilMs: Infinity, isEligible: false } as const;

/** Something happens behind an event of that type. */
function after<Type extends LeaseEvent['type']>(
  type: Type,
  change: (state: LeaseState, event: Event<Type>) => void,
): LeaseDomain {
  return {
    ...leaseDomain,
    apply(state, event) {
      leaseDomain.apply(state, event);
      if (event.type === type) change(state, event as Event<Type>);
    },
  };
}

function forgetWithdrawn(state: LeaseState): void {
  while (state.withdrawn.size > 0) state.withdrawn.delete(state.withdrawn.peek()!);
}

/** The decision is another. */
function deciding(
  change: (decision: LeaseDecision, state: LeaseState, command: LeaseCommand) => LeaseDecision,
): LeaseDomain {
  return {
    ...leaseDomain,
    decide: (state, command, context) => change(leaseDomain.decide(state, command, context), state, command),
  };
}

/** Another command is decided. */
function asking<Type extends LeaseCommand['type']>(
  type: Type,
  change: (command: Command<Type>, state: LeaseState) => LeaseCommand,
): LeaseDomain {
  return {
    ...leaseDomain,
    decide(state, command, context) {
      const asked = command.type === type ? change(command as Command<Type>, state) : command;
      return leaseDomain.decide(state, asked, context);
    },
  };
}

/** Events of that type are others; `undefined`: they never happen. */
function saying<Type extends LeaseEvent['type']>(
  type: Type,
  change: (event: Event<Type>, state: LeaseState) => LeaseEvent | undefined,
): LeaseDomain {
  return deciding((decision, state) => ({
    ...decision,
    events: decision.events.flatMap((event) =>
      event.type === type ? (change(event as Event<Type>, state) ?? []) : [event],
    ),
  }));
}

/** Whatever is decided, the policies lack something. */
function without(...fields: readonly (keyof ResourcePolicy)[]): LeaseDomain {
  const stripped = (policy: ResourcePolicy) => omit(policy, ...fields);
  return {
    ...leaseDomain,
    decide(state, command, context) {
      const policies = new Map([...state.policies].map(([resource, policy]) => [resource, stripped(policy)]));
      const decided =
        command.type === 'Configure' ? state : { ...state, policies, defaultPolicy: stripped(state.defaultPolicy) };
      return leaseDomain.decide(decided, command, context);
    },
  };
}

function omit<Value extends object>(value: Value, ...fields: readonly (keyof Value)[]): Value {
  return Object.fromEntries(Object.entries(value).filter(([field]) => !fields.includes(field as keyof Value))) as Value;
}

function poolOf(state: LeaseState, resource: number): Resource['pool'] {
  return state.resources.get(resource)!.pool;
}

const LEASES: Readonly<Record<string, LeaseDomain>> = {
  'forgets that a pair is leased': after('LeaseGranted', (state, { resource, addressId }) => {
    poolOf(state, resource).setStatus(state.addresses.get(addressId)!, FREE);
  }),
  'gives a token again': after('LeaseEnded', (state, { lease }) => {
    state.lastToken = Math.min(state.lastToken, lease - 1);
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
      leaseDomain.apply(state, event);
      const lease = event.type === 'LeaseEnded' ? state.ended.get(event.lease) : undefined;
      const address = lease && state.addresses.get(lease.addressId);
      if (lease?.end === 'session_lost' && address) poolOf(state, lease.resource).setStatus(address, LEASED);
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
  'shortens a lease by a renewal': saying('LeaseRenewed', (event, state) => {
    const { deadlineMs } = state.leases.get(event.lease)!;
    return event.deadlineMs === deadlineMs ? { ...event, deadlineMs: deadlineMs - 1 } : event;
  }),
  'lets anybody release': asking('ReleaseLease', (command, state) => {
    const lease = state.leases.get(command.lease);
    return lease ? { ...command, holder: lease.holder } : command;
  }),
  'tells nobody of an expiry': deciding((decision) => ({
    ...decision,
    notices: (decision.notices ?? []).filter(({ type }) => type !== 'LeaseExpired'),
  })),
  'goes on granting past max_leases': without('maxLeases'),
  'ends a lease a millisecond late': {
    ...leaseDomain,
    decide: (state, command, context) =>
      leaseDomain.decide(state, command, command.type === 'Due' ? { ...context, nowMs: context.nowMs - 1 } : context),
    dueMs: (state) => {
      const dueMs = leaseDomain.dueMs(state);
      return dueMs === undefined ? undefined : dueMs + 1;
    },
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
  'leaves the ended leases out of a snapshot': dropping('ended'),
  'keeps the day for ever': saying('DayTurned', (event) => ({ ...event, day: 20_458 })),
  'loses a session for a pause of the process': {
    ...leaseDomain,
    pauseCommand: () => ({ type: 'ExtendSuspensions', byMs: 0 }),
  },
};

const WAITING: Readonly<Record<string, LeaseDomain>> = {
  'serves the newest of those who wait': after('AcquireQueued', (state, { waiter, resource }) => {
    state.resources.get(resource)!.queue.rekey(state.waiters.get(waiter)!.line!.strand, -waiter);
  }),
  'forgets who was served': after('LeaseGranted', (state, { holder, resource }) => {
    if (holder.kind === 'session') state.sessions.get(holder.session)!.collector.served.delete(resource);
  }),
  "moves a collector's narrow requests back for its broad ones": after(
    'LeaseGranted',
    (state, { holder, resource }) => {
      if (holder.kind !== 'session') return;
      for (const line of state.sessions.get(holder.session)!.lines) {
        if (line.resource.id === resource) line.resource.queue.rekey(line.strand, state.turns);
      }
    },
  ),
  'serves the suspended': after('SessionSuspended', (state, { session }) => {
    for (const line of state.sessions.get(session)!.lines) line.resource.queue.unpark(line);
  }),
  'puts whoever comes back last': after('SessionResumed', (state, { session }) => {
    for (const line of state.sessions.get(session)!.lines) line.resource.queue.rekey(line.strand, state.turns + 1);
  }),
  'loses a cancel': saying('WaitEnded', (event) => (event.end === 'cancelled' ? undefined : event)),
  'cancels what was granted, and keeps it': deciding((decision, _, command) =>
    command.type === 'CancelAcquire' ? { ...decision, events: [] } : decision,
  ),
  'leaks a waiter': {
    ...leaseDomain,
    apply(state, event) {
      const waiter = event.type === 'WaitEnded' ? state.waiters.get(event.waiter) : undefined;
      leaseDomain.apply(state, event);
      if (waiter) state.waiters.set(waiter.number, waiter);
    },
  },
  'waits for ever': after('AcquireQueued', (state, { waiter }) => {
    state.waitDeadlines.delete(state.waiters.get(waiter)!);
  }),
  'leaves those who wait out of a snapshot': dropping('waiter'),
  'tells of a place that is not the one': deciding((decision) => ({
    ...decision,
    events: decision.events.map((event) =>
      event.type === 'QueueNoticed'
        ? { ...event, places: event.places.map(([number, position]) => [number, position + 1] as const) }
        : event,
    ),
  })),
  'gives a part of a count': deciding((decision, _, command) => {
    const { answer, events } = decision;
    if (command.type !== 'AcquireLease' || answer?.type !== 'granted' || answer.grants.length < 2) return decision;
    return { events: events.slice(0, -1), answer: { ...answer, grants: answer.grants.slice(0, -1) } };
  }),
  'gives away what is kept for a count': after('PairReserved', (state, { waiter, addressId }) => {
    poolOf(state, state.waiters.get(waiter)!.resource.id).setStatus(state.addresses.get(addressId)!, FREE);
  }),
  'grants anew what a key has had': asking('AcquireLease', (command) => omit(command, 'key')),
  'forgets the keys of those who wait': after('AcquireQueued', (state) => state.keys.clear()),
};

const PAIRS: Readonly<Record<string, LeaseDomain>> = {
  'ignores the cool-down': saying('LeaseEnded', (event) => ({ ...event, coolingUntilMs: undefined })),
  'ignores a safe handover': without('handover'),
  'ends a rest a moment early': saying('LeaseEnded', (event) => {
    return event.coolingUntilMs === undefined ? event : { ...event, coolingUntilMs: event.coolingUntilMs - 1 };
  }),
  'bans for the same time each time': saying('PairQuarantined', (event) => {
    return event.reason === 'banned' && event.level > 1 ? { ...event, untilMs: Math.ceil(event.atMs) + 2_000 } : event;
  }),
  'forgets a ban at once': after('PairQuarantined', (state, { addressId, resource }) => {
    state.addresses.get(addressId)!.pairs!.get(resource)!.bans = undefined;
  }),
  'bans twice for one lease': after('LeaseReported', (state, { lease }) => {
    const reported = state.leases.get(lease) ?? state.ended.get(lease);
    if (reported) reported.isBanned = false;
  }),
  'keeps a ban to the pair': without('banAddressAfter'),
  'trusts an address at once after a ban': after('AddressQuarantineEnded', (state, { addressId }) => {
    const address = state.addresses.get(addressId);
    if (address) address.probationAfter = undefined;
  }),
  'goes on at full pace when most is quarantined': without('slowShare'),
  'does not revoke on an unhealthy address': after('AddressHealthChanged', forgetWithdrawn),
  'lets an address go without revoking its leases': after('PoolCommitted', forgetWithdrawn),
  'forgets quarantines at a restart': dropping('pair'),
  'gives a draining address': after('AddressDrainChanged', (state, { addressId }) => {
    const address = state.addresses.get(addressId)!;
    address.isDraining = false;
  }),
};

const ANSWERS: Readonly<Record<string, LeaseDomain>> = {
  'revokes at once whatever the deadline': asking('RevokeLeases', (command) => omit(command, 'deadlineMs')),
  'prolongs a lease past its revocation': saying('LeaseRenewed', (event, state) => {
    const lease = state.leases.get(event.lease)!;
    return lease.revoking ? { ...event, deadlineMs: lease.deadlineMs + event.ttlMs } : event;
  }),
  'brings a second substitute': after('LeaseGranted', (state, { substituteFor }) => {
    const revoking = substituteFor === undefined ? undefined : state.leases.get(substituteFor)?.revoking;
    if (revoking) revoking.hasSubstitute = false;
  }),
  'gives a substitute all of its time again': saying('LeaseGranted', (event) => {
    return event.substituteFor === undefined ? event : { ...event, deadlineMs: event.deadlineMs + 1 };
  }),
  'counts a substitute as a service': after('LeaseGranted', (state, { holder, resource, substituteFor }) => {
    if (substituteFor === undefined || holder.kind !== 'session') return;
    state.turns += 1;
    const session = state.sessions.get(holder.session)!;
    session.collector.served.set(resource, state.turns);
    for (const line of session.lines)
      if (line.resource.id === resource) line.resource.queue.rekey(line.strand, state.turns);
  }),
  "ignores the resource's own condition": without('where'),
  "ignores the resource's own strategy": without('strategy'),
  'explains a refusal where one would wait': deciding((decision) => {
    const { answer } = decision;
    return answer?.type === 'explained' && answer.would === 'queue'
      ? { ...decision, answer: { ...answer, would: 'refuse' } }
      : decision;
  }),
  'names no part of a condition that is in the way': deciding((decision) => {
    if (decision.answer?.type !== 'refused') return decision;
    const { relax: _, ...why } = decision.answer.why;
    return { ...decision, answer: { ...decision.answer, why } };
  }),
  'counts the quarantined among the free': deciding((decision) => {
    const { answer } = decision;
    if (answer?.type !== 'explained') return decision;
    const { quarantined = 0, free = 0, ...states } = answer.why.states;
    return {
      ...decision,
      answer: { ...answer, why: { ...answer.why, states: { ...states, free: free + quarantined } } },
    };
  }),
  'gives the most used': asking('AcquireLease', (command) =>
    command.strategy === 'least_used' ? { ...command, strategy: 'random' } : command,
  ),
  'sends the same string somewhere else': asking('AcquireLease', (command, state) =>
    command.sticky === undefined ? command : { ...command, sticky: `${command.sticky}${state.lastToken}` },
  ),
  'waives the rest of its time at a resume': deciding((decision) => {
    const { answer } = decision;
    if (answer?.type !== 'opened') return decision;
    return { ...decision, answer: { ...answer, leases: answer.leases.map((held) => ({ ...held, ttl_ms: 1 })) } };
  }),
};

/** By what is wrong with each. */
export const MUTANTS: Readonly<Record<string, LeaseDomain>> = { ...LEASES, ...WAITING, ...PAIRS, ...ANSWERS };

/** Records of a kind are missing in a snapshot. */
function dropping(kind: string): LeaseDomain {
  return {
    ...leaseDomain,
    *encode(state) {
      for (const record of leaseDomain.encode(state)) if ((record as unknown[])[0] !== kind) yield record;
    },
  };
}
