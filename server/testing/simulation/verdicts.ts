import type { Why } from '../../../protocol/frames.ts';
import type { Address } from '../../lease/address.ts';
import type { AcquireTerms } from '../../lease/commands.ts';
import type { LeaseState, Resource } from '../../lease/state.ts';
import type { Findings } from './findings.ts';
import type { EventOf } from './happening.ts';
import type { History } from './history.ts';
import { boundOf, conditionOf, firstServable, isEligible, serving, stateOf } from './naive-pairs.ts';
import type { Decided } from './watched-domain.ts';

interface Verdict {
  readonly fitting: readonly Address[];
  /** Undefined: it is to be granted. */
  readonly reason: 'none_available' | 'max_leases' | 'slowed' | undefined;
}

/**
 * Holds a decision on an acquire, or the explanation of one, to what can be read off the marks: nothing is refused that is
 * to be had, nor granted past who waits for it; and what is explained changes nothing.
 */
export function checkVerdict(decided: Decided, history: History, findings: Findings): void {
  const { command, decision, state } = decided;
  checkWhole(decided, findings);
  if (decision.again !== undefined) return;
  if (command.type !== 'AcquireLease' && command.type !== 'ExplainAcquire') return;
  const resource = state.resources.get(command.resource);
  const { answer } = decision;
  // On a disk that is nearly full only what was granted before is answered so again.
  if (!answer || !resource || answer.type === 'rejected' || state.storage !== 'ample') return;
  const find = (what: string) => findings.report('waiting', `${command.type} on resource ${resource.id}: ${what}`);
  const liveCount = history.leases.liveCount(resource.id);
  const isRepeat =
    answer.type === 'granted' ? decision.events.length === 0 : answer.type === 'queued' && !isNew(decided);
  if (isRepeat) return;
  const servable = firstServable(
    state,
    resource,
    history.waits.waitersOf(resource.id, state),
    liveCount,
    decided.nowMs,
  );
  if (servable) find(`waiter ${servable.number} was there first, and could be served`);
  if (answer.type === 'granted') return;
  const { reason, fitting } = verdictOn(state, resource, command, liveCount, decided.nowMs);
  if (answer.type === 'explained') {
    if (decision.events.length > 0) find(`explaining leads to ${decision.events[0]!.type}`);
    if ((answer.would === 'grant') !== (reason === undefined)) find(`would ${answer.would}, ${reason ?? 'free'}`);
    mustCount(answer.why, fitting, resource, find);
  } else if (reason === undefined) find(`${answer.type}, though ${fitting.length} fit and some are to be had`);
  else if (answer.type === 'refused') {
    if (answer.reason !== reason) find(`refused for ${answer.reason} instead of ${reason}`);
    mustCount(answer.why, fitting, resource, find);
  }
}

function verdictOn(
  state: LeaseState,
  resource: Resource,
  { where, count = 1 }: AcquireTerms,
  liveCount: number,
  nowMs: number,
): Verdict {
  const addresses = serving(state, resource.id);
  const fitting = addresses.filter(conditionOf(state, resource.id, where));
  const bound = boundOf(state, resource, addresses, liveCount, { count, ownCount: 0, nowMs });
  if (bound) return { fitting, reason: bound };
  const eligible = fitting.filter((address) => isEligible(address, resource.id));
  return { fitting, reason: eligible.length >= count ? undefined : 'none_available' };
}

/** By state, and those that don't meet the condition. */
function mustCount(why: Why, fitting: readonly Address[], resource: Resource, find: (what: string) => void): void {
  const counts = new Map<string, number>();
  for (const address of fitting) {
    const state = stateOf(address, resource.id);
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  for (const [state, count] of Object.entries(why.states)) {
    if (count !== (counts.get(state) ?? 0)) find(`${count} are said to be ${state}, of ${counts.get(state) ?? 0}`);
    counts.delete(state);
  }
  for (const [state, count] of counts) find(`nothing is said of ${count} that are ${state}`);
  const excluded = resource.pool.size - fitting.length;
  if (why.excluded !== excluded) find(`${why.excluded} are said to be excluded, of ${excluded}`);
}

function isNew({ decision }: Decided): boolean {
  return decision.events.some(({ type }) => type === 'AcquireQueued');
}

/** All or none of what a waiter asked for. */
function checkWhole({ decision, state }: Decided, findings: Findings): void {
  let first: EventOf<'LeaseGranted'> | undefined;
  let granted = 0;
  for (const event of decision.events) {
    if (event.type !== 'LeaseGranted') continue;
    first ??= event;
    granted += 1;
  }
  const waiter = first && state.waiters.get(first.waiter ?? 0);
  if (!waiter || granted === (waiter.count ?? 1)) return;
  findings.report('waiting', `waiter ${waiter.number} is granted ${granted} of ${waiter.count ?? 1}`);
}
