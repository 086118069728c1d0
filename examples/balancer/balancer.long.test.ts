import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { childrenOf, isAlive, startExample } from '../../server/testing/example-process.ts';

const EXAMPLE_MS_MAX = 120_000;

it(
  'fails no request while a target is away, spreads them evenly, and says what is to be said with all of them down',
  async () => {
    const flags = { seconds: '15', 'stop-at': '5', 'start-at': '9', 'interval-ms': '40' };
    const example = await startExample(
      'balancer/main',
      Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
    );
    const code = await example.exited;
    const output = example.output();
    expect(output).not.toContain('NOT AS IT SHOULD BE');
    expect(output).toMatch(/^failed requests: 0 of [1-9]\d\d$/m);
    expect(output).toContain('all targets stopped: 500 All servers is off');
    // Nothing of the third one in between, and its share before and after.
    expect(output).toMatch(/^before( +[1-9]\d*){5} +\d+ +0 +[012]$/m);
    expect(output).toMatch(/^during( +[1-9]\d*){2} +0( +[1-9]\d*){2} +\d+ +0 +[012]$/m);
    expect(output).toMatch(/^after( +[1-9]\d*){5} +\d+ +0 +[012]$/m);
    expect(code).toBe(0);
    expect(await readdir(example.folder)).toEqual([]);
  },
  EXAMPLE_MS_MAX,
);

it(
  'ends its children and removes its folder when it is interrupted',
  async () => {
    const example = await startExample('balancer/main', []);
    await example.shown('one request every 200 ms');
    const children = await childrenOf(example.child);
    expect(children.length).toBe(6);
    example.child.kill('SIGINT');
    expect(await example.exited).toBe(1);
    expect(children.filter(isAlive)).toEqual([]);
    expect(await readdir(example.folder)).toEqual([]);
  },
  EXAMPLE_MS_MAX,
);

it.each([
  [['--stop-at', '300'], '--stop-at before --start-at'],
  [['--seconds', 'soon'], '--seconds'],
  [['--unknown'], 'unknown'],
])('says what is wrong with %j', async (args, message) => {
  const example = await startExample('balancer/main', args);
  expect(await example.exited).toBe(64);
  expect(example.output()).toContain(message);
});
