import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { OutputGate } from './output-gate.ts';

describe('OutputGate', () => {
  it('lets nothing leave before its position is durable, and everything in the order in which it came', () => {
    const gate = new OutputGate(0);
    const left: string[] = [];
    const receiver = (value: string) => left.push(value);
    gate.hold(0, receiver, 'a');
    gate.hold(1, receiver, 'b');
    gate.hold(1, receiver, 'c');
    gate.hold(3, receiver, 'd');
    expect(left).toEqual([]);
    gate.release(0);
    expect(left).toEqual(['a']);
    gate.release(2);
    expect(left).toEqual(['a', 'b', 'c']);
    expect(gate.size).toBe(1);
    gate.release(3);
    expect(left).toEqual(['a', 'b', 'c', 'd']);
    expect(gate.size).toBe(0);
  });

  it('puts what a receiver causes to be held behind everything that was held before', () => {
    const gate = new OutputGate(5);
    const left: string[] = [];
    gate.hold(
      5,
      (value: string) => {
        left.push(value);
        gate.hold(5, (caused: string) => left.push(caused), 'caused');
        gate.hold(6, (caused: string) => left.push(caused), 'caused, not durable');
      },
      'first',
    );
    gate.hold(5, (value: string) => left.push(value), 'second');
    gate.release(5);
    expect(left).toEqual(['first', 'second', 'caused']);
    gate.release(6);
    expect(left).toEqual(['first', 'second', 'caused', 'caused, not durable']);
  });

  it('keeps nothing of what has left, though something is waiting at every moment', async () => {
    const gate = new OutputGate(0);
    const values: WeakRef<object>[] = [];
    const receiver = () => {};
    for (let position = 1; position <= 20_000; position += 1) {
      const value = { position };
      values.push(new WeakRef(value));
      gate.hold(position, receiver, value);
      gate.release(position - 1);
    }
    expect(gate.size).toBe(1);
    // What a job has made lives as long as the job.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(values.filter((value) => value.deref()).length).toBeLessThan(10_000);
  });
});

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
