import { describe, expect, it } from 'vitest';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { WorkLine } from './work-line.ts';

const scheduler = new VirtualScheduler(new VirtualClock());
const never = new AbortController().signal;

/** Work that ends when the test says so, or soon after it is called off. */
function pieceOf(begun: string[], name: string) {
  let finish: () => void = () => {};
  const work = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      begun.push(name);
      finish = () => resolve(`${name} done`);
      signal.addEventListener('abort', () => reject(new Error('terminated')));
    });
  return { work, finish: () => finish() };
}

function lineOf(waitingMax = 4): WorkLine {
  return new WorkLine({ scheduler, waitingMax, timeMaxMs: 60_000 });
}

describe('a line of work', () => {
  it('does one piece at a time, in the order in which they were asked for, and lets a few wait', async () => {
    const line = lineOf(2);
    const begun: string[] = [];
    const pieces = ['a', 'b', 'c', 'd'].map((name) => pieceOf(begun, name));
    const [a, b, c, d] = pieces.map(({ work }) => line.run(work, never));
    expect(await d).toEqual({ outcome: 'too_many' });
    expect(begun).toEqual(['a']);
    pieces[0]!.finish();
    expect(await a).toEqual({ outcome: 'done', value: 'a done' });
    await scheduler.runTurns();
    expect(begun).toEqual(['a', 'b']);
    pieces[1]!.finish();
    await b;
    await scheduler.runTurns();
    pieces[2]!.finish();
    expect(await c).toEqual({ outcome: 'done', value: 'c done' });
    expect(scheduler.timerCount).toBe(0);
  });

  it('goes on with the next where one fails', async () => {
    const line = lineOf();
    await expect(line.run(() => Promise.reject(new Error('no such file')), never)).rejects.toThrow('no such file');
    expect(await line.run(() => Promise.resolve(1), never)).toEqual({ outcome: 'done', value: 1 });
  });

  it('calls off what nobody waits for any more, begun or not', async () => {
    const line = lineOf(1);
    const begun: string[] = [];
    const [atWork, waiting] = [new AbortController(), new AbortController()];
    const first = line.run(pieceOf(begun, 'a').work, atWork.signal);
    const second = line.run(pieceOf(begun, 'b').work, waiting.signal);
    waiting.abort();
    expect(await second).toEqual({ outcome: 'called_off' });
    const piece = pieceOf(begun, 'c');
    const third = line.run(piece.work, never);
    atWork.abort();
    expect(await first).toEqual({ outcome: 'called_off' });
    await scheduler.runTurns();
    expect(begun).toEqual(['a', 'c']);
    piece.finish();
    expect(await third).toMatchObject({ outcome: 'done' });
  });

  it('calls off what takes too long, the wait included', async () => {
    const line = lineOf();
    const begun: string[] = [];
    const first = line.run(pieceOf(begun, 'a').work, never);
    await scheduler.advance(10_000);
    const second = line.run(pieceOf(begun, 'b').work, never);
    await scheduler.advance(50_000);
    expect(await first).toEqual({ outcome: 'too_long' });
    expect(begun).toEqual(['a', 'b']);
    await scheduler.advance(10_000);
    expect(await second).toEqual({ outcome: 'too_long' });
  });

  it('takes no more once it is closed', async () => {
    const line = lineOf();
    const begun: string[] = [];
    const running = line.run(pieceOf(begun, 'a').work, never);
    await scheduler.runTurns();
    line.close();
    expect(await running).toEqual({ outcome: 'called_off' });
    expect(await line.run(pieceOf(begun, 'b').work, never)).toEqual({ outcome: 'called_off' });
    expect(begun).toEqual(['a']);
  });
});
