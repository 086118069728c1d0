/** Runs operations against the lease domain and the model side by side, and throws where they part. */
import assert from 'node:assert/strict';
import type { LeaseAnswer, LeaseAnswers, LeaseCommand } from '../lease/commands.ts';
import type { Holder } from '../lease/holder.ts';
import { LeaseChecks, sameNumbers } from './lease-checks.ts';
import { type Decided, type LeaseDomain, LeaseDriver } from './lease-driver.ts';
import { LeaseModel, type ModelAddress, type ModelSession } from './lease-model.ts';
import { type Asker, type Named, type Operation, SESSIONS_MAX } from './lease-operations.ts';

const TTL_MIN_MS = 200;
const TTL_MAX_MS = 7 * 86_400_000;

export function runHistory(domain: LeaseDomain, operations: readonly Operation[]): void {
  const history = new History(domain);
  for (const operation of operations) history.step(operation);
  history.checkReplay();
}

/** The command's own answer. */
type Answer<Type extends LeaseCommand['type']> = LeaseAnswers[Type];

class History {
  readonly #driver: LeaseDriver;
  readonly #model = new LeaseModel();
  readonly #checks: LeaseChecks;
  /** Session of each slot, alive or not. */
  readonly #slots: (string | undefined)[] = [];
  #sessionCount = 0;
  #epoch = 0;
  #request = 0;

  constructor(domain: LeaseDomain) {
    this.#driver = new LeaseDriver(domain);
    this.#checks = new LeaseChecks(this.#driver, this.#model);
    this.#model.nowMs = this.#driver.nowMs;
    this.#model.utcMs = this.#driver.utcMs;
    this.#restart(0, 0);
    this.#configure({ type: 'configure', defaultMax: undefined, ownMax: 3, ownTtlMaxMs: 10_000 });
  }

  step(operation: Operation): void {
    const model = this.#model;
    model.ends = [];
    let decisions: Decided[];
    if (operation.type === 'advance') {
      decisions = this.#driver.advance(operation.ms);
      this.#checks.checkNotices(decisions);
      this.#checks.advanceModel(operation.ms);
    } else if (operation.type === 'pause') {
      this.#driver.pause(operation.ms);
      model.pass(operation.ms);
      return;
    } else {
      model.expire();
      decisions = this.#run(operation);
      const due = this.#driver.runDue();
      this.#checks.checkNotices(due);
      model.settle();
      decisions = [...decisions, ...due];
    }
    this.#checks.checkEnds(decisions);
    this.#checks.checkState();
  }

  checkReplay(): void {
    assert.deepEqual(this.#driver.replayed(), this.#driver.snapshot(), 'the journal gives another state');
  }

  // ---- operations

  #run(operation: Exclude<Operation, { type: 'advance' | 'pause' }>): Decided[] {
    switch (operation.type) {
      case 'open':
        return this.#isAlive(operation.slot) ? [] : this.#open(operation, undefined);
      case 'resume':
        return this.#open(operation, { session: this.#slots[operation.slot] ?? 'none', right: operation.right });
      case 'drop':
      case 'bye':
        return this.#leave(operation);
      case 'acquire':
        return this.#acquire(operation);
      case 'renew':
        return this.#renew(operation);
      case 'release':
      case 'report':
        return this.#settleLease(operation);
      case 'revoke':
        return this.#revoke(operation.backs.map((back) => this.#token(back)));
      case 'import':
        return this.#import(operation);
      case 'configure':
        return this.#configure(operation);
      case 'wall':
        this.#driver.utcMs += operation.ms;
        this.#model.utcMs += operation.ms;
        return [];
      case 'reload':
        this.#reload();
        return [];
      case 'restart':
        this.#reload();
        return this.#restart(this.#driver.state.lastToken + operation.floorAhead, operation.suspendMs);
    }
  }

