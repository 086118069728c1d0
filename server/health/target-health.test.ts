import { expect, it } from 'vitest';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { type HealthPolicy, type Out, TargetHealth } from './target-health.ts';

interface Item {
  readonly name: string;
}

function setUp(count: number, policy: Partial<HealthPolicy> = {}) {
  const clock = new VirtualClock();
  const scheduler = new VirtualScheduler(clock);
  const items: Item[] = Array.from({ length: count }, (_, index) => ({ name: `t${index}` }));
  const changes: (readonly [name: string, out: Out | undefined])[] = [];
  const health = new TargetHealth<Item>({
    items,
    policy: {
      probeUp: 2,
      probeDown: 3,
      ejectAfter: 3,
      ejectMs: 1_000,
      ejectMaxMs: 5_000,
      ejectShareMax: 0.5,
      ...policy,
    },
    clock,
    scheduler,
    onChange: (item, out) => changes.push([item.name, out]),
  });
  const times = (times: number, act: () => void) => {
    for (let nth = 0; nth < times; nth += 1) act();
  };
  const answer = (item: Item, status: number, ms = 1) => health.answered(item, status, ms, false);
  return { clock, scheduler, health, items, changes, times, answer };
}

const GOOD = { ok: true } as const;
const BAD = { ok: false, reason: 'status_503' } as const;

it('takes out at once who refuses or is silent, though nobody is left', () => {
  const { health, items, changes } = setUp(2);
  health.refused(items[0]!, 'refused');
  health.silent(items[1]!);
  expect(changes).toEqual([
    ['t0', { cause: 'refused', reason: 'refused' }],
    ['t1', { cause: 'silent', reason: 'timeout' }],
  ]);
});

it('has it back after so many good probes in a row, and not by the time that goes by', async () => {
  const { health, items, changes, scheduler } = setUp(1);
  health.refused(items[0]!, 'refused');
  await scheduler.advance(1_000_000);
  for (const result of [GOOD, BAD, GOOD]) health.probed(items[0]!, result);
  expect(changes).toHaveLength(1);
  health.probed(items[0]!, GOOD);
  expect(changes.at(-1)).toEqual(['t0', undefined]);
});

it('takes out who fails so many probes in a row', () => {
  const { health, items, changes } = setUp(1);
  for (const result of [BAD, BAD, GOOD, BAD, BAD]) health.probed(items[0]!, result);
  expect(changes).toEqual([]);
  health.probed(items[0]!, BAD);
  expect(changes).toEqual([['t0', { cause: 'probe', reason: 'status_503' }]]);
});

it('takes out who breaks off again and again, until a probe is answered', () => {
  const { health, items, changes, times, answer } = setUp(1);
  times(2, () => health.broke(items[0]!, 'reset'));
  answer(items[0]!, 200);
  times(2, () => health.broke(items[0]!, 'reset'));
  expect(changes).toEqual([]);
  health.broke(items[0]!, 'reset');
  expect(health.outOf(items[0]!)).toEqual({ cause: 'broken', reason: 'reset' });
  times(2, () => health.probed(items[0]!, GOOD));
  expect(health.outOf(items[0]!)).toBeUndefined();
});

it('ejects by status after so many in a row, for a time that doubles up to a bound and shrinks with good answers', async () => {
  const { health, items, times, answer, scheduler, clock } = setUp(2);
  const item = items[0]!;
  const outMs = async () => {
    times(3, () => answer(item, 500));
    const startMs = clock.nowMs();
    while (health.outOf(item)) await scheduler.advance(100);
    return clock.nowMs() - startMs;
  };
  times(2, () => answer(item, 503));
  answer(item, 404);
  times(2, () => answer(item, 503));
  expect(health.outOf(item)).toBeUndefined();
  answer(item, 503);
  expect(health.outOf(item)).toEqual({ cause: 'status', reason: 'status_503' });
  await scheduler.advance(1_000);
  expect(await outMs()).toBe(2_000);
  expect(await outMs()).toBe(4_000);
  expect(await outMs()).toBe(5_000);
  times(300, () => answer(item, 200));
  expect(await outMs()).toBe(2_000);
});

it('ejects by latency where that is set', () => {
  const { health, items, times, answer } = setUp(2, { ejectSlowerThanMs: 50 });
  times(3, () => answer(items[0]!, 200, 50));
  expect(health.outOf(items[0]!)).toBeUndefined();
  times(3, () => answer(items[0]!, 200, 51));
  expect(health.outOf(items[0]!)).toEqual({ cause: 'latency', reason: 'slow' });
});

it('ejects no more than the share, those counted that are out for other reasons', () => {
  const { health, items, times, answer, changes } = setUp(5);
  health.refused(items[0]!, 'refused');
  for (const item of items.slice(1)) times(10, () => answer(item, 500));
  expect(changes.map(([name, out]) => [name, out?.cause])).toEqual([
    ['t0', 'refused'],
    ['t1', 'status'],
  ]);
  expect(setUpAlone()).toBeUndefined();

  function setUpAlone() {
    const alone = setUp(1);
    alone.times(10, () => alone.answer(alone.items[0]!, 500));
    return alone.health.outOf(alone.items[0]!);
  }
});

it('keeps out who is ejected and refuses meanwhile, whatever the time of the ejection', async () => {
  const { health, items, times, answer, scheduler } = setUp(2);
  times(3, () => answer(items[0]!, 500));
  times(3, () => health.probed(items[0]!, BAD));
  expect(health.outOf(items[0]!)).toEqual({ cause: 'probe', reason: 'status_503' });
  await scheduler.advance(10_000);
  expect(health.outOf(items[0]!)?.cause).toBe('probe');
});

it('never ejects where that is off', () => {
  const { health, items, times, answer } = setUp(2, { ejectAfter: 0 });
  times(100, () => answer(items[0]!, 500));
  times(100, () => health.broke(items[0]!, 'reset'));
  expect(health.outOf(items[0]!)).toBeUndefined();
});

it('has back who answers where nobody else was left to ask', () => {
  const { health, items } = setUp(1);
  health.refused(items[0]!, 'refused');
  health.answered(items[0]!, 200, 1, false);
  expect(health.outOf(items[0]!)).toBeDefined();
  health.answered(items[0]!, 200, 1, true);
  expect(health.outOf(items[0]!)).toBeUndefined();
});
