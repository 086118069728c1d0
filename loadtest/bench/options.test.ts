import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readOptions, STANDARD_OUTPUT, UsageError } from './options.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leasehold-options-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the options of the benchmarks', () => {
  it('are few where none are given', () => {
    expect(readOptions([])).toEqual({
      rows: undefined,
      seconds: 3,
      rounds: 5,
      dir: resolve(tmpdir()),
      json: undefined,
      plot: undefined,
    });
  });

  it('write to standard output where --json names no file', () => {
    for (const args of [['--json'], ['--json', '--rounds', '2'], ['--json', '-']]) {
      expect(readOptions(args).json).toBe(STANDARD_OUTPUT);
    }
    expect(readOptions(['--json', join(folder, 'a')]).json).toBe(join(folder, 'a'));
  });

  it('have the folder of pictures made', async () => {
    expect(readOptions(['--plot', join(folder, 'a/b'), '--rows', 'x, y'])).toMatchObject({
      plot: join(folder, 'a/b'),
      rows: ['x', 'y'],
    });
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('refuse what could not be used in the end', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    for (const args of [
      ['--seconds', 'a'],
      ['--seconds', 'Infinity'],
      ['--rounds', '1.5'],
      ['--rounds'],
      ['--other'],
      ['word'],
      ['--dir', join(folder, 'none')],
      ['--plot', file],
      ['--json', folder],
    ]) {
      expect(() => readOptions(args), args.join(' ')).toThrow(UsageError);
    }
  });
});
