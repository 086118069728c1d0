/** How scenario texts write what goes into the lease domain and what comes out of it. */
import { assertNever } from '../../protocol/assert.ts';
import type { Held, Why } from '../../protocol/frames.ts';
import type { LeaseAnswer, LeaseNotice, RenewalOutcome } from '../lease/commands.ts';
import type { LeaseEvent } from '../lease/events.ts';
import type { Holder } from '../lease/holder.ts';
import type { PoolChange, ResourcePolicy } from '../lease/state.ts';
import { type Decided, START_MS } from './lease-driver.ts';

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;
/** Lines of one kind in a row beyond so many are counted, not listed. */
const ALIKE_MAX = 4;

/** `90s` for 90,000: in the largest unit that leaves no rest. */
export function duration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, unitMs] = UNITS.find(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}

export function parseDuration(text: string): number {
  const [, figure, unit] = /^(\d+(?:\.\d+)?)(d|h|ms|m|s)$/.exec(text) ?? [];
  if (figure === undefined) throw new Error(`not a duration: "${text}"`);
  return Number(figure) * UNITS.find(([name]) => name === unit)![1];
}

/** `c1` is a session, `key:anna` a client over HTTP, `http:x` whoever knows the secret x, `process` ourselves. */
export function parseHolder(text: string): Holder {
  if (text === 'process') return { kind: 'process' };
  const [kind, name] = text.split(':');
  if (name === undefined) return { kind: 'session', session: text };
  return kind === 'key' ? { kind: 'client', client: name } : { kind: 'secret', secretHash: name };
}

export function holderText(holder: Holder): string {
  switch (holder.kind) {
    case 'session':
      return holder.session;
    case 'client':
      return `key:${holder.client}`;
    case 'secret':
      return `http:${holder.secretHash}`;
    case 'process':
      return 'process';
  }
}

/** Decisions as lines: `+` an event, `!` a notice, the answer last, as it would reach the outside. */
export function decisionLines(decisions: readonly Decided[], showTime = false): string[] {
  const lines: string[] = [];
  const told = decisions.filter(({ events, notices, answer }) => events.length + notices.length > 0 || answer);
  let lastMs: number | undefined;
  for (const [index, { atMs, events, notices, answer }] of told.entries()) {
    if (showTime && atMs !== lastMs) lines.push(`at ${clock(atMs)}`);
    else if (index > 0 && events.length > 0) lines.push('next decision');
    lastMs = atMs;
    lines.push(...grouped(events.map((event) => [`+ ${event.type}`, eventFields(event)])));
    lines.push(...grouped(notices.map((notice) => [`! ${notice.session}`, noticeText(notice)])));
    if (answer && !(showTime && answer.type === 'done')) lines.push(...answerLines(answer));
  }
  return lines.length === 0 ? ['nothing'] : lines;
}

function grouped(entries: readonly (readonly [kind: string, text: string])[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < entries.length; ) {
    const [kind] = entries[index]!;
    let end = index;
    while (end < entries.length && entries[end]![0] === kind) end += 1;
    if (end - index > ALIKE_MAX) lines.push(`${kind} × ${end - index}`);
    else for (const [, text] of entries.slice(index, end)) lines.push(text === '' ? kind : `${kind} ${text}`);
    index = end;
  }
  return lines;
}

/** Time since the scenario began. */
function clock(ms: number): string {
  return `@${duration(ms - START_MS)}`;
}

function fields(values: Readonly<Record<string, string | number | undefined>>): string {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  return present.map(([name, value]) => `${name}=${value}`).join(' ');
}

