/** The rows as they are built, small: that they measure what they say and see no failure. What they come to is not for tests. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RowResult } from '../row.ts';

const MEMORY_DIR = '/dev/shm';
const BUILT = resolve(import.meta.dirname, '../../../dist/loadtest/bench/rows');

function built<Module>(name: string): Promise<Module> {
  return import(pathToFileURL(join(BUILT, `${name}.js`)).href) as Promise<Module>;
}

let dir: string;

beforeAll(async () => {
  // In memory where that is possible: how fast the disk is says nothing here.
  dir = await mkdtemp(join(existsSync(MEMORY_DIR) ? MEMORY_DIR : tmpdir(), 'leasehold-rows-'));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

function context() {
  return { dir, seconds: 0.5, rounds: 1, say: () => undefined };
}

function valueOf({ measures }: RowResult, name: string): number {
  return measures.find((measure) => measure.name === name)!.value;
}

describe('expiry-lateness', () => {
  it('measures how late each notice comes', async () => {
    const { expiryLateness } = await built<typeof import('./expiry-lateness.ts')>('expiry-lateness');
    const result = await expiryLateness({ perSecond: 300, sessions: 20 }).run(context());
    expect(valueOf(result, 'p50')).toBeGreaterThan(0);
    expect(valueOf(result, 'p99')).toBeGreaterThanOrEqual(valueOf(result, 'p50'));
    expect(valueOf(result, 'failures')).toBe(0);
    expect(result.isReached).toBe(valueOf(result, 'p99') <= 20);
  });

  it('takes any number of seconds', async () => {
    const { expiryLateness } = await built<typeof import('./expiry-lateness.ts')>('expiry-lateness');
    const result = await expiryLateness({ perSecond: 300, sessions: 20 }).run({ ...context(), seconds: 1 / 3 });
    expect(valueOf(result, 'failures')).toBe(0);
  });
});

describe('revoke-fan-out', () => {
  it('measures when the last collector knows, with and without substitutes', async () => {
    const { revokeFanOut } = await built<typeof import('./revoke-fan-out.ts')>('revoke-fan-out');
    const result = await revokeFanOut({ leases: 200, sessions: [10, 40] }).run(context());
    for (const sessions of ['10 sessions', '40 sessions']) {
      expect(valueOf(result, `${sessions}: last notice`)).toBeGreaterThan(0);
      expect(valueOf(result, `${sessions}, with substitutes: substitutes`)).toBeGreaterThan(0);
    }
    expect(valueOf(result, 'failures')).toBe(0);
    expect(result.isReached).toBeUndefined();
  });
});

describe('leases-memory', () => {
  it('measures what its leases take, and leaves nothing behind', async () => {
    const { leasesMemory } = await built<typeof import('./leases-memory.ts')>('leases-memory');
    const result = await leasesMemory({ leases: 2_000, sessions: 4, resources: 5, addresses: 500 }).run(context());
    expect(valueOf(result, 'leases')).toBe(2_000);
    expect(valueOf(result, 'failures')).toBe(0);
    expect(await readdir(dir)).toEqual([]);
  });
});

describe('a row that saw failures', () => {
  it('throws and says of each kind how many', async () => {
    const { Failures } = await built<typeof import('./figures.ts')>('figures');
    const failures = new Failures();
    failures.add('a session lost', 2);
    failures.add('a refusal');
    expect(() => failures.result(context(), [], true)).toThrow('3 failures: 2 × a session lost; 1 × a refusal');
  });
});
