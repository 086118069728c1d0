import { describe, expect, it } from 'vitest';
import type { Batch, EventLog } from './event-log.ts';

const EPOCH = 1;

/** What every event log does. `openLog` gives a new, empty one, for epoch 1, and cleans up after the test. */
export function eventLogContract(name: string, openLog: () => Promise<EventLog>): void {
  describe(`event log contract: ${name}`, () => {
    it('gives back what it said is durable', async () => {
      const log = await openLog();
      const batch = batchAt(1, 3, 'abc');
      expect(await log.append(batch, 0)).toEqual({ outcome: 'durable' });
      expect(await collect(log.readFrom(1))).toEqual([batch]);
    });

    it('keeps the order of many batches', async () => {
      const log = await openLog();
      const batches: Batch[] = [];
      for (let index = 0; index < 50; index += 1) {
        const batch = batchAt(1 + index * 2, 2, `batch ${index}`);
        batches.push(batch);
        expect((await log.append(batch, batch.position - 1)).outcome).toBe('durable');
      }
      expect(await collect(log.readFrom(1))).toEqual(batches);
    });

    it('reads from the batch that holds a position, be it its first, its last or between', async () => {
      const log = await openLog();
      await log.append(batchAt(1, 3, 'one'), 0);
      await log.append(batchAt(4, 3, 'two'), 3);
      await log.append(batchAt(7, 1, 'three'), 6);
      for (const position of [4, 5, 6]) expect(await positions(log, position)).toEqual([4, 7]);
      expect(await positions(log, 3)).toEqual([1, 4, 7]);
      expect(await positions(log, 7)).toEqual([7]);
    });

    it('reads nothing behind the end, and nothing from an empty log', async () => {
      const log = await openLog();
      expect(await positions(log, 1)).toEqual([]);
      await log.append(batchAt(1, 2, 'x'), 0);
      expect(await positions(log, 3)).toEqual([]);
    });

    it('reads up to what was durable when it was asked', async () => {
      const log = await openLog();
      await log.append(batchAt(1, 1, 'before'), 0);
      const reading = log.readFrom(1);
      await log.append(batchAt(2, 1, 'after'), 1);
      expect((await collect(reading)).map(({ position }) => position)).toEqual([1]);
      expect(await positions(log, 1)).toEqual([1, 2]);
    });

    it('does not show a batch to readers before it is durable', async () => {
      const log = await openLog();
      const appending = log.append(batchAt(1, 1, 'x'), 0);
      const reading = log.readFrom(1);
      expect((await appending).outcome).toBe('durable');
      expect(await collect(reading)).toEqual([]);
    });

    it('takes the largest batch it says it takes', async () => {
      const log = await openLog();
      const payload = new Uint8Array(log.batchBytesMax).map((_, index) => index % 251);
      const batch = { ...batchAt(1, log.batchEventsMax, ''), payload };
      expect((await log.append(batch, 0)).outcome).toBe('durable');
      const [read] = await collect(log.readFrom(1));
      expect(read?.eventCount).toBe(log.batchEventsMax);
      expect(Buffer.compare(read?.payload ?? new Uint8Array(), payload)).toBe(0);
    });

    it('leaves the payload to the caller once it has answered', async () => {
      const log = await openLog();
      const batch = batchAt(1, 1, 'mine');
      await log.append(batch, 0);
      batch.payload.fill(0);
      expect(await payloads(log)).toEqual(['mine']);
      const [read] = await collect(log.readFrom(1));
      read?.payload.fill(0);
      expect(await payloads(log)).toEqual(['mine']);
    });

    it('is deposed by an expected position that is not its own, and takes nothing afterwards', async () => {
      for (const expectedPosition of [0, 2]) {
        const log = await openLog();
        await log.append(batchAt(1, 1, 'x'), 0);
        const outcome = await log.append(batchAt(expectedPosition + 1, 1, 'y'), expectedPosition);
        expect(outcome).toEqual({ outcome: 'deposed' });
        expect((await log.append(batchAt(2, 1, 'z'), 1)).outcome).not.toBe('durable');
        expect(await payloads(log)).toEqual(['x']);
      }
    });

    it('takes nothing after it was closed', async () => {
      const log = await openLog();
      await log.append(batchAt(1, 1, 'x'), 0);
      await log.close();
      expect((await log.append(batchAt(2, 1, 'y'), 1)).outcome).not.toBe('durable');
    });

    it('holds a second append beside one in flight for a bug of the caller', async () => {
      const log = await openLog();
      const first = log.append(batchAt(1, 1, 'x'), 0);
      await expect(log.append(batchAt(2, 1, 'y'), 1)).rejects.toThrow('one append at a time');
      expect((await first).outcome).toBe('durable');
      expect(await payloads(log)).toEqual(['x']);
    });
  });
}

function batchAt(position: number, eventCount: number, text: string): Batch {
  const payload = new TextEncoder().encode(text);
  return { position, eventCount, epoch: EPOCH, clockMs: position + 0.25, utcMs: 1_750_000_000_000 + position, payload };
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const collected: Batch[] = [];
  for await (const batch of batches) collected.push(batch);
  return collected;
}

async function positions(log: EventLog, from: number): Promise<number[]> {
  return (await collect(log.readFrom(from))).map(({ position }) => position);
}

async function payloads(log: EventLog): Promise<string[]> {
  return (await collect(log.readFrom(1))).map(({ payload }) => new TextDecoder().decode(payload));
}