function eventFields(event: LeaseEvent): string {
  switch (event.type) {
    case 'EpochStarted':
      return fields({ epoch: event.epoch, floor: event.tokenFloor, suspend: duration(event.suspendMs) });
    case 'DayTurned':
      return new Date(event.day * 86_400_000).toISOString().slice(0, 10);
    case 'TokensReserved':
      return `until=${event.until}`;
    case 'Configured':
      return [policy('default', event.defaultPolicy), ...event.policies.map(([id, own]) => policy(`r${id}`, own))].join(
        ', ',
      );
    case 'PoolStaged':
      return event.changes.length > ALIKE_MAX
        ? `changes=${event.changes.length}`
        : event.changes.map(change).join(', ');
    case 'PoolCommitted':
      return '';
    case 'SessionOpened':
      return `${event.session} ${sessionTerms(event)}`;
    case 'SessionResumed':
      return `${event.session} ${sessionTerms(event)}`;
    case 'SessionSuspended':
      return `${event.session} until=${clock(event.untilMs)} end=${event.end}`;
    case 'SessionEnded':
      return event.session;
    case 'LeaseGranted': {
      const { lease, resource, addressId, holder, ttlMs, clamped, deadlineMs } = event;
      const terms = { ttl: `${duration(ttlMs)}${clamped ? ' clamped' : ''}`, until: clock(deadlineMs) };
      return `${lease} r${resource} #${addressId} ${holderText(holder)} ${fields(terms)}`;
    }
    case 'LeaseRenewed': {
      const { lease, ttlMs, clamped, deadlineMs } = event;
      return `${lease} ${fields({ ttl: `${duration(ttlMs)}${clamped ? ' clamped' : ''}`, until: clock(deadlineMs) })}`;
    }
    case 'LeaseReported':
      return `${event.lease} ${fields({ outcome: event.outcome, requests: event.requests })}`;
    case 'LeaseEnded':
      return `${event.lease} ${event.end}${event.reason === undefined ? '' : ` (${event.reason})`}`;
    case 'ExpiryNoticed':
      return `${event.lease}`;
    default:
      return assertNever(event);
  }
}

function policy(name: string, { ttlMinMs, ttlMaxMs, maxLeases }: ResourcePolicy): string {
  return `${name} ${fields({ ttl: `${duration(ttlMinMs)}..${duration(ttlMaxMs)}`, max: maxLeases })}`;
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

function sessionTerms({ resumeWindowMs, noticeMs }: { resumeWindowMs: number; noticeMs: number | undefined }): string {
  return fields({ window: duration(resumeWindowMs), notice: noticeMs === undefined ? undefined : duration(noticeMs) });
}

function noticeText(notice: LeaseNotice): string {
  switch (notice.type) {
    case 'LeaseExpiring':
      return `expiring ${notice.lease} remaining=${duration(notice.remainingMs)}`;
    case 'LeaseExpired':
      return `expired ${notice.lease}`;
    case 'LeaseRevoked':
      return `revoked ${notice.lease} (${notice.reason})`;
    default:
      return assertNever(notice);
  }
}

export function answerLines(answer: LeaseAnswer): string[] {
  switch (answer.type) {
    case 'done':
      return ['done'];
    case 'rejected':
      return [`error ${answer.code}: ${answer.message}`];
    case 'imported':
      return [`imported ${fields({ ...answer.counts })}`];
    case 'opened':
      return [
        `${answer.resumed ? 'resumed' : 'opened'} ${answer.session}`,
        ...answer.leases.map((held) => `  holds ${grant(held)} request=${held.request}`),
        ...answer.ended.map(({ lease, resource, end, reason }) => {
          return `  lost ${lease} r${resource} ${end}${reason === undefined ? '' : ` (${reason})`}`;
        }),
      ];
    case 'granted':
      return [`granted ${grant(answer.grant)}`];
    case 'refused':
      return [
        `refused ${answer.reason}: ${why(answer.why)}`,
        ...(answer.retryAfterMs === undefined ? [] : [`  retry after ${duration(answer.retryAfterMs)}`]),
      ];
    case 'renewed':
      return answer.leases.map(renewal);
    case 'released':
    case 'reported':
      return [answer.type];
    case 'revoked':
      return [`revoked ${answer.leases.join(' ')}`.trimEnd()];
    default:
      return assertNever(answer);
  }
}

function grant({ lease, resource, address, ttl_ms, clamped }: Omit<Held, 'request'>): string {
  const terms = fields({ ttl: duration(ttl_ms), rpw: address.rpw });
  return `${lease} ${address.address} r${resource} ${terms}${clamped === true ? ' clamped' : ''}`;
}

function renewal(outcome: RenewalOutcome): string {
  if ('rejected' in outcome) return `lost ${outcome.lease}: ${outcome.rejected.code}`;
  return `renewed ${outcome.lease} ttl=${duration(outcome.ttlMs)}${outcome.clamped ? ' clamped' : ''}`;
}

function why({ states, excluded, soonest_ms: soonestMs, max_leases: maxLeases }: Why): string {
  const soonest = soonestMs === undefined ? undefined : duration(soonestMs);
  return fields({ leased: states.leased, free: states.free, excluded, soonest, max: maxLeases });
}
