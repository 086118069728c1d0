import { type Bug, bug } from '../plant.ts';

const ACQUIRE = 'server/lease/decide-acquire.ts';
const APPLY_LEASE = 'server/lease/apply-lease.ts';
const APPLY_SESSION = 'server/lease/apply-session.ts';
const APPLY_WAITING = 'server/lease/apply-waiting.ts';
const DUE = 'server/lease/decide-due.ts';
const ENDS = 'server/lease/lease-ends.ts';
const INDEX = 'server/lease/lease-index.ts';
const LEASE = 'server/lease/decide-lease.ts';
const PAIR = 'server/lease/pair.ts';
const PAIRS = 'server/lease/decide-pair.ts';
const REVOKE = 'server/lease/decide-revoke.ts';
const SELECT = 'server/lease/select.ts';
const SESSION = 'server/lease/decide-session.ts';
const SNAPSHOT = 'server/lease/snapshot.ts';
const STORAGE = 'server/lease/storage.ts';
const QUEUE = 'server/lease/waiting.ts';
const WAITING = 'server/lease/decide-waiting.ts';
const COORDINATOR = 'server/coordinator/coordinator.ts';
const CONNECTION = 'server/sessions/connection.ts';
const HUB = 'server/sessions/session-hub.ts';

/** One each of the ways in which a coordinator of leases goes wrong. */
export const BUGS: readonly Bug[] = [
  // ---- who has what
  bug(
    'a pair is granted while it is leased',
    [
      PAIR,
      "state: 'leased', untilMs: Math.max(leasedUntilMs, restMs), isEligible: false",
      "state: 'leased', untilMs: 0, isEligible: true",
    ],
    [INDEX, 'if (address.isLeased(lease.resource)) {', 'if (false) {'],
  ),
  bug('a restart begins with the tokens of the wall clock', [
    APPLY_SESSION,
    'Math.max(state.lastToken, state.reservedToken, event.tokenFloor)',
    'event.tokenFloor',
  ]),
  bug(
    "another's lease is released",
    [LEASE, '!isSameHolder(live.holder, holder)', 'false'],
    [LEASE, 'isKnown && isSameHolder(lease.holder, holder)', 'isKnown'],
  ),
  bug('one lease more than the bound is granted', [
    SELECT,
    'taken + count > maxLeases',
    'taken + count > maxLeases + 1',
  ]),
  bug('a substitute has a deadline of its own', [
    REVOKE,
    '      deadlineMs,\n      where: terms?.where,',
    '      deadlineMs: deadlineMs + 1_000,\n      where: terms?.where,',
  ]),
  bug("a default condition isn't looked at", [
    SELECT,
    'resource.pool.condition(whereOf(state, resource, wish.where));\n  const bound',
    'resource.pool.condition(wish.where);\n  const bound',
  ]),

  // ---- room
  bug('a full disk keeps nobody from leases', [STORAGE, "return storage !== 'ample';", 'return false;']),
  bug('a full disk keeps nobody who waits from being served', [WAITING, 'if (isShort(state)) return undefined;', '']),

  // ---- time
  bug('leases expire by the wall clock', [
    COORDINATOR,
    '    const nowMs = clock.nowMs();\n    const decision',
    '    const nowMs = ((this as any).wall ??= clock.nowMs() - clock.utcMs()) + clock.utcMs();\n    const decision',
  ]),
  bug('a renew brings the deadline nearer', [
    LEASE,
    'Math.max(lease.deadlineMs, Math.min(askedMs, revokedAtMs))',
    'Math.min(askedMs, revokedAtMs)',
  ]),
  bug('leases are a little shorter than holders believe', [
    ACQUIRE,
    'deadlineMs: Math.ceil(context.nowMs) + ttlMs,',
    'deadlineMs: context.nowMs + ttlMs * 0.998,',
  ]),
  bug('a wait is told longer than it was', [WAITING, 'Math.floor(nowMs - atMs)', 'Math.ceil((nowMs - atMs) * 2)']),
  bug('the clock is not written while leases live', [
    'server/lease/lease-domain.ts',
    'if (ttlClasses[shortest]! > 0) return Math.min(maxMs, 2 ** shortest / 4);',
    'if (ttlClasses[shortest]! > 0) return undefined;',
  ]),

  // ---- waiting
  bug('a cancel is lost', [
    WAITING,
    "return { ...nothing, events: [{ type: 'WaitEnded', waiter: waiter.number, end: 'cancelled' }] };",
    'return nothing;',
  ]),
  bug('a cancel leaves what was granted meanwhile', [
    WAITING,
    "  for (const lease of held) ends.add(lease, { end: 'released' });\n",
    '',
  ]),
  bug('waits never run out', [DUE, '    timeoutStep(state, context) ??\n', '']),
  bug('the last to come is served first', [
    'server/lease/waiting-order.ts',
    'headOf(one).number < headOf(other).number : key < otherKey;',
    'headOf(one).number > headOf(other).number : key > otherKey;',
  ]),
  bug('what a session waited for waits on when it has ended', [
    APPLY_SESSION,
    '  for (const line of session.lines) for (const waiter of line.waiters) removeWaiter(state, waiter);\n',
    '',
  ]),
  bug('whoever waits is not woken by the end of a lease', [
    PAIR,
    'if (resource.queue.activeCount > 0) state.matching.set(resource, 0);',
    '',
  ]),
  bug(
    'a new acquire passes those who wait',
    [COORDINATOR, '        this.#runDue();\n        part.hasBegun = true;', '        part.hasBegun = true;'],
    [ACQUIRE, 'const matched = matchStep(state, resource, context);', 'const matched = undefined;'],
  ),
  bug("a suspended session's waiter is served", [APPLY_SESSION, '  parkLines(state, session);\n', '']),
  bug('what is reserved for a count stays so when it is through', [
    APPLY_WAITING,
    '  for (const address of waiter.reserved) unreserve(state, waiter, address);\n  resource.queue.delete(waiter);',
    '  resource.queue.delete(waiter);',
  ]),
  bug('a service is not counted', [QUEUE, 'this.rekey(strand, key);', 'continue;']),
  bug('of a count only a part is granted', [
    WAITING,
    'condition.eligibleCount >= count - waiter.reserved.size &&',
    'condition.eligibleCount + waiter.reserved.size > 0 &&',
  ]),

  // ---- marks
  bug('no pair rests', [ENDS, 'return untilMs > nowMs ? untilMs : undefined;', 'return undefined;']),
  bug('a pair is handed over before its holder must know', [
    ENDS,
    "if (handover === 'safe' && end !== 'released')",
    "if (handover === 'safe' && end === 'released')",
  ]),
  bug('a quarantine ends with the rest of its pair', [
    DUE,
    'if (isOver(pair.quarantine?.untilMs, nowMs))',
    'if (pair.quarantine)',
  ]),
  bug('every ban is the first', [PAIRS, 'banMs * 2 ** level', 'banMs']),
  bug('an address on probation is given to many', [
    PAIR,
    "return { state: 'probation', untilMs: untilMs ?? 0, isEligible: untilMs === undefined };",
    "return { state: 'probation', untilMs: untilMs ?? 0, isEligible: true };",
  ]),
  bug('an unhealthy address is given', [
    PAIR,
    "state: 'unhealthy', untilMs: Infinity, isEligible: false",
    "state: 'unhealthy', untilMs: Infinity, isEligible: true",
  ]),
  bug('an unhealthy address keeps its leases', [INDEX, "  if (address.isUnhealthy) return 'unhealthy';\n", '']),
  bug('a pair is never free again', [
    APPLY_LEASE,
    '  usageChanged(state, address);\n  leasesChanged(state, address, resource);\n}\n\n/** A removed',
    '  usageChanged(state, address);\n}\n\n/** A removed',
  ]),
  bug('grants do not slow down', [
    SELECT,
    "return untilMs > nowMs ? { reason: 'slowed', untilMs } : undefined;",
    'return undefined;',
  ]),

  // ---- keys
  bug('a snapshot forgets the keys', [
    SNAPSHOT,
    'for (const [holder, keys] of state.keys) {',
    'for (const [holder, keys] of [] as never[]) {',
  ]),
  bug('another request by a key is taken for the same', [ACQUIRE, 'if (entry.body !== body) {', 'if (false) {']),

  // ---- sessions
  bug("a superseded socket's frames are still taken", [
    CONNECTION,
    "    this.#handler = undefined;\n    this.#phase = 'leaving';\n",
    '',
  ]),
  bug('a resume window is not kept', [
    SESSION,
    'Math.max(session.resumeWindowMs, command.suspendMs)',
    'command.suspendMs',
  ]),
  bug('a restart keeps no session that asked for no window', [
    APPLY_SESSION,
    'Math.max(session.resumeWindowMs, event.suspendMs)',
    'session.resumeWindowMs',
  ]),
  bug('a close by the coordinator ends the session', [
    CONNECTION,
    "code < 4500 ? 'suspended' : 'dropped'",
    "'dropped'",
  ]),
  bug('a peer is dropped whatever it answers to a ping', [
    CONNECTION,
    '  pong(): void {\n    this.#missedPongs = 0;',
    '  pong(): void {',
  ]),
  bug('a session is resumed without its secret', [
    SESSION,
    '!session || session.secretHash !== secretHash',
    '!session',
  ]),
  bug('a session that was resumed still ends', [
    APPLY_SESSION,
    '      state.suspended.delete(session);\n      for (',
    '      for (',
  ]),
  bug('ends are not remembered for a resume', [
    APPLY_LEASE,
    'session.unaskedEnds.push(reason === undefined ? ended : { ...ended, reason });',
    '',
  ]),
  bug('a snapshot forgets what a session was not told', [SNAPSHOT, '      session.unaskedEnds,', '      [],']),
  bug('notices are lost', [HUB, 'this.#bySession.get(notice.session)?.push(noticeFrame(notice));', '']),

  // ---- the disk
  bug('answers leave before they are on disk', [
    'server/coordinator/output-gate.ts',
    'first.position <= this.#durable',
    'true',
  ]),
  bug('a failed append is taken for a durable one', [
    COORDINATOR,
    "if (result.outcome !== 'durable') {",
    "if (result.outcome === 'deposed') {",
  ]),
];

