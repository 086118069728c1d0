import { describe, expect, it } from 'vitest';
import { benchDomain } from '../testing/bench-domain.ts';
import { Bench, recordsOf, textsOf } from '../testing/coordinator-bench.ts';
import { Replica } from './replica.ts';

describe('coordinator: what leaves, and when', () => {
  it('answers when the disk has it, and not before', async () => {
    const bench = new Bench();
    const batch = await bench.held('a');
    expect(bench.state.happened).toEqual(['a']);
    expect(bench.left).toEqual([]);
    expect([bench.coordinator.position, bench.coordinator.durablePosition]).toEqual([1, 0]);
    expect({ ...batch, payload: textsOf(batch) }).toEqual({
      position: 1,
      eventCount: 1,
      epoch: 3,
      clockMs: 1_000,
      utcMs: bench.clock.utcMs(),
      payload: ['a'],
    });
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a']);
    expect(bench.coordinator.durablePosition).toBe(1);
  });

  it('holds refusals, reads and whatever else has seen an event back until that is durable, all in one order', async () => {
    const bench = new Bench();
    await bench.held('a');
    bench.execute({ type: 'Refuse' });
    bench.port.read(
      (state) => `read of ${state.happened.length}`,
      (value) => bench.left.push(value),
    );
    bench.coordinator.inOrder((value: string) => bench.left.push(value), 'pong');
    bench.execute({ type: 'Write', text: 'b', notice: 'of b' });
    bench.port.read(
      (state) => `read of ${state.happened.length}`,
      (value) => bench.left.push(value),
    );
    await bench.settle();
    expect(bench.left).toEqual([]);
    bench.log.releaseOne();
    await bench.settle();
    expect(bench.left).toEqual(['a', 'refused after 1', 'read of 1', 'pong']);
    bench.log.release();
    await bench.settle();
    expect(bench.left.slice(4)).toEqual(['b', 'notice of b', 'read of 2']);
  });

  it('decides a command again before any that came behind it', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Repeat', text: 'again', times: 3 });
    bench.write('behind');
    await bench.settle();
    expect(bench.state.happened).toEqual(['again', 'again', 'again', 'behind']);
    expect(bench.left).toEqual(['again', 'behind']);
  });

  it('stops at a bug, and nothing that was decided with it or behind it leaves or is written', async () => {
    const bench = new Bench();
    await bench.held('a');
    expect(() => bench.execute({ type: 'Overflow' })).toThrow('more than a batch may hold');
    expect(bench.failures).toMatchObject([{ kind: 'bug' }]);
    bench.write('b');
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual([]);
    expect(bench.log.batches).toHaveLength(1);
  });

  it('lets what has seen nothing new leave without the disk, in the turn and not within the call', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Refuse' });
    expect(bench.left).toEqual([]);
    await bench.settle();
    expect(bench.left).toEqual(['refused after 0']);
    expect(bench.log.batches).toEqual([]);
  });

  it('applies what is not durable without writing it, behind what it has seen', async () => {
    const bench = new Bench();
    await bench.held('a');
    bench.execute({ type: 'Mention', text: 'm' });
    await bench.settle();
    expect(bench.state.happened).toEqual(['a', 'm']);
    expect(bench.left).toEqual([]);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a', 'm']);
    expect(bench.log.batches.flatMap(textsOf)).toEqual(['a']);
  });

  it('tells who decided at once, and puts what that leads to behind the answer', async () => {
    const bench = new Bench();
    bench.log.hold();
    const decided: string[] = [];
    bench.port.execute(
      { type: 'Write', text: 'a' },
      (answer) => bench.left.push(answer),
      (answer) => {
        decided.push(answer);
        bench.write('b');
      },
    );
    expect(decided).toEqual(['a']);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a', 'b']);
  });

  it('calls back behind each group that leaves together, and only then', async () => {
    const bench = new Bench();
    bench.coordinator.onReleased(() => bench.left.push('|'));
    await bench.held('a');
    bench.write('b');
    bench.write('c');
    await bench.settle();
    expect(bench.left).toEqual([]);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a', '|', 'b', 'c', '|']);
  });
});

