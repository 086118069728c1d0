import { describe, expect, it } from 'vitest';
import { findOverlaps } from './demo-overlaps.ts';
import { type Outcome, problemsOf, tableOf } from './demo-report.ts';

const inUse = { proxy: '127.0.1.1', resource: 7 };
const good: Outcome = {
  seconds: 25,
  proxies: 12,
  collectors: 10,
  pages: 3_456,
  pagesDuringOutage: 80,
  pagesAfterRestart: 1_700,
  failedFetches: 0,
  stoppedFetches: 0,
  granted: 60,
  waits: 40,
  autoReleased: 1,
  kill: { collector: 'a', lease: 1, ttlLeftMs: 3_900, freedAfterMs: 12, grantedAfterMs: 80, grantedTo: 'b' },
  restart: { downMs: 700, leasesBefore: 8, leasesKept: 7, leasesForgotten: 0 },
  resumed: 9,
  direct: 0,
  leftOver: 0,
  badExits: [],
  overlaps: findOverlaps([
    { ...inUse, collector: 'a', lease: 1, startMs: 0, endMs: 1 },
    { ...inUse, collector: 'b', lease: 2, startMs: 2, endMs: 3 },
  ]),
};
const overlapping = findOverlaps([
  { ...inUse, collector: 'a', lease: 1, startMs: 0, endMs: 2 },
  { ...inUse, collector: 'b', lease: 2, startMs: 1, endMs: 3 },
]);

describe('the verdict', () => {
  it('finds nothing wrong with a run that shows all it should', () => {
    expect(problemsOf(good)).toEqual([]);
  });

  it.each<[what: string, change: Partial<Outcome>]>([
    ['began while it was in use', { overlaps: overlapping }],
    ['around the proxies', { direct: 1 }],
    ['no page was fetched', { pages: 0 }],
    ['after the restart', { pagesAfterRestart: 0 }],
    ['one after the other', { overlaps: findOverlaps([]) }],
    ['no contention', { waits: 0 }],
    ['came free only after', { kill: { ...good.kill, freedAfterMs: 3_900 } }],
    ['nobody held a lease', { restart: { ...good.restart, leasesBefore: 0 } }],
    ['no lease was there after the restart', { restart: { ...good.restart, leasesKept: 0 } }],
    ['forgotten', { restart: { ...good.restart, leasesForgotten: 1 } }],
    ['resumed', { resumed: 0 }],
    ['were left', { leftOver: 1 }],
    ['b ended with SIGKILL', { badExits: ['b ended with SIGKILL'] }],
  ])('says "%s"', (what, change) => {
    expect(problemsOf({ ...good, ...change })).toEqual([expect.stringContaining(what)]);
  });

  it('names both holders of an overlap', () => {
    expect(problemsOf({ ...good, overlaps: overlapping })[0]).toMatch(/127\.0\.1\.1 .*7.*b \(lease 2.*a \(lease 1/);
  });
});

describe('the table', () => {
  it('ends with what counts', () => {
    expect(tableOf(good).split('\n').at(-1)).toBe('overlaps seen by the target site: 0');
    expect(
      tableOf({ ...good, overlaps: overlapping })
        .split('\n')
        .at(-1),
    ).toBe('overlaps seen by the target site: 1');
  });

  it('has the figures in a column', () => {
    const lines = tableOf(good).split('\n');
    expect(lines).toContainEqual(expect.stringMatching(/^pages fetched +3,456 {2}in 25 s, through 12 proxies$/));
    expect(lines).toContainEqual(expect.stringMatching(/^sessions resumed +9$/));
  });

  it('says what a death excused, where it excused anything', () => {
    expect(tableOf(good)).not.toContain('not counted');
    const overlaps = { ...good.overlaps, excusedByKill: 1 };
    expect(tableOf({ ...good, overlaps })).toMatch(/^cut by a collector's death, not counted +1$/m);
  });
});
