import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { childrenOf, isAlive, startExample } from '../server/testing/example-process.ts';

const DEMO_MS_MAX = 120_000;

const startDemo = (args: readonly string[]) => startExample('demo', args);

it(
  'shows no overlap over a killed collector and a killed coordinator, and leaves nothing behind',
  async () => {
    const demo = await startDemo(['--seconds', '12']);
    const code = await demo.exited;
    const output = demo.output();
    expect(output).not.toContain('NOT AS IT SHOULD BE');
    expect(output.trimEnd().split('\n').at(-1)).toBe('overlaps seen by the target site: 0');
    for (const row of ['pages fetched', 'leases granted', 'leases auto-released', 'sessions resumed']) {
      expect(output).toMatch(new RegExp(`^${row} +[1-9]`, 'm'));
    }
    expect(code).toBe(0);
    expect(await readdir(demo.folder)).toEqual([]);
  },
  DEMO_MS_MAX,
);

it(
  'ends its children and removes its folder when it is interrupted',
  async () => {
    const demo = await startDemo([]);
    await demo.shown('collectors are at work');
    const children = await childrenOf(demo.child);
    expect(children.length).toBe(11);
    demo.child.kill('SIGINT');
    expect(await demo.exited).toBe(1);
    expect(demo.output()).toContain('interrupted');
    expect(children.filter(isAlive)).toEqual([]);
    expect(await readdir(demo.folder)).toEqual([]);
  },
  DEMO_MS_MAX,
);

it('says what it expects of --seconds', async () => {
  const demo = await startDemo(['--seconds', 'soon']);
  expect(await demo.exited).toBe(64);
  expect(demo.output()).toContain('--seconds');
});