export interface Hint {
  readonly seed: number;
  readonly operations: number;
}

/** Of a bug that FOUND_BY doesn't name. */
export const FIRST: Hint = { seed: 1, operations: 100 };

/**
 * What finds a bug after few operations. Only hints: one that no longer does costs a look at many seeds, and the test says
 * which of them does now.
 */
export const FOUND_BY: ReadonlyMap<string, Hint> = new Map([
  ...foundBy(
    2,
    100,
    "a default condition isn't looked at",
    'a renew brings the deadline nearer',
    'a cancel is lost',
    'no pair rests',
    'answers leave before they are on disk',
    'waits never run out',
  ),
  ...foundBy(
    4,
    100,
    'leases expire by the wall clock',
    'of a count only a part is granted',
    'a service is not counted',
    'an unhealthy address keeps its leases',
  ),
  ...foundBy(5, 100, 'a substitute has a deadline of its own'),
  ...foundBy(8, 100, 'a cancel leaves what was granted meanwhile'),
  ...foundBy(10, 100, 'a session is resumed without its secret', 'an unhealthy address is given'),
  ...foundBy(11, 100, 'an address on probation is given to many'),
  ...foundBy(12, 100, 'a session that was resumed still ends', 'a close by the coordinator ends the session'),
  ...foundBy(13, 100, 'grants do not slow down'),
  ...foundBy(15, 100, 'ends are not remembered for a resume'),
  ...foundBy(16, 100, 'a quarantine ends with the rest of its pair'),
  ...foundBy(19, 100, 'a new acquire passes those who wait', 'every ban is the first'),
  ...foundBy(32, 100, 'leases are a little shorter than holders believe'),
  ...foundBy(37, 100, 'a pair is handed over before its holder must know'),
  ...foundBy(46, 100, "a suspended session's waiter is served"),
  ...foundBy(55, 100, 'another request by a key is taken for the same'),
  ...foundBy(147, 100, 'a failed append is taken for a durable one'),
  ...foundBy(167, 100, 'the clock is not written while leases live'),
  ...foundBy(1, 300, 'a peer is dropped whatever it answers to a ping'),
  ...foundBy(2, 300, 'what a session waited for waits on when it has ended'),
  ...foundBy(10, 300, 'the last to come is served first'),
  ...foundBy(14, 300, 'a full disk keeps nobody from leases'),
  ...foundBy(
    37,
    300,
    'a restart begins with the tokens of the wall clock',
    'a restart keeps no session that asked for no window',
  ),
  ...foundBy(90, 300, 'a full disk keeps nobody who waits from being served'),
  ...foundBy(147, 300, 'a snapshot forgets the keys'),
  ...foundBy(158, 300, "a superseded socket's frames are still taken"),
  ...foundBy(23, 5_000, 'a snapshot forgets what a session was not told'),
]);

function foundBy(seed: number, operations: number, ...names: readonly string[]): (readonly [string, Hint])[] {
  return names.map((name) => [name, { seed, operations }]);
}
