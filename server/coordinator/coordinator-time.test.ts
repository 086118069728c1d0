import { describe, expect, it } from 'vitest';
import { Bench, textsOf } from '../testing/coordinator-bench.ts';

describe('coordinator: a disk that hangs', () => {
  it('is behind after 2 s of looks, and no longer when it has caught up', async () => {
    const bench = new Bench();
    await bench.held('a');
    await bench.scheduler.advance(1_999);
    expect(bench.coordinator.isOverloaded).toBe(false);
    await bench.scheduler.advance(1);
    expect(bench.coordinator.isOverloaded).toBe(true);
    bench.log.release();
    await bench.settle();
    expect(bench.coordinator.isOverloaded).toBe(false);
    expect(bench.left).toEqual(['a']);
  });

  it('fails the coordinator after 30 s of looks, and what comes of the write then changes nothing', async () => {
    const bench = new Bench();
    await bench.held('a');
    await bench.scheduler.advance(29_999);
    expect(bench.failures).toEqual([]);
    await bench.scheduler.advance(1);
    expect(bench.failures).toEqual([{ kind: 'storage', message: 'a write to the journal has hung for 30000 ms' }]);
    bench.log.release();
    await bench.scheduler.advance(60_000);
    expect(bench.left).toEqual([]);
    expect(bench.failures).toHaveLength(1);
  });

  it('is not what a pause of the process looks like', async () => {
    const bench = new Bench();
    await bench.held('a');
    bench.clock.move(3_600_000);
    await bench.scheduler.advance(0);
    expect(bench.coordinator.isOverloaded).toBe(false);
    expect(bench.failures).toEqual([]);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a']);
  });

  it('is not a disk that is merely busy: each write is looked at anew', async () => {
    const bench = new Bench();
    await bench.held('a');
    for (let index = 0; index < 40; index += 1) {
      bench.write(`b${index}`);
      await bench.scheduler.advance(1_500);
      expect(bench.coordinator.isOverloaded).toBe(false);
      bench.log.releaseOne();
      await bench.settle();
    }
    expect(bench.failures).toEqual([]);
  });

  it('is behind when more than 64 MB wait for it', async () => {
    const bench = new Bench();
    await bench.held('a');
    const text = 'x'.repeat(1_048_000);
    for (let index = 0; index < 64; index += 1) bench.write(text);
    expect(bench.coordinator.isOverloaded).toBe(false);
    bench.write(text);
    expect(bench.coordinator.isOverloaded).toBe(true);
    bench.log.release();
    await bench.settle();
    expect(bench.coordinator.isOverloaded).toBe(false);
    expect(bench.left).toHaveLength(66);
  });
});

describe('coordinator: what is due', () => {
  it('happens at its time, in slices, others between them', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Plan', dueMs: 1_500, slices: 3 });
    await bench.scheduler.advance(499);
    expect(bench.state.happened).toEqual([]);
    await bench.scheduler.advance(1);
    expect(bench.state.happened).toEqual(Array.from({ length: 3 }, () => 'due at 1500'));
    expect(bench.state.dueMs).toBeUndefined();
    expect(bench.log.batches.flatMap(textsOf)).toEqual(bench.state.happened);
  });

  it('comes before a decision that could see it undone, a slice each time', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Plan', dueMs: 1_500, slices: 3 });
    await bench.settle();
    bench.clock.move(10_000);
    bench.write('a');
    bench.write('b');
    expect(bench.state.happened).toEqual(['due at 11000', 'a', 'due at 11000', 'b']);
    await bench.settle();
    expect(bench.state.happened).toEqual(['due at 11000', 'a', 'due at 11000', 'b', 'due at 11000']);
  });

  it('waits for the first command of a run, which says that one has begun', async () => {
    const bench = new Bench();
    bench.state.dueMs = 500;
    bench.state.dueSlices = 1;
    await bench.scheduler.advance(1_000);
    bench.write('begun');
    await bench.settle();
    expect(bench.state.happened).toEqual(['begun', 'due at 2000']);
  });

  it('is found however far ahead it lies, and when it comes nearer', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Plan', dueMs: 1_000 + 90 * 86_400_000, slices: 1 });
    await bench.scheduler.advance(86_400_000);
    expect(bench.state.happened).toEqual([]);
    bench.execute({ type: 'Plan', dueMs: 90_000_000, slices: 1 });
    await bench.scheduler.advance(3_600_000);
    expect(bench.state.happened).toEqual(['due at 90000000']);
  });
});

describe('coordinator: marks of the clock', () => {
  const mark = 'coordinator/ClockMarked';

  it('are written while something could be prolonged by a restart, and nothing else is', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Mark', everyMs: 50 });
    await bench.scheduler.advance(500);
    expect(bench.log.batches.flatMap(textsOf)).toEqual(Array.from({ length: 10 }, () => mark));
    expect(bench.log.batches.map(({ clockMs }) => clockMs)).toEqual(
      Array.from({ length: 10 }, (_, index) => 1_050 + 50 * index),
    );
    expect(bench.coordinator.durablePosition).toBe(10);
    bench.execute({ type: 'Mark', everyMs: undefined });
    await bench.scheduler.advance(60_000);
    expect(bench.log.batches).toHaveLength(10);
  });

  it('wait for as long as other batches carry the clock', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Mark', everyMs: 50 });
    for (let index = 0; index < 10; index += 1) {
      await bench.scheduler.advance(40);
      bench.write('a');
      await bench.settle();
    }
    expect(bench.log.batches.flatMap(textsOf)).toEqual(Array.from({ length: 10 }, () => 'a'));
    await bench.scheduler.advance(50);
    expect(textsOf(bench.log.batches.at(-1)!)).toEqual([mark]);
  });

  it('hold answers back like any event', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Mark', everyMs: 50 });
    await bench.settle();
    bench.left.length = 0;
    bench.log.hold();
    await bench.scheduler.advance(50);
    await bench.log.whenHeld();
    bench.execute({ type: 'Refuse' });
    await bench.settle();
    expect(bench.left).toEqual([]);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['refused after 0']);
  });
});
