import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { flip, makeGenerations } from '../testing/damaged-folders.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { makeHistory } from '../testing/lease-folders.ts';

const PROJECT = resolve(import.meta.dirname, '../..');

it('does what the README says of it', async () => {
  const readme = await readFile(resolve(PROJECT, 'README.md'), 'utf8');
  const commands = readme.split('\n').filter((line) => line.startsWith('node dist/server/cli/leasehold.js'));
  expect(commands).toHaveLength(6);
  const dir = await temporaryFolder();
  await makeHistory(dir);
  const damaged = await makeGenerations(await temporaryFolder());
  await flip(damaged.dir, damaged.newSnapshot, 600);
  const run = (command: string, folder: string) =>
    spawnSync('sh', ['-c', command.replace(' snapshots', ` ${folder}`)], { cwd: PROJECT, encoding: 'utf8' });
  for (const command of commands) {
    const { status, stdout, stderr } = run(command, dir);
    expect({ command, status, stderr, isSilent: stdout === '' }).toEqual({
      command,
      status: 0,
      stderr: '',
      isSilent: false,
    });
  }
  const [repair, apply] = commands.slice(-2);
  expect(run(repair!, damaged.dir)).toMatchObject({ status: 65 });
  expect(run(apply!, damaged.dir)).toMatchObject({ status: 0 });
});

it('is the bin of the package, and runs as one', async () => {
  const manifest = JSON.parse(await readFile(resolve(PROJECT, 'package.json'), 'utf8')) as {
    bin: { leasehold: string };
  };
  const built = await readFile(resolve(PROJECT, manifest.bin.leasehold), 'utf8');
  expect(built.split('\n')[0]).toBe('#!/usr/bin/env node');
});
