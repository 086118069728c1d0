/** How scenario texts write what the lease domain decides. */
import { assertNever } from '../../protocol/assert.ts';
import type { Grant } from '../../protocol/frames.ts';
import type { Granted, LeaseAnswer, LeaseNotice, Queued, Refused, RenewalOutcome } from '../lease/commands.ts';
import type { LeaseEvent } from '../lease/events.ts';
import type { PoolChange } from '../lease/state.ts';
import type { Decided } from './lease-driver.ts';
import {
  clock,
  duration,
  fields,
  grantText,
  heldText,
  holderText,
  joined,
  optionalDuration,
  policyText,
  waitingText,
  whyText,
} from './lease-notation.ts';

/** Lines of one kind in a row beyond so many are counted, not listed. */
const ALIKE_MAX = 4;
/** What only says that the waiting have been looked at: whoever gets something, or is told his place, has a notice. */
const UNTOLD: ReadonlySet<LeaseEvent['type']> = new Set(['WaitersMatched', 'QueueNoticed']);

/**
 * Decisions as lines: `+` an event, `!` a notice, the answer last, as it would reach the outside. `due` stands before what
 * nobody asked for in this command, `again` before each further decision of the same chain.
 */
export function decisionLines(decisions: readonly Decided[], showTime = false): string[] {
  const lines: string[] = [];
  let lastMs: number | undefined;
  let isWithinDue = false;
  for (const alike of runs(decisions.map(tellable))) {
    const { atMs, events, notices, answer } = alike[0]!;
    // A chain begins with its first step of which there is something to say.
    const kind: Decided['kind'] = isWithinDue && alike[0]!.kind === 'again' ? 'due' : alike[0]!.kind;
    isWithinDue = kind === 'due';
    if (events.length + notices.length === 0 && !answer) continue;
    isWithinDue = false;
    const times = alike.length > 1 ? ` × ${alike.length}` : '';
    if (showTime && atMs !== lastMs) lines.push(`at ${clock(atMs)}`);
    else if (lines.length > 0 || kind === 'due') lines.push(`${kind}${times}`);
    lastMs = atMs;
    lines.push(...grouped(alike.flatMap((one) => one.events.map((event) => [`+ ${event.type}`, eventFields(event)]))));
    lines.push(...grouped(alike.flatMap((one) => one.notices.map((told) => [`! ${toldTo(told)}`, noticeText(told)]))));
    if (answer) lines.push(...answerLines(answer));
  }
  return lines.length === 0 ? ['nothing'] : lines;
}

function toldTo(notice: LeaseNotice): string {
  return notice.session ?? 'process';
}

function tellable(decided: Decided): Decided {
  return { ...decided, events: decided.events.filter(({ type }) => !UNTOLD.has(type)) };
}

/** More than ALIKE_MAX steps of a chain that each do one thing, and the same one, are put together. */
function runs(decisions: readonly Decided[]): Decided[][] {
  const shapeOf = ({ atMs, kind, events, notices, answer }: Decided) => {
    const isStep = kind === 'again' && events.length === 1 && answer === undefined;
    return isStep ? [atMs, events[0]!.type, ...notices.map(toldTo)].join(' ') : undefined;
  };
  const found: Decided[][] = [];
  for (let index = 0; index < decisions.length; ) {
    const shape = shapeOf(decisions[index]!);
    let end = index + 1;
    while (shape !== undefined && end < decisions.length && shapeOf(decisions[end]!) === shape) end += 1;
    const run = decisions.slice(index, end);
    if (run.length > ALIKE_MAX) found.push(run);
    else found.push(...run.map((one) => [one]));
    index = end;
  }
  return found;
}

function grouped(entries: readonly (readonly [kind: string, text: string])[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < entries.length; ) {
    const [kind] = entries[index]!;
    let end = index;
    while (end < entries.length && entries[end]![0] === kind) end += 1;
    if (end - index > ALIKE_MAX) lines.push(`${kind} × ${end - index}`);
    else for (const [, text] of entries.slice(index, end)) lines.push(...joined(kind, text).split('\n'));
    index = end;
  }
  return lines;
}

