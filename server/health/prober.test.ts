import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { pauseProcess } from '../testing/pause-process.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { promisesSettled, VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { type ProbeResult, Prober, type ProberOptions } from './prober.ts';
import { probeTcp } from './probes.ts';

interface Member {
  readonly name: number;
}

const GOOD: ProbeResult = { ok: true };

function setUp(members: number, options: Partial<ProberOptions<Member>> = {}) {
  const clock = new VirtualClock();
  const scheduler = new VirtualScheduler(clock);
  const items = new Set(Array.from({ length: members }, (_, name) => ({ name })));
  const probes: { item: Member; atMs: number }[] = [];
  const results: { item: Member; result: ProbeResult }[] = [];
  const prober = new Prober<Member>({
    items,
    intervalMs: 10_000,
    jitter: 0,
    timeoutMs: 1_000,
    concurrencyMax: 10,
    clock,
    scheduler,
    random: seededRandom(1),
    onResult: (item, result) => results.push({ item, result }),
    ...options,
    probe: (item, signal) => {
      probes.push({ item, atMs: clock.nowMs() });
      return options.probe ? options.probe(item, signal) : Promise.resolve(GOOD);
    },
  });
  const timesOf = (item: Member) => probes.filter((probe) => probe.item === item).map(({ atMs }) => atMs);
  return { clock, scheduler, items, probes, results, prober, timesOf };
}

/** Settles when it is aborted, and not before. */
function silent(_item: Member, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ok: false, reason: 'aborted' })));
}

it('probes each member once an interval, evenly spread over it', async () => {
  const { scheduler, items, probes, results, timesOf } = setUp(100);
  await scheduler.advance(30_000);
  for (const item of items) {
    const times = timesOf(item);
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeCloseTo(10_000, -2);
  }
  for (let second = 0; second < 30; second += 1) {
    const within = probes.filter(({ atMs }) => Math.floor((atMs - 1_000) / 1_000) === second);
    expect(within.length, `second ${second}`).toBeGreaterThanOrEqual(9);
    expect(within.length, `second ${second}`).toBeLessThanOrEqual(11);
  }
  expect(results).toHaveLength(300);
});

it('lets the time between two probes of a member vary by the jitter', async () => {
  const { scheduler, items, timesOf } = setUp(1, { jitter: 0.2 });
  await scheduler.advance(1_000_000);
  const times = timesOf([...items][0]!);
  const gaps = times.slice(1).map((atMs, at) => atMs - times[at]!);
  expect(gaps.length).toBeGreaterThan(90);
  // A probe begins up to 10 ms after it is due.
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(7_990);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(12_010);
  expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(3_000);
});

it('finds members that come, and passes over those that have gone', async () => {
  const { scheduler, items, timesOf, results } = setUp(0);
  await scheduler.advance(60_000);
  const [one, other] = [{ name: 1 }, { name: 2 }];
  items.add(one);
  await scheduler.advance(10_000);
  items.add(other);
  await scheduler.advance(20_000);
  expect(timesOf(one).length).toBeGreaterThanOrEqual(2);
  expect(timesOf(other).length).toBeGreaterThanOrEqual(1);
  items.delete(one);
  const before = results.filter(({ item }) => item === one).length;
  await scheduler.advance(30_000);
  expect(results.filter(({ item }) => item === one)).toHaveLength(before);
});

it('has at most so many probes under way, and goes on in order as there is room', async () => {
  const { scheduler, probes, prober } = setUp(1_000, { concurrencyMax: 5, timeoutMs: 1_000, probe: silent });
  await scheduler.advance(500);
  expect(prober.underWay).toBe(5);
  await scheduler.advance(9_500);
  expect(probes.length).toBeGreaterThanOrEqual(45);
  expect(probes.length).toBeLessThanOrEqual(55);
  expect(probes.map(({ item }) => item.name)).toEqual(probes.map((_, at) => at));
});

it('calls a probe that takes too long failed, and aborts it', async () => {
  const { scheduler, items, results, prober } = setUp(1, { probe: silent });
  await scheduler.advance(11_000);
  expect(results[0]).toEqual({ item: [...items][0], result: { ok: false, reason: 'timeout' } });
  expect(results).toHaveLength(1);
  expect(prober.underWay).toBe(0);
});

it('finds who answered during a pause of the process good, and nobody bad by it', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  let began = () => {};
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const result = new Promise<ProbeResult>((resolve) => {
    const prober = new Prober({
      items: new Set([{ port }]),
      probe: (_item, signal) => {
        began();
        return probeTcp('127.0.0.1', port, signal);
      },
      intervalMs: 60_000,
      jitter: 0,
      timeoutMs: 50,
      concurrencyMax: 1,
      clock: new VirtualClock(),
      scheduler: realScheduler,
      random: () => 0,
      onResult: (_item, probed) => resolve(probed),
    });
    onTestFinished(() => prober.stop());
  });
  await begun;
  pauseProcess(100);
  expect(await result).toEqual(GOOD);
  const { clock, scheduler, probes, results } = setUp(1, { probe: silent, timeoutMs: 20_000 });
  await scheduler.advance(10_000);
  expect(probes).toHaveLength(1);
  clock.move(60_000);
  await scheduler.advance(0);
  expect(results).toEqual([]);
});

it('lets go of most of what a pause of the process has missed', async () => {
  const { clock, scheduler, probes } = setUp(1_000, { concurrencyMax: 10_000 });
  await scheduler.advance(10_000);
  const before = probes.length;
  clock.move(3_600_000);
  await scheduler.advance(0);
  // A second's worth, where an hour has gone by.
  expect(probes.length - before).toBeLessThanOrEqual(101);
});

it('holds nobody up for long: so many probes begin in one turn, and the rest soon after', async () => {
  const { scheduler, prober, probes } = setUp(10_000, { concurrencyMax: 10_000, probe: silent, timeoutMs: 100_000 });
  await scheduler.advance(1_000);
  const perTurn = new Map<number, number>();
  for (const { atMs } of probes) perTurn.set(atMs, (perTurn.get(atMs) ?? 0) + 1);
  expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(50);
  expect(probes.length).toBeGreaterThan(950);
  await prober.stop();
});

it('says nothing of a member that was removed while it was probed', async () => {
  const { scheduler, items, results, prober } = setUp(1, { probe: silent });
  prober.probeSoon([...items][0]!);
  expect(prober.underWay).toBe(1);
  items.clear();
  await scheduler.advance(5_000);
  expect(results).toEqual([]);
});

it('probes out of turn what it is asked for, but not twice at once', async () => {
  const { scheduler, items, prober, probes } = setUp(2, { intervalMs: 3_600_000, probe: silent });
  const [, second] = [...items];
  prober.probeSoon(second!);
  prober.probeSoon(second!);
  expect(probes.map(({ item }) => item)).toEqual([second]);
  await scheduler.advance(500);
  expect(probes).toHaveLength(1);
  await prober.stop();
});

it('is done when it has stopped: nothing under way, no timer, no result', async () => {
  const { scheduler, prober, results, probes } = setUp(20, { probe: silent });
  await scheduler.advance(1_000);
  expect(prober.underWay).toBeGreaterThan(0);
  const before = { probes: probes.length, results: results.length };
  await prober.stop();
  await promisesSettled();
  expect(prober.underWay).toBe(0);
  expect(scheduler.timerCount).toBe(0);
  await scheduler.advance(60_000);
  expect({ probes: probes.length, results: results.length }).toEqual(before);
});
