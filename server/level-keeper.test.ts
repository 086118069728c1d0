import { describe, expect, it } from 'vitest';
import { LevelKeeper } from './level-keeper.ts';
import { ClientsRun } from './testing/clients-run.ts';

const collector = (client: string) => ({ client });

function start(defaultLimit = { capacity: 10, ratePerSec: 0.001 }) {
  const run = new ClientsRun({ defaultLimit });
  let hasRoom = true;
  const keeper = new LevelKeeper({
    clients: run.clients,
    access: run.access,
    scheduler: run.scheduler,
    hasRoom: () => hasRoom,
  });
  return { run, keeper, fill: (isFull: boolean) => void (hasRoom = !isFull) };
}

describe('levels of buckets', () => {
  it('are kept every five seconds where they have changed, and not written where they have not', async () => {
    const { run } = start();
    run.access.take(collector('a'));
    await run.scheduler.advance(4_999);
    expect(run.state.levels.size).toBe(0);
    await run.scheduler.advance(10);
    expect([...run.state.levels.keys()]).toEqual(['a']);
    const { position } = run.log;
    await run.scheduler.advance(60_000);
    expect(run.log.position).toBe(position);
  });

  it('are kept a part at a time where many have changed, and all at a stop', async () => {
    const { run, keeper } = start();
    const ask = (from: number) => {
      for (let one = 0; one < 7_000; one += 1) run.access.take(collector(`c${from + one}`));
    };
    ask(0);
    await run.scheduler.advance(5_010);
    expect(run.state.levels.size).toBe(5_000);
    await run.scheduler.advance(100);
    expect(run.state.levels.size).toBe(7_000);
    ask(7_000);
    keeper.stop();
    await run.scheduler.advance(10);
    expect(run.state.levels.size).toBe(14_000);
    run.access.take(collector('late'));
    await run.scheduler.advance(60_000);
    expect(run.state.levels.size).toBe(14_000);
  });

  it('wait while the disk is nearly full', async () => {
    const { run, fill } = start();
    run.access.take(collector('a'));
    fill(true);
    await run.scheduler.advance(20_000);
    expect(run.state.levels.size).toBe(0);
    fill(false);
    await run.scheduler.advance(5_000);
    expect(run.state.levels.size).toBe(1);
  });
});