  #open(
    { slot, windowMs, noticeMs }: { slot: number; windowMs: number; noticeMs: number | undefined },
    resume: { session: string; right: boolean } | undefined,
  ): Decided[] {
    this.#sessionCount += 1;
    const id = `s${this.#sessionCount}`;
    const { decisions, answer } = this.#execute({
      type: 'OpenSession',
      session: id,
      secretHash: `secret of ${id}`,
      resumeWindowMs: windowMs,
      sessionsMax: SESSIONS_MAX,
      ...(noticeMs === undefined ? {} : { noticeMs }),
      ...(resume && {
        resume: { session: resume.session, secretHash: resume.right ? `secret of ${resume.session}` : '?' },
      }),
    });
    const model = this.#model;
    const resumable = resume?.right === true ? model.session(resume.session) : undefined;
    if (resumable && !model.isOver(resumable)) {
      assert.ok(answer.type === 'opened' && answer.resumed && answer.session === resumable.id, 'it can be resumed');
      this.#resumed(resumable, answer, windowMs, noticeMs);
    } else if (model.sessions.length >= SESSIONS_MAX) {
      assert.ok(answer.type === 'rejected' && answer.code === 'overloaded', 'there are as many sessions as may be');
    } else {
      assert.deepEqual(answer, { type: 'opened', session: id, resumed: false, leases: [], ended: [] });
      model.sessions.push({ id, windowMs, noticeMs, suspendedUntilMs: undefined, unasked: [] });
      this.#slots[slot] = id;
    }
    return decisions;
  }

  #resumed(
    session: ModelSession,
    answer: Extract<Answer<'OpenSession'>, { type: 'opened' }>,
    windowMs: number,
    noticeMs: number | undefined,
  ): void {
    const own = this.#model.live().filter(({ holder }) => holder.kind === 'session' && holder.session === session.id);
    sameNumbers(tokensOf(answer.leases), tokensOf(own), 'leases of the session');
    for (const { lease: token, ttl_ms } of answer.leases) {
      const lease = own.find((one) => one.token === token)!;
      assert.equal(ttl_ms, Math.floor(lease.deadlineMs - this.#model.nowMs), `what is left of lease ${token}`);
    }
    sameNumbers(tokensOf(answer.ended), session.unasked, 'unasked ends');
    Object.assign(session, { windowMs, noticeMs, suspendedUntilMs: undefined });
    for (const lease of own) lease.noticed = false;
  }

  #leave(operation: Extract<Operation, { type: 'drop' | 'bye' }>): Decided[] {
    const id = this.#slots[operation.slot];
    const session = id === undefined ? undefined : this.#model.session(id);
    // A suspended one has no socket to lose.
    if (!session || session.suspendedUntilMs !== undefined) return [];
    if (operation.type === 'bye') {
      this.#model.endSession(session.id, 'released');
      return this.#execute({ type: 'EndSession', session: session.id }).decisions;
    }
    const keepMs = Math.max(session.windowMs, operation.suspendMs);
    if (keepMs > 0) session.suspendedUntilMs = Math.ceil(this.#model.nowMs) + keepMs;
    else this.#model.endSession(session.id, 'session_lost');
    return this.#execute({ type: 'DropSession', session: session.id, suspendMs: operation.suspendMs }).decisions;
  }

  #acquire({ by, resource, ttlMs, where }: Extract<Operation, { type: 'acquire' }>): Decided[] {
    const model = this.#model;
    const holder = this.#holder(by);
    this.#request += 1;
    const request = this.#request;
    const asked = { type: 'AcquireLease', holder, resource, ttlMs, request, ...(where ? { where } : {}) } as const;
    const { decisions, answer } = this.#execute(asked);
    if (!model.exists(resource) || !model.isPresent(holder)) {
      const code = model.exists(resource) ? 'not_holder' : 'unknown_resource';
      assert.ok(answer.type === 'rejected' && answer.code === code, `expected ${code}`);
      return decisions;
    }
    model.turnDay();
    const serving = model.serving(resource);
    const matching = model.matching(resource, where);
    const eligible = matching.filter((address) => !model.isLeased(address, resource));
    const { maxLeases } = model.policy(resource);
    const live = model.liveOf(resource);
    const isAtMax = maxLeases !== undefined && live.length >= maxLeases;
    if (answer.type === 'granted') {
      assert.ok(!isAtMax, 'granted beyond max_leases');
      this.#granted(answer.grant, eligible, asked);
      return decisions;
    }
    assert.ok(answer.type === 'refused', 'granted or refused');
    assert.ok(isAtMax || eligible.length === 0, `refused, and ${eligible.length} are eligible`);
    const soon = live.filter((lease) => isAtMax || matching.includes(lease.address)).map((lease) => lease.deadlineMs);
    const soonest = soon.length === 0 ? {} : { soonest_ms: Math.ceil(Math.min(...soon) - model.nowMs) };
    assert.equal(answer.reason, isAtMax ? 'max_leases' : 'none_available');
    assert.deepEqual(answer.why, {
      states: { leased: matching.length - eligible.length, free: eligible.length },
      excluded: serving.length - matching.length,
      ...soonest,
      ...(isAtMax ? { max_leases: maxLeases } : {}),
    });
    assert.equal(answer.retryAfterMs, soonest.soonest_ms);
    return decisions;
  }

  #granted(
    grant: Extract<Answer<'AcquireLease'>, { type: 'granted' }>['grant'],
    eligible: readonly ModelAddress[],
    { holder, resource, ttlMs: askedMs }: { holder: Holder; resource: number; ttlMs: number },
  ): void {
    const model = this.#model;
    const address = eligible.find(({ record }) => record.address === grant.address.address);
    assert.ok(address, `${grant.address.address} is not eligible`);
    assert.ok(grant.lease > model.lastToken, `token ${grant.lease} is not above ${model.lastToken}`);
    const ttlMs = model.clamp(resource, askedMs);
    assert.deepEqual(grant, {
      lease: grant.lease,
      resource,
      address: { ...address.record, rpw: model.rpw(address) + 1 },
      ttl_ms: ttlMs,
      ...(ttlMs === askedMs ? {} : { clamped: true }),
    });
    model.grant({ token: grant.lease, address, resource, holder, ttlMs });
  }

  #renew({ back, more, by, ttlMs }: Extract<Operation, { type: 'renew' }>): Decided[] {
    const model = this.#model;
    const tokens = [back, ...more].map((number) => this.#token(number));
    const holder = this.#askerOf(tokens[0]!, by);
    const { decisions, answer } = this.#execute({
      type: 'RenewLeases',
      holder,
      leases: tokens,
      ...(ttlMs === undefined ? {} : { ttlMs }),
    });
    const expected = [...new Set(tokens)].map((token) => {
      const lease = model.find(token, holder);
      if (typeof lease === 'string') return [token, lease];
      if (lease.end !== undefined) return [token, 'lease_lost'];
      const askedMs = ttlMs ?? lease.ttlMs;
      model.renew(lease, model.clamp(lease.resource, askedMs));
      return [token, Math.max(lease.ttlMs, Math.floor(lease.deadlineMs - model.nowMs)), lease.ttlMs !== askedMs];
    });
    const got = answer.leases.map((one) =>
      'rejected' in one ? [one.lease, one.rejected.code] : [one.lease, one.ttlMs, one.clamped],
    );
    assert.deepEqual(got, expected, 'renewals');
    return decisions;
  }

  #settleLease({ type, back, by, outcome, requests }: Extract<Operation, { type: 'release' | 'report' }>): Decided[] {
    const model = this.#model;
    const token = this.#token(back);
    const holder = this.#askerOf(token, by);
    const { decisions, answer } = this.#execute({
      type: type === 'release' ? 'ReleaseLease' : 'ReportLease',
      holder,
      lease: token,
      ...(outcome === undefined ? {} : { outcome }),
      ...(requests === undefined ? {} : { requests }),
    });
    const lease = model.find(token, holder);
    if (typeof lease === 'string') {
      assert.ok(answer.type === 'rejected' && answer.code === lease, `expected ${lease}`);
      return decisions;
    }
    if (outcome !== undefined || requests !== undefined) model.report(lease, requests);
    if (type === 'report') {
      assert.deepEqual(answer, { type: 'reported' });
      return decisions;
    }
    if (lease.end === undefined) model.end(lease, 'released');
    if (lease.end === 'released') assert.deepEqual(answer, { type: 'released' });
    else assert.ok(answer.type === 'rejected' && answer.code === 'lease_lost', `it has ${lease.end}`);
    return decisions;
  }

  #revoke(tokens: readonly number[]): Decided[] {
    const { decisions, answer } = this.#execute({ type: 'RevokeLeases', leases: tokens, reason: 'operator' });
    const live = this.#model.live().filter(({ token }) => tokens.includes(token));
    for (const lease of live) this.#model.end(lease, 'revoked');
    sameNumbers(answer.leases, tokensOf(live), 'revoked');
    return decisions;
  }

  #import({ records, replace }: Extract<Operation, { type: 'import' }>): Decided[] {
    const { decisions, answer } = this.#execute({ type: 'ImportPool', records, replace });
    assert.deepEqual(answer, { type: 'imported', counts: this.#model.importPool(records, replace) });
    return decisions;
  }

  #configure({ defaultMax, ownMax, ownTtlMaxMs }: Extract<Operation, { type: 'configure' }>): Decided[] {
    const model = this.#model;
    const bounds = { ttlMinMs: TTL_MIN_MS, ttlMaxMs: TTL_MAX_MS };
    model.defaultPolicy = defaultMax === undefined ? bounds : { ...bounds, maxLeases: defaultMax };
    model.policies = new Map([[2, { ...bounds, maxLeases: ownMax, ttlMaxMs: ownTtlMaxMs }]]);
    const { defaultPolicy, policies } = model;
    return this.#execute({ type: 'Configure', defaultPolicy, policies }).decisions;
  }

  #reload(): void {
    this.#driver.reload();
    // Whoever was told that a lease runs out is told again.
    for (const lease of this.#model.leases) lease.noticed = false;
  }

  #restart(tokenFloor: number, suspendMs: number): Decided[] {
    const model = this.#model;
    this.#epoch += 1;
    const { decisions } = this.#execute({ type: 'StartEpoch', epoch: this.#epoch, tokenFloor, suspendMs });
    model.turnDay();
    model.lastToken = Math.max(model.lastToken, model.reservedToken, tokenFloor);
    for (const session of model.sessions) {
      session.suspendedUntilMs ??= model.nowMs + Math.max(session.windowMs, suspendMs);
    }
    return decisions;
  }

  // ---- names

  #execute<Command extends LeaseCommand>(command: Command) {
    const decisions = this.#driver.execute(command);
    // A renewal, and a resume, are decided before the notice of what they bring.
    const [answer, ...more] = decisions.flatMap((one): LeaseAnswer[] => (one.answer ? [one.answer] : []));
    assert.ok(answer && more.every(({ type }) => type === 'done'), 'answered once');
    return { decisions, answer: answer as Answer<Command['type']> };
  }

  #isAlive(slot: number): boolean {
    const id = this.#slots[slot];
    return id !== undefined && this.#model.session(id) !== undefined;
  }

  /** The token granted so many grants ago; one that never was where there were fewer. */
  #token(back: number): number {
    return this.#model.leases.at(-1 - back)?.token ?? 1 + back;
  }

  #askerOf(token: number, by: Named['by']): Holder {
    if (by !== 'holder') return this.#holder(by);
    return this.#model.leases.find((lease) => lease.token === token)?.holder ?? { kind: 'process' };
  }

  #holder(by: Asker): Holder {
    if (by === 'process') return { kind: 'process' };
    if ('client' in by) return { kind: 'client', client: by.client };
    if ('secret' in by) return { kind: 'secret', secretHash: by.secret };
    return { kind: 'session', session: this.#slots[by.slot] ?? 'none' };
  }
}

function tokensOf(leases: readonly ({ readonly lease: number } | { readonly token: number })[]): number[] {
  return leases.map((one) => ('token' in one ? one.token : one.lease));
}