function eventFields(event: LeaseEvent): string {
  switch (event.type) {
    case 'EpochStarted':
      return fields({ epoch: event.epoch, floor: event.tokenFloor, suspend: duration(event.suspendMs) });
    case 'DayTurned':
      return new Date(event.day * 86_400_000).toISOString().slice(0, 10);
    case 'TokensReserved':
      return `until=${event.until}`;
    case 'Configured': {
      const own = event.policies.map(([id, policy]) => policyText(`r${id}`, policy));
      return [policyText('default', event.defaultPolicy), ...own].join(', ');
    }
    case 'PolicySet':
      return `${policyText(`r${event.resource}`, event.policy)} version=${event.version}`;
    case 'PolicyDeleted':
      return `r${event.resource}`;
    case 'PoolStaged':
      return event.changes.length > ALIKE_MAX
        ? `changes=${event.changes.length}`
        : event.changes.map(change).join(', ');
    case 'PoolCommitted':
      return event.source === 'hand' ? 'by hand' : '';
    case 'PoolDropped':
      return `stage=${event.stage}`;
    case 'RecordOverruled':
      return event.address;
    case 'SessionOpened':
      return joined(sessionText(event), fields({ ...event.owner, kind: undefined }));
    case 'SessionResumed':
      return sessionText(event);
    case 'SessionSuspended':
      return `${event.session} ${event.untilMs > 0 ? `until=${clock(event.untilMs)}` : 'is over'} end=${event.end}`;
    case 'SessionEnded':
      return event.session;
    case 'SuspensionsExtended':
      return `by=${duration(event.byMs)}`;
    case 'LeaseGranted': {
      const { lease, resource, addressId, holder, waiter, key, substituteFor } = event;
      const terms = fields({ ...deadline(event), waiter, key, substitute_for: substituteFor });
      return `${lease} r${resource} #${addressId} ${holderText(holder)} ${terms}`;
    }
    case 'LeaseRenewed':
      return `${event.lease} ${fields(deadline(event))}`;
    case 'LeaseReported':
      return `${event.lease} ${fields({ outcome: event.outcome, requests: event.requests })}`;
    case 'LeaseEnded': {
      const { lease, end, reason, coolingUntilMs } = event;
      const cooling = coolingUntilMs === undefined ? '' : `cooling=${clock(coolingUntilMs)}`;
      return joined(`${lease} ${end}`, reasonText(reason), cooling);
    }
    case 'RevocationAnnounced':
      return `${event.lease} ${reasonText(event.reason)} at=${clock(event.atMs)}`;
    case 'AcquireQueued': {
      const { waiter, session, resource, request, ttlMs, untilMs, count, key } = event;
      const terms = fields({ request, ttl: duration(ttlMs), until: clock(untilMs), count, key });
      return `${waiter} ${session} r${resource} ${terms}`;
    }
    case 'WaitRepeated':
      return `${event.waiter} request=${event.request}`;
    case 'WaitEnded':
      return `${event.waiter} ${event.end}`;
    case 'CooldownBegan':
      return `r${event.resource} #${event.addressId} until=${clock(event.untilMs)}`;
    case 'ProbationEnded':
      return joined(event.resource === undefined ? '' : `r${event.resource}`, `#${event.addressId}`);
    case 'UsageWritten': {
      const grants = event.resources.map(([resource, count]) => `r${resource}=${count}`);
      const requests = event.addresses.map(([addressId, count]) => `#${addressId}+${count}`);
      return joined(`last=${event.lastToken}`, ...grants, ...requests);
    }
    case 'CutsNoticed':
      return `${event.count}`;
    case 'CooldownEnded':
      return `r${event.resource} #${event.addressId}`;
    case 'PairQuarantined':
      return `r${event.resource} #${event.addressId} ${quarantine(event)}`;
    case 'AddressQuarantined':
      return `#${event.addressId} ${quarantine(event)}`;
    case 'PairQuarantineEnded':
      return joined(`r${event.resource} #${event.addressId}`, event.isLifted ? 'lifted' : '');
    case 'AddressQuarantineEnded':
      return joined(`#${event.addressId}`, event.isLifted ? 'lifted' : '');
    case 'AddressHealthChanged':
      return `#${event.addressId} ${event.isHealthy ? 'healthy' : 'unhealthy'}`;
    case 'AddressDrainChanged':
      return `#${event.addressId} ${event.isDraining ? 'draining' : 'serving'}`;
    case 'PairReserved':
      return `#${event.addressId} waiter=${event.waiter}`;
    case 'ReservationsDropped':
      return `${event.addressIds.map((id) => `#${id}`).join(' ')} waiter=${event.waiter}`;
    case 'GrantRepeated':
      return `${event.leases.join(' ')} request=${event.request}`;
    case 'ExpiryNoticed':
      return `${event.lease}`;
    case 'StorageChanged':
      return event.level;
    case 'WaitersMatched':
    case 'QueueNoticed':
      return `r${event.resource}`;
    default:
      return assertNever(event);
  }
}

function sessionText({ session, resumeWindowMs, noticeMs }: Extract<LeaseEvent, { resumeWindowMs: number }>): string {
  return `${session} ${fields({ window: duration(resumeWindowMs), notice: optionalDuration(noticeMs) })}`;
}

function deadline({ ttlMs, clamped, deadlineMs }: { ttlMs: number; clamped: boolean; deadlineMs: number }) {
  return { ttl: duration(ttlMs), clamped, until: clock(deadlineMs) };
}

