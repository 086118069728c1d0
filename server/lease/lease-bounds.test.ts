/** What waits and what is remembered is bounded: each bound of PROTOCOL.md at the last that fits and the first that doesn't. */
import { describe, expect, it } from 'vitest';
import {
  ENDED_KEYS_MAX,
  QUEUE_NOTICES_MAX,
  WAITER_REQUESTS_MAX,
  WAITERS_PER_RESOURCE_MAX,
  WAITERS_PER_SESSION_MAX,
  WAITING_CONDITIONS_MAX,
  WAITING_COUNTS_MAX,
} from '../../protocol/limits.ts';
import { LeaseBench } from '../testing/lease-bench.ts';
import { UNASKED_ENDS_MAX } from './state.ts';

const WAIT = { waitMs: 3_600_000 } as const;
const TOO_MANY = { type: 'rejected', code: 'too_many' } as const;

/** A pool of one address, which nobody gets for an hour. */
function fullBench(): LeaseBench {
  const bench = new LeaseBench(1);
  bench.granted('a', 0, { ttlMs: 3_600_000 });
  return bench;
}

/** One request after the other waits, from `first` on. */
function queue(bench: LeaseBench, session: string, count: number, first = 1, terms: object = {}): void {
  for (let request = first; request < first + count; request += 1) {
    expect(bench.acquire(session, request, { ...WAIT, ...terms })).toMatchObject({ type: 'queued' });
  }
}

describe('the line', () => {
  it('takes no more requests of one session than its bound, and one more for each that is cancelled', () => {
    const bench = fullBench();
    queue(bench, 'b', WAITERS_PER_SESSION_MAX);
    expect(bench.acquire('b', 2_000, WAIT)).toMatchObject(TOO_MANY);
    expect(bench.acquire('b', 2_001, { ...WAIT, resource: 2 })).toMatchObject({ type: 'granted' });
    expect(bench.acquire('b', 2_002, { ...WAIT, resource: 2 })).toMatchObject(TOO_MANY);
    bench.run({ type: 'CancelAcquire', holder: { kind: 'session', session: 'b' }, request: 1 });
    queue(bench, 'b', 1, 2_003);
  });

  it('takes no more requests for a resource than its bound, those of suspended sessions counted', () => {
    const bench = fullBench();
    const sessions = WAITERS_PER_RESOURCE_MAX / WAITERS_PER_SESSION_MAX;
    for (let index = 0; index < sessions; index += 1) {
      const session = `s${index}`;
      bench.run({ type: 'OpenSession', session, secretHash: '', resumeWindowMs: 60_000, sessionsMax: 99 });
      queue(bench, session, WAITERS_PER_SESSION_MAX);
      bench.run({ type: 'DropSession', session, suspendMs: 0 });
    }
    expect(bench.acquire('b', 1, WAIT)).toMatchObject(TOO_MANY);
    bench.advance(60_000);
    queue(bench, 'b', 1);
  });

  it('takes no more counts than their bound, and single requests beside them', () => {
    const bench = fullBench();
    queue(bench, 'b', WAITING_COUNTS_MAX, 1, { count: 2 });
    expect(bench.acquire('c', 1, { ...WAIT, count: 2 })).toMatchObject(TOO_MANY);
    queue(bench, 'c', 1, 2);
  });

  it('takes no more different conditions than its bound, and more requests under those that wait already', () => {
    const bench = fullBench();
    const under = (figure: number) => ({ where: { rpw: { gte: figure } } });
    for (let figure = 1; figure <= WAITING_CONDITIONS_MAX; figure += 1) queue(bench, 'b', 1, figure, under(figure));
    expect(bench.acquire('c', 1, { ...WAIT, ...under(0) })).toMatchObject(TOO_MANY);
    queue(bench, 'c', 1, 2, under(1));
  });

  it('tells only the foremost that they have moved', () => {
    const bench = fullBench();
    const sessions = ['b', 'c'];
    for (const session of sessions) queue(bench, session, QUEUE_NOTICES_MAX / 2 + 2);
    bench.advance(2_000);
    for (const session of sessions) {
      bench.run({ type: 'CancelAcquire', holder: { kind: 'session', session }, request: 1 });
    }
    // All move up by two, the last two beyond the bound.
    const told = bench.advance(2_000).flatMap((notice) => {
      return notice.type === 'WaitAnswered' && notice.answer.type === 'queued' ? notice.answer.position : [];
    });
    expect(told).toEqual(Array.from({ length: QUEUE_NOTICES_MAX }, (_, index) => index + 1));
  });
});

describe('keys', () => {
  it('answer a waiting request under the latest ids by which it was asked, as many as their bound', () => {
    const bench = fullBench();
    queue(bench, 'b', WAITER_REQUESTS_MAX + 1, 1, { key: 'k' });
    const answered = bench.advance(3_600_000).flatMap((notice) => {
      return notice.type === 'WaitAnswered' ? notice.request : [];
    });
    expect(answered).toEqual(Array.from({ length: WAITER_REQUESTS_MAX }, (_, index) => index + 2));
  });

  it('of ended leases are remembered as many as their bound, the latest; those of live ones all', () => {
    const bench = new LeaseBench(2);
    const live = bench.granted('a', 0, { key: 'live' });
    for (let request = 1; request <= ENDED_KEYS_MAX; request += 1) {
      bench.release('a', bench.granted('a', request, { key: `k${request}` }));
    }
    expect(bench.acquire('a', 2_000, { key: 'k1' })).toMatchObject({ type: 'rejected', code: 'lease_lost' });
    bench.release('a', bench.granted('a', 2_001, { key: 'one more' }));
    expect(bench.acquire('a', 2_002, { key: 'k2' })).toMatchObject({ type: 'rejected', code: 'lease_lost' });
    expect(bench.granted('a', 2_003, { key: 'k1' })).toHaveLength(1);
    expect(bench.granted('a', 2_004, { key: 'live' })).toEqual(live);
  });
});

describe('a session', () => {
  it('is told of the last of the ends that it did not ask for, as many as their bound', () => {
    const bench = new LeaseBench(1);
    const tokens: number[] = [];
    for (let request = 0; request <= UNASKED_ENDS_MAX; request += 1) {
      tokens.push(...bench.granted('a', request, { ttlMs: 1_000 }));
      bench.advance(1_000);
    }
    const resume = { session: 'a', secretHash: '' };
    const opening = { type: 'OpenSession', session: 'd', secretHash: '', resumeWindowMs: 0, sessionsMax: 9 } as const;
    const opened = bench.run({ ...opening, resume });
    const ended = opened.type === 'opened' ? opened.ended.map(({ lease }) => lease) : [];
    expect(ended).toEqual(tokens.slice(1));
    expect(ended).toHaveLength(1_024);
  });
});