describe('coordinator: batches', () => {
  it('tells of each batch when it is durable and its answers have left, and of none that is not', async () => {
    const bench = new Bench();
    bench.coordinator.onDurable((batch) => bench.left.push(`durable ${batch.position}: ${textsOf(batch).join()}`));
    await bench.held('a');
    bench.write('b');
    bench.write('c');
    await bench.settle();
    expect(bench.left).toEqual([]);
    bench.log.releaseOne();
    await bench.settle();
    expect(bench.left).toEqual(['a', 'durable 1: a']);
    bench.log.releaseOne();
    await bench.settle();
    expect(bench.left.slice(2)).toEqual(['b', 'c', 'durable 2: b,c']);
    bench.log.failNext();
    bench.write('d');
    await bench.settle();
    bench.log.release();
    await bench.settle();
    expect(bench.left).toHaveLength(5);
  });

  it('has one append in flight; what arrives meanwhile is the next batch', async () => {
    const bench = new Bench();
    await bench.held('a');
    bench.write('b');
    await bench.settle();
    bench.write('c', 2);
    await bench.settle();
    expect(bench.log.batches).toEqual([]);
    bench.log.releaseOne();
    await bench.settle();
    const second = await bench.log.whenHeld();
    expect([second.position, second.eventCount, textsOf(second)]).toEqual([2, 3, ['b', 'c', 'c']]);
    expect(bench.left).toEqual(['a']);
    bench.log.release();
    await bench.settle();
    expect(bench.left).toEqual(['a', 'b', 'c']);
    expect(bench.log.position).toBe(4);
  });

  it('puts commands of one turn into one batch', async () => {
    const bench = new Bench();
    for (const text of ['a', 'b', 'c']) bench.write(text);
    await bench.settle();
    expect(bench.log.batches.map(textsOf)).toEqual([['a', 'b', 'c']]);
  });

  it('writes no more than 1,000 events in one batch', async () => {
    const bench = new Bench();
    await bench.held('a');
    for (let index = 0; index < 5; index += 1) bench.write(`b${index}`, 500);
    bench.log.release();
    await bench.settle();
    expect(bench.log.batches.map(({ eventCount }) => eventCount)).toEqual([1, 1_000, 1_000, 500]);
    expect(bench.left).toHaveLength(6);
  });

  it('writes no more bytes in one batch than the log takes', async () => {
    const bench = new Bench();
    const text = 'x'.repeat(300_000);
    await bench.held('a');
    for (let index = 0; index < 7; index += 1) bench.write(text);
    bench.log.release();
    await bench.settle();
    expect(bench.log.batches.map(({ eventCount }) => eventCount)).toEqual([1, 3, 3, 1]);
    for (const { payload } of bench.log.batches) expect(payload.length).toBeLessThanOrEqual(1_048_576);
  });

  it('gives the same state to whoever replays them', async () => {
    const bench = new Bench();
    for (const text of ['a', 'b']) {
      bench.write(text, 3);
      await bench.settle();
    }
    const replayed = new Replica([benchDomain]);
    for await (const batch of bench.log.readFrom(1)) {
      for (const record of recordsOf(batch.payload)) replayed.apply(record);
    }
    expect([...replayed.encode()]).toEqual([...bench.replica.encode()]);
  });
});

describe('coordinator: long commands', () => {
  it('take turns with others, and answer once, at their end', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Long', text: 'long', slices: 4 });
    bench.write('a');
    await bench.scheduler.runTurn();
    bench.write('b');
    await bench.scheduler.runTurn();
    bench.write('c');
    await bench.settle();
    expect(bench.state.happened).toEqual(['long', 'a', 'long', 'b', 'long', 'c', 'long']);
    expect(bench.left).toEqual(['a', 'b', 'c', 'long']);
  });

  it('may answer first and go on', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Long', text: 'long', slices: 3, answersFirst: true });
    bench.write('a');
    await bench.settle();
    expect(bench.left).toEqual(['long', 'a']);
    expect(bench.state.happened).toEqual(['long', 'a', 'long', 'long']);
  });

  it('of several go on in turn', async () => {
    const bench = new Bench();
    bench.execute({ type: 'Long', text: 'one', slices: 3 });
    bench.execute({ type: 'Long', text: 'two', slices: 3 });
    await bench.settle();
    expect(bench.state.happened).toEqual(['one', 'two', 'one', 'two', 'one', 'two']);
    expect(bench.left).toEqual(['one', 'two']);
  });
});

describe('coordinator: a log that fails', () => {
  const error = new Error('no such disk');
  const outcomes = [
    [
      { outcome: 'failed', error },
      { kind: 'storage', message: 'no such disk' },
    ],
    [
      { outcome: 'unknown', error },
      { kind: 'storage', message: 'no such disk' },
    ],
    [{ outcome: 'deposed' }, { kind: 'deposed', message: 'another coordinator has taken over' }],
  ] as const;
  for (const [outcome, failure] of outcomes) {
    it(`lets nothing leave any more and says so once: ${outcome.outcome}`, async () => {
      const bench = new Bench();
      await bench.held('a');
      bench.write('b');
      bench.execute({ type: 'Refuse' });
      bench.log.failNext(outcome);
      bench.log.release();
      await bench.settle();
      expect(bench.failures).toEqual([failure]);
      bench.write('c');
      bench.execute({ type: 'Refuse' });
      await bench.scheduler.advance(120_000);
      expect(bench.left).toEqual([]);
      expect(bench.failures).toHaveLength(1);
      expect(bench.log.batches).toEqual([]);
      expect(bench.scheduler.timerCount).toBe(0);
    });
  }

  it('does not keep a stop waiting for ever', async () => {
    const bench = new Bench();
    await bench.held('a');
    const stopped = bench.coordinator.stop();
    bench.log.failNext({ outcome: 'failed', error });
    bench.log.release();
    await stopped;
    expect(bench.left).toEqual([]);
    expect(bench.failures).toHaveLength(1);
  });
});

describe('coordinator: stop', () => {
  it('resolves when everything decided is durable and has left', async () => {
    const bench = new Bench();
    await bench.held('a');
    bench.write('b');
    bench.execute({ type: 'Long', text: 'long', slices: 3 });
    let isStopped = false;
    const stopped = bench.coordinator.stop().then(() => {
      isStopped = true;
    });
    await bench.settle();
    bench.log.releaseOne();
    await bench.settle();
    expect(isStopped).toBe(false);
    bench.log.release();
    await bench.settle();
    await stopped;
    expect(bench.left).toEqual(['a', 'b', 'long']);
    expect(bench.log.position).toBe(5);
    expect(bench.scheduler.timerCount).toBe(0);
  });

  it('passes over what comes afterwards', async () => {
    const bench = new Bench();
    await bench.coordinator.stop();
    bench.write('a');
    bench.coordinator.inOrder((value: string) => bench.left.push(value), 'pong');
    await bench.scheduler.advance(10_000);
    expect(bench.left).toEqual([]);
    expect(bench.state.happened).toEqual([]);
    expect(bench.log.batches).toEqual([]);
  });
});
