import { describe, expect, it } from 'vitest';
import { findOverlaps, type Visit } from './demo-overlaps.ts';

/** `a1 0-10`: collector a under lease 1, from 0 to 10 ms; `a1 0-`: still open; `a 0-10`: without a lease. */
function visit(text: string, proxy = 'p1', resource = 7): Visit {
  const [, collector, lease, start, end] = /^([a-z])(\d*) (\d+)-(\d*)$/.exec(text)!;
  return {
    proxy,
    resource,
    collector: collector!,
    lease: lease === '' ? undefined : Number(lease),
    startMs: Number(start),
    endMs: end === '' ? undefined : Number(end),
  };
}

function findings(visits: readonly (string | Visit)[], kills: Record<string, number> = {}): string[] {
  const seen = visits.map((entry) => (typeof entry === 'string' ? visit(entry) : entry));
  return findOverlaps(seen, new Map(Object.entries(kills))).findings.map(
    ({ kind, holder, with: other }) =>
      `${kind} ${holder.collector}${holder.lease}${other ? ` ${other.collector}${other.lease}` : ''}`,
  );
}

describe('findOverlaps', () => {
  it('is content with holders that take turns, each with a higher token', () => {
    expect(findings(['a1 0-10', 'a1 12-20', 'b2 20-30', 'a5 31-40'])).toEqual([]);
  });

  it('finds two requests at the same time', () => {
    expect(findings(['a1 0-10', 'b2 9-20'])).toEqual(['overlap b2 a1']);
  });

  it('finds requests that take turns while both holders go on', () => {
    expect(findings(['a1 0-10', 'b2 11-20', 'a1 21-30'])).toEqual(['overlap b2 a1']);
  });

  it('finds a short holder within a long one, and another one behind it', () => {
    expect(findings(['a1 0-100', 'b2 10-20', 'c3 30-40'])).toEqual(['overlap b2 a1', 'overlap c3 a1']);
  });

  it('finds a token that goes back, and one that comes again', () => {
    expect(findings(['a1 0-10', 'b3 20-30', 'c2 40-50'])).toEqual(['token_not_risen c2 b3']);
    expect(findings(['a1 0-10', 'b1 20-30'])).toEqual(['token_not_risen b1 a1']);
  });

  it('takes two collectors with one token for two holders', () => {
    expect(findings(['a1 0-10', 'b1 5-15'])).toEqual(['overlap b1 a1']);
  });

  it('finds requests without a lease', () => {
    expect(findings(['a 0-10', 'a1 20-30'])).toEqual(['no_lease a0']);
  });

  it('lets one collector have two leases on a pair only one after the other', () => {
    expect(findings(['a1 0-10', 'a2 10-20'])).toEqual([]);
    expect(findings(['a1 0-10', 'a2 9-20'])).toEqual(['overlap a2 a1']);
  });

  it('looks at each pair by itself', () => {
    const seen = [visit('a1 0-10'), visit('b2 0-10', 'p2'), visit('c3 0-10', 'p1', 8), visit('d4 0-10', 'p2', 8)];
    expect(findings(seen)).toEqual([]);
    expect(findOverlaps(seen)).toMatchObject({ pairs: 4, windows: 4 });
  });

  it('does not depend on the order in which requests were written down', () => {
    expect(findings(['a1 21-30', 'b2 11-20', 'a1 0-10'])).toEqual(['overlap b2 a1']);
  });

  it('counts a request that is still open against its holder', () => {
    expect(findings(['a1 0-', 'b2 1000-1001'])).toEqual(['overlap b2 a1']);
  });

  it('lets the use of a killed collector end at the kill, says so, and excuses nothing before it', () => {
    const seen = ['a1 0-', 'a1 20-55', 'b2 51-60'];
    expect(findings(seen, { a: 50 })).toEqual([]);
    expect(
      findOverlaps(
        seen.map((text) => visit(text)),
        new Map([['a', 50]]),
      ).excusedByKill,
    ).toBe(1);
    expect(findings(seen, { a: 52 })).toEqual(['overlap b2 a1']);
    expect(findings(seen, { b: 50 })).toEqual(['overlap b2 a1']);
  });

  it('has nothing to excuse where the killed collector was not in the way', () => {
    const seen = ['a1 0-10', 'b2 51-60'].map((text) => visit(text));
    expect(findOverlaps(seen, new Map([['a', 50]]))).toMatchObject({ findings: [], excusedByKill: 0 });
  });
});
