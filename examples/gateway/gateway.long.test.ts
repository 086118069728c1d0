import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { startExample } from '../../server/testing/example-process.ts';

const EXAMPLE_MS_MAX = 120_000;

it(
  'shares one pool between collectors, curl and undici, and the site sees no overlap',
  async () => {
    const example = await startExample('gateway/main', ['--seconds', '8']);
    const code = await example.exited;
    const output = example.output();
    for (const client of ['collector-1', 'collector-2', 'curl-1', 'curl-2', 'undici']) {
      expect(output).toMatch(new RegExp(`^${client} +[1-9]\\d* pages`, 'm'));
    }
    expect(output.trimEnd().split('\n').at(-1)).toBe('overlaps seen by the target site: 0');
    expect(code).toBe(0);
    expect(await readdir(example.folder)).toEqual([]);
  },
  EXAMPLE_MS_MAX,
);
