import { describe, expect, it } from 'vitest';
import type { Summary } from './artillery.ts';
import { type RunFacts, reportOf } from './report.ts';
import { niceStep } from './report-chart.ts';
import { reportHtml } from './report-html.ts';
import { reportText } from './report-text.ts';

const summary: Summary = { count: 4, min: 1, max: 9, mean: 3, p50: 2, p95: 8, p99: 9 };
const facts: RunFacts = {
  scenario: 'steady',
  says: 'acquire & release',
  startedAtMs: Date.UTC(2026, 0, 5, 10, 0, 0, 500),
  seconds: 3,
  variables: { collectors: 2 },
  machine: '2 × <processor>',
  exitCode: 0,
  metrics: {
    counters: { 'leasehold.overlaps': 0, 'plugins.x': 1 },
    rates: {},
    summaries: { 'leasehold.acquire.ms': summary },
  },
  checks: [
    { expression: 'leasehold.acquire.ms.p99 < 50', strict: true, passed: true },
    { expression: 'leasehold.overlaps == 0', strict: true, passed: true },
  ],
  endChecks: [{ name: 'leases left at the end', value: 0, expected: 0 }],
  timeline: [
    { second: Date.UTC(2026, 0, 5, 10, 0, 1) / 1_000, answered: { acquire: 2 }, ms: { acquire: [1, 3] }, loop_ms: 0.5 },
    { second: Date.UTC(2026, 0, 5, 10, 0, 1) / 1_000, answered: { wait: 1 }, ms: { wait: [800] }, loop_ms: 2 },
    { second: Date.UTC(2026, 0, 5, 10, 0, 3) / 1_000, answered: { acquire: 1 }, ms: { acquire: [5] }, loop_ms: 0 },
  ],
  marks: [{ atMs: Date.UTC(2026, 0, 5, 10, 0, 2), says: 'killed' }],
};

describe('a report', () => {
  it('puts what was measured beside each threshold', () => {
    const { passed, thresholds } = reportOf(facts);
    expect(passed).toBe(true);
    expect(thresholds.map(({ measured }) => measured)).toEqual([
      { 'leasehold.acquire.ms.p99': 9 },
      { 'leasehold.overlaps': 0 },
      { 'leases left at the end': 0 },
    ]);
  });

  it.each<[why: string, change: Partial<RunFacts>]>([
    ['a threshold was not kept', { checks: [{ expression: 'a.b < 1', strict: true, passed: false }] }],
    ['artillery itself failed', { exitCode: 1 }],
    ['leases were left', { endChecks: [{ name: 'leases left at the end', value: 3, expected: 0 }] }],
  ])('fails where %s', (_, change) => {
    const report = reportOf({ ...facts, ...change });
    expect(report.passed).toBe(false);
    expect(reportHtml(report)).toContain('<span class="bad">failed</span>');
  });

  it('lets an optional threshold pass by', () => {
    const checks = [{ expression: 'leasehold.granted > 1', strict: false, passed: false }];
    const report = reportOf({ ...facts, checks });
    expect(report.passed).toBe(true);
    expect(report.thresholds[0]!.measured).toEqual({ 'leasehold.granted': undefined });
    expect(reportText(report)).toContain('fail (optional) leasehold.granted > 1  (leasehold.granted is unknown)');
  });

  it('has every second, workers put together, and leaves time in line out of the latency', () => {
    expect(reportOf(facts).timeline).toEqual([
      { second: 0, answered: 3, loopMs: 2, ms: { p50: 1, p95: 3, p99: 3 } },
      { second: 1, answered: 0 },
      { second: 2, answered: 1, loopMs: 0, ms: { p50: 5, p95: 5, p99: 5 } },
    ]);
    expect(reportOf(facts).marks).toEqual([{ second: 1, says: 'killed' }]);
  });
});

describe('the page', () => {
  const html = reportHtml(reportOf(facts));

  it('needs nothing from elsewhere', () => {
    expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/);
  });

  it('has tables of thresholds, latencies and counters, and curves', () => {
    expect(html).toContain('<td class="good">passed</td><td><code>leasehold.acquire.ms.p99 &lt; 50</code></td>');
    expect(html).toMatch(/leasehold\.acquire\.ms<\/code><\/td>(<td class="number">\d+<\/td>){6}/);
    expect(html).toContain('<code>leasehold.overlaps</code></td><td class="number">0</td>');
    expect(html).not.toContain('plugins.x');
    expect(html).toContain('>killed</text>');
  });

  it('closes what it opens, and escapes what it is given', () => {
    expect(html).toContain('acquire &amp; release');
    expect(html).toContain('&lt;processor&gt;');
    const open: string[] = [];
    for (const [, closing, name = '', selfClosed] of html.matchAll(/<(\/?)([a-z]\w*)[^>]*?(\/?)>/g)) {
      if (name === 'meta' || selfClosed === '/') continue;
      if (closing === '/') expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });

  it('draws no figure that is not a number', () => {
    expect(html).not.toMatch(/NaN|Infinity|undefined/);
    expect(reportHtml(reportOf({ ...facts, timeline: [], marks: [] }))).not.toMatch(/NaN|Infinity|undefined/);
  });
});

it.each([
  [0.3, 0.5],
  [1, 1],
  [2.1, 5],
  [7, 10],
  [150, 200],
])('a step of at least %s is %s', (least, step) => {
  expect(niceStep(least)).toBeCloseTo(step);
});