function quarantine({
  reason,
  level,
  untilMs,
}: {
  reason: string;
  level: number;
  untilMs?: number | undefined;
}): string {
  return `${reasonText(reason)} level=${level} ${untilMs === undefined ? 'until lifted' : `until=${clock(untilMs)}`}`;
}

function reasonText(reason: string | undefined): string {
  return reason === undefined ? '' : `(${reason})`;
}

function change(poolChange: PoolChange): string {
  switch (poolChange[0]) {
    case 'add':
      return `add #${poolChange[1]} ${poolChange[2].address}`;
    case 'update':
      return `update #${poolChange[1]}${poolChange[3] ? ' with its rpw' : ''}`;
    case 'remove':
      return `remove #${poolChange[1]}`;
    default:
      return assertNever(poolChange);
  }
}

function noticeText(notice: LeaseNotice): string {
  switch (notice.type) {
    case 'ProcessLeaseRevoking':
      return `revoking ${notice.lease} ${reasonText(notice.reason)}`;
    case 'ProcessLeaseEnded':
      return `ended ${notice.lease} ${reasonText(notice.reason)}`;
    case 'LeaseExpiring':
      return `expiring ${notice.lease} remaining=${duration(notice.remainingMs)}`;
    case 'LeaseExpired':
      return `expired ${notice.lease}`;
    case 'LeaseRevoking': {
      const { lease, reason, deadlineMs, substitute } = notice;
      return joined(`revoking ${lease} ${reasonText(reason)} in=${duration(deadlineMs)}`, substituteText(substitute));
    }
    case 'LeaseRevoked':
      return joined(`revoked ${notice.lease} ${reasonText(notice.reason)}`, substituteText(notice.substitute));
    case 'WaitAnswered':
      return `request ${notice.request} ${acquireLines(notice.answer).join('\n')}`;
    default:
      return assertNever(notice);
  }
}

function substituteText(substitute: Grant | undefined): string {
  return substitute === undefined ? '' : `substitute ${grantText(substitute)}`;
}

function answerLines(answer: LeaseAnswer): string[] {
  switch (answer.type) {
    case 'done':
      return ['done'];
    case 'rejected':
      return [`error ${answer.code}: ${answer.message}`];
    case 'imported':
      return [`imported ${fields({ ...answer.counts })}`];
    case 'policy_set':
      return [`policy set, version ${answer.version}`];
    case 'policy_deleted':
    case 'no_policy':
      return [answer.type.replace('_', ' ')];
    case 'stale':
      return [`stale: the version is ${answer.version}`];
    case 'session_revoked':
      return [`revoked with ${answer.leases} leases`];
    case 'unknown_session':
      return ['unknown session'];
    case 'added':
    case 'duplicate':
    case 'updated':
    case 'removed':
      return [`${answer.type} #${answer.addressId}`];
    case 'opened':
      return [
        `${answer.resumed ? 'resumed' : 'opened'} ${answer.session}`,
        ...answer.leases.map((held) => `  holds ${heldText(held)}`),
        ...answer.waiting.map((waiting) => `  waits ${waitingText(waiting)}`),
        ...answer.ended.map(({ lease, resource, end, reason }) => {
          return joined(`  lost ${lease} r${resource} ${end}`, reasonText(reason));
        }),
      ];
    case 'granted':
    case 'queued':
    case 'refused':
      return acquireLines(answer);
    case 'explained':
      return [`would ${answer.would}: ${whyText(answer.why)}`];
    case 'cancelled': {
      const { leases, isMany } = answer;
      if (leases.length === 0) return ['cancelled'];
      return [`cancelled and released ${isMany ? `all of ${leases.join(' ')}` : leases[0]!}`];
    }
    case 'renewed':
      return answer.leases.map(renewal);
    case 'released':
    case 'reported':
      return [answer.type];
    case 'revoked':
      return [joined('revoked', answer.leases.join(' '))];
    default:
      return assertNever(answer);
  }
}

function acquireLines(answer: Granted | Queued | Refused): string[] {
  switch (answer.type) {
    case 'granted':
      if (!answer.isMany) return [`granted ${grantText(answer.grants[0]!)}`];
      return [`granted ${answer.grants.length}`, ...answer.grants.map((grant) => `  ${grantText(grant)}`)];
    case 'queued':
      return [`queued ${fields({ position: answer.position, estimate: optionalDuration(answer.estimateMs) })}`];
    case 'refused':
      return [
        `refused ${answer.reason}: ${whyText(answer.why)}`,
        ...(answer.retryAfterMs === undefined ? [] : [`  retry after ${duration(answer.retryAfterMs)}`]),
      ];
    default:
      return assertNever(answer);
  }
}

function renewal(outcome: RenewalOutcome): string {
  if ('rejected' in outcome) return `lost ${outcome.lease}: ${outcome.rejected.code}`;
  const terms = fields({ ttl: duration(outcome.ttlMs), clamped: outcome.clamped });
  return `renewed ${outcome.lease} ${terms}`;
}
