import { describe, expect, it } from 'vitest';
import { eventLogContract } from '../coordinator/event-log.contract.ts';
import type { Batch } from '../coordinator/event-log.ts';
import { MemoryEventLog } from './memory-event-log.ts';

eventLogContract('in memory', () => Promise.resolve(new MemoryEventLog()));

describe('memory event log', () => {
  it('answers nothing while it holds, and then in order', async () => {
    const log = new MemoryEventLog();
    log.hold();
    const answers: string[] = [];
    const first = log.append(batchAt(1), 0).then(() => answers.push('first'));
    expect((await log.whenHeld()).position).toBe(1);
    expect(answers).toEqual([]);
    expect(log.position).toBe(0);
    log.releaseOne();
    await first;
    const second = log.append(batchAt(2), 1).then(() => answers.push('second'));
    expect((await log.whenHeld()).position).toBe(2);
    expect(answers).toEqual(['first']);
    log.release();
    await second;
    expect(answers).toEqual(['first', 'second']);
    expect((await log.append(batchAt(3), 2)).outcome).toBe('durable');
  });

  it('fails the next append as asked and takes none afterwards', async () => {
    const log = new MemoryEventLog();
    const error = new Error('disk gone');
    log.failNext({ outcome: 'unknown', error });
    expect(await log.append(batchAt(1), 0)).toEqual({ outcome: 'unknown', error });
    expect((await log.append(batchAt(1), 0)).outcome).toBe('unknown');
    expect(log.batches).toEqual([]);
  });
});

function batchAt(position: number): Batch {
  return { position, eventCount: 1, epoch: 1, clockMs: 0, utcMs: 0, payload: Uint8Array.of(0xc0) };
}
