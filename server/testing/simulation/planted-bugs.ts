/** A change of the sources; `find` stands there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Bug {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const APPLY = 'server/lease/apply.ts';
const APPLY_LEASE = 'server/lease/apply-lease.ts';
const APPLY_WAITING = 'server/lease/apply-waiting.ts';
const DUE = 'server/lease/decide-due.ts';
const ENDS = 'server/lease/lease-ends.ts';
const INDEX = 'server/lease/lease-index.ts';
const LEASE = 'server/lease/decide-lease.ts';
const PAIR = 'server/lease/pair.ts';
const SESSION = 'server/lease/decide-session.ts';
const WAITING = 'server/lease/decide-waiting.ts';
const COORDINATOR = 'server/coordinator/coordinator.ts';
const CONNECTION = 'server/sessions/connection.ts';
const HUB = 'server/sessions/session-hub.ts';

/** One each of the ways in which a coordinator of leases goes wrong. */
export const BUGS: readonly Bug[] = [
  bug(
    'a pair is granted while it is leased',
    [PAIR, "  if (lease) return { state: 'leased'", "  if (lease && resource < 0) return { state: 'leased'"],
    [INDEX, '  if (address.leaseFor(lease.resource)) {', '  if (false) {'],
  ),
  bug('leases expire by the wall clock', [
    COORDINATOR,
    '    const nowMs = clock.nowMs();\n    const decision',
    '    const nowMs = ((this as any).wall ??= clock.nowMs() - clock.utcMs()) + clock.utcMs();\n    const decision',
  ]),
  bug('a cancel is answered, and the request waits on', [
    WAITING,
    "return { ...nothing, events: [{ type: 'WaitEnded', waiter: waiter.number, end: 'cancelled' }] };",
    'return nothing;',
  ]),
  bug('a cancel leaves what was granted meanwhile', [
    WAITING,
    "  for (const lease of held) ends.add(lease, { end: 'released' });\n",
    '',
  ]),
  bug('waiters outlive their session', [
    APPLY,
    '  for (const line of session.lines) for (const waiter of line.waiters) removeWaiter(state, waiter);\n',
    '',
  ]),
  bug('waits never time out', [DUE, '    timeoutStep(state, context) ??\n', '']),
  bug("a suspended session's waiter is served", [APPLY, '  parkLines(state, session);\n', '']),
  bug('what a count has reserved is never given back', [
    APPLY_WAITING,
    '  for (const address of waiter.reserved) unreserve(state, waiter, address);\n  resource.queue.delete(waiter);',
    '  resource.queue.delete(waiter);',
  ]),
  bug('a newer acquire passes those who wait', [
    'server/lease/pair.ts',
    '  if (resource.queue.activeCount > 0) state.matching.set(resource, 0);',
    '',
  ]),
  bug('the last to come is served first', [
    'server/lease/waiting.ts',
    'headOf(one).number < headOf(other).number : one.key < other.key;',
    'headOf(one).number > headOf(other).number : one.key > other.key;',
  ]),
  bug('a count is granted in part', [
    WAITING,
    'choose(resource, condition, wishOfWaiter(waiter), missing, context) : [];',
    'choose(resource, condition, wishOfWaiter(waiter), Math.max(1, missing - 1), context) : [];',
  ]),
  bug('a key is forgotten by a snapshot', [
    'server/lease/snapshot.ts',
    "      yield ['key', VERSIONS.key, holder, key, body, waiter ?? null, leases, liveCount, endedAtMs ?? null];\n",
    '',
  ]),
  bug('cool-downs are ignored', [ENDS, '  return untilMs > nowMs ? untilMs : undefined;', '  return undefined;']),
  bug('a safe handover is not waited for', [
    ENDS,
    "if (handover === 'safe' && ",
    "if (handover === 'never' as string && ",
  ]),
  bug('a quarantine ends at once', [
    DUE,
    'if (isOver(pair.quarantine?.untilMs)) events',
    'if (pair.quarantine) events',
  ]),
  bug('an unhealthy address keeps its leases', [INDEX, "  if (address.isUnhealthy) return 'unhealthy';\n", '']),
  bug('a substitute has its TTL anew', [
    'server/lease/decide-revoke.ts',
    '      clamped: lease.clamped,\n      deadlineMs,',
    '      clamped: lease.clamped,\n      deadlineMs: nowMs + lease.ttlMs,',
  ]),
  bug("a superseded socket's frames are still taken", [
    CONNECTION,
    "    this.#handler = undefined;\n    this.#phase = 'leaving';\n",
    '',
  ]),
  bug('a restart begins with the tokens of the wall clock', [
    APPLY,
    'Math.max(state.lastToken, state.reservedToken, event.tokenFloor)',
    'event.tokenFloor',
  ]),
  bug(
    "another's lease is released",
    [LEASE, '!isSameHolder(live.holder, holder)', 'false'],
    [LEASE, 'isKnown && isSameHolder(lease.holder, holder)', 'isKnown'],
  ),
  bug('answers leave before they are on disk', [
    'server/coordinator/output-gate.ts',
    'this.#queue[this.#head]!.position <= this.#durable',
    'true',
  ]),
  bug('a failed append is taken for a durable one', [
    COORDINATOR,
    "if (result.outcome !== 'durable') {",
    "if (result.outcome === 'deposed') {",
  ]),
  bug('a renew brings the deadline nearer', [
    LEASE,
    'Math.max(lease.deadlineMs, Math.min(askedMs, revokedAtMs))',
    'Math.min(askedMs, revokedAtMs)',
  ]),
  bug('leases are a little shorter than holders believe', [
    'server/lease/decide-acquire.ts',
    'deadlineMs: Math.ceil(context.nowMs) + ttlMs,',
    'deadlineMs: context.nowMs + ttlMs * 0.998,',
  ]),
  bug('the time spent waiting is told too long', [
    WAITING,
    'const waitedMs = Math.floor(nowMs - atMs);',
    'const waitedMs = Math.floor(nowMs - atMs) + 50;',
  ]),
  bug('the clock is not written while leases live', [
    'server/lease/lease-domain.ts',
    'if (shortest >= 0) return Math.min(CLOCK_MARK_MAX_MS, 2 ** shortest / 4);',
    'if (shortest >= 0) return undefined;',
  ]),
  bug('a resume window is not kept', [
    SESSION,
    'Math.max(session.resumeWindowMs, command.suspendMs)',
    'command.suspendMs',
  ]),
  bug('a restart keeps no session that asked for no window', [
    APPLY,
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
    APPLY,
    '      state.suspended.delete(session);\n      for (',
    '      for (',
  ]),
  bug('ends are not remembered for a resume', [
    APPLY_LEASE,
    'session.unaskedEnds.push(reason === undefined ? ended : { ...ended, reason });',
    '',
  ]),
  bug('a snapshot forgets what a session was not told', [
    'server/lease/snapshot.ts',
    '      session.end,\n      session.unaskedEnds,',
    '      session.end,\n      [],',
  ]),
  bug('notices are lost', [HUB, 'this.#bySession.get(notice.session)?.push(noticeFrame(notice));', '']),
  bug('a pair is never free again', [
    APPLY_LEASE,
    '  leasesChanged(state, address, resource.id);\n  usageChanged(state, address);\n}\n\n/** A removed',
    '  usageChanged(state, address);\n}\n\n/** A removed',
  ]),
  bug('one lease more than the bound is granted', [
    'server/lease/select.ts',
    'taken + count > maxLeases',
    'taken + count > maxLeases + 1',
  ]),
];

function bug(name: string, ...edits: readonly (readonly [file: string, find: string, replace: string])[]): Bug {
  return { name, edits: edits.map(([file, find, replace]) => ({ file, find, replace })) };
}
