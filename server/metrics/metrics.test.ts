import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, LEASE_ENDS, REFUSED_REASONS, REVOKE_REASONS } from '../../protocol/codes.ts';
import { AddressHealthCounts } from '../health/address-health-counts.ts';
import { parsePrometheusText } from '../testing/prometheus-text.ts';
import { Counts } from './counts.ts';
import { Distribution } from './distribution.ts';
import { Exposition } from './exposition.ts';
import { type Gauges, gaugeFamilies, RESOURCE_LABELS_MAX } from './gauges.ts';
import type { LoopMonitor } from './loop-delay.ts';
import { OPERATIONS_MAX } from './operation-counts.ts';
import { Tally } from './tally.ts';

const GAUGES: Gauges = {
  build: { version: '1.2.3', node: 'v20.0.0', transport: 'ws' },
  epoch: 1,
  position: 0,
  durablePosition: 0,
  backlogBytes: 0,
  isOverloaded: false,
  storage: 'low',
  leases: 0,
  addresses: 0,
  connectedSessions: 0,
  suspendedSessions: 0,
  sockets: 0,
  bufferedBytes: 0,
  resources: [],
};

/** As a loop that is late by `lateMs`, and by nothing in an interval that has not been. */
class FakeMonitor implements LoopMonitor {
  readonly resolutionMs = 20;
  count = 0;
  #lateMs = 0;

  late(lateMs: number, count: number): void {
    this.#lateMs = lateMs;
    this.count = count;
  }

  get mean(): number {
    return this.percentile();
  }

  percentile(): number {
    return (this.resolutionMs + this.#lateMs) * 1e6;
  }

  reset(): void {
    this.count = 0;
  }
}

function open(gauges: Partial<Gauges> = {}) {
  const counts = new Counts({
    refusedReasons: REFUSED_REASONS,
    leaseEnds: LEASE_ENDS,
    revokeReasons: REVOKE_REASONS,
    errorCodes: ERROR_CODES,
  });
  const monitor = new FakeMonitor();
  const families = [
    ...gaugeFamilies({ ...GAUGES, ...gauges }),
    ...counts.families(),
    ...new AddressHealthCounts().families(() => 0),
  ];
  const exposition = new Exposition(families, () => monitor);
  const scrape = async () => parsePrometheusText((await exposition.scrape()).text);
  return { counts, monitor, scrape };
}

describe('the metrics', () => {
  it('are those that ARCHITECTURE lists, of these types, in these words', async () => {
    const { families } = await open().scrape();
    const page = readFileSync(new URL('../ARCHITECTURE.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z_]+)` +\| (counter|gauge|histogram|summary) +\| (.*?) +\|$/gm)];
    const listed = rows.map(([, name, type, help]) => ({ name, type, help }));
    expect(listed).toEqual(families.map(({ name, type, help }) => ({ name, type, help })));
  });

  it('are named as Prometheus wants them: base units, and _total on what only rises', async () => {
    const { families } = await open().scrape();
    const ours = families.filter(({ name }) => name.startsWith('leasehold_'));
    expect(ours.length).toBeGreaterThan(20);
    for (const { name, type, help } of ours) {
      expect([name, help]).toEqual([name, expect.stringMatching(/^[A-Z1].*\.$/)]);
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      // Type and unit stand in no name twice, and no unit but a base one in any.
      expect(name).not.toMatch(
        /_(ms|millis\w*|us|micros\w*|minutes|kb|mb|percent|counter|gauge|histogram|summary|count|sum|bucket)(_|$)/,
      );
      if (/duration|delay/.test(name)) expect(name).toMatch(/_seconds$/);
      if (/bytes|backlog/.test(name)) expect(name).toMatch(/_bytes$/);
    }
  });

  it('take what they are given over the life of the run', async () => {
    const { counts, scrape } = open({ storage: 'least', bufferedBytes: 12 });
    counts.rateLimited('gateway');
    counts.batchWritten({ events: 3, bytes: 1_024, seconds: 0.0002 });
    counts.httpRequest({ operation: 'getLease', status: 404, seconds: 0.003 });
    await scrape();
    counts.httpRequest({ operation: 'getLease', status: 200, seconds: 0.5 });
    counts.httpRequest({ operation: undefined, status: 404, seconds: 0.001 });
    counts.httpRequest({ operation: 'say "hi"\\', status: 99, seconds: 0.001 });
    const { series } = await scrape();
    const values = [...series].filter(
      ([key, value]) => value > 0 && /rate|http_requests|storage|buffered|duration_seconds_count|_sum/.test(key),
    );
    expect(Object.fromEntries(values.filter(([key]) => key.startsWith('leasehold_')))).toEqual({
      'leasehold_requests_rate_limited_total{via="gateway"}': 1,
      'leasehold_storage_level{level="least"}': 1,
      leasehold_sockets_buffered_bytes: 12,
      leasehold_journal_write_duration_seconds_sum: 0.0002,
      leasehold_journal_write_duration_seconds_count: 1,
      leasehold_journal_batch_events_sum: 3,
      leasehold_journal_batch_bytes_sum: 1_024,
      'leasehold_http_requests_total{operation="getLease",status="2xx"}': 1,
      'leasehold_http_requests_total{operation="getLease",status="4xx"}': 1,
      'leasehold_http_requests_total{operation="other",status="4xx"}': 1,
      'leasehold_http_requests_total{operation="say \\"hi\\"\\\\",status="other"}': 1,
      'leasehold_http_request_duration_seconds_sum{operation="getLease"}': 0.503,
      'leasehold_http_request_duration_seconds_count{operation="getLease"}': 2,
      'leasehold_http_request_duration_seconds_sum{operation="other"}': 0.001,
      'leasehold_http_request_duration_seconds_count{operation="other"}': 1,
      'leasehold_http_request_duration_seconds_sum{operation="say \\"hi\\"\\\\"}': 0.001,
      'leasehold_http_request_duration_seconds_count{operation="say \\"hi\\"\\\\"}': 1,
    });
  });

  it('have a bound on their series, whatever words come', async () => {
    const resources = Array.from({ length: 1_000 }, (_, index) => ({
      id: 1_000 - index,
      waiting: 2,
      pairs: [['free', 3] as const],
    }));
    const { counts, scrape } = open({ resources });
    for (let number = 0; number < 1_000; number += 1) {
      const word = `word ${number}`;
      counts.refused(word);
      counts.errorSent(word);
      counts.leaseEnded(word, word);
      counts.httpRequest({ operation: word, status: 200 + number, seconds: number });
    }
    const { series } = await scrape();
    const others = 1_000 - RESOURCE_LABELS_MAX;
    expect(series.get('leasehold_waiting_requests{resource="1"}')).toBe(2);
    expect(series.get(`leasehold_waiting_requests{resource="${RESOURCE_LABELS_MAX}"}`)).toBe(2);
    expect(series.get('leasehold_waiting_requests{resource="other"}')).toBe(2 * others);
    expect(series.get('leasehold_pairs{resource="other",state="free"}')).toBe(3 * others);
    expect(series.get('leasehold_requests_refused_total{reason="other"}')).toBe(1_000);
    expect(series.get('leasehold_leases_ended_total{end="other"}')).toBe(1_000);
    expect(series.get('leasehold_leases_revoked_total{reason="other"}')).toBe(1_000);
    expect(series.get('leasehold_errors_total{code="other"}')).toBe(1_000);
    const countOf = (name: string) => [...series.keys()].filter((key) => key.startsWith(`leasehold_${name}{`)).length;
    expect(countOf('waiting_requests')).toBe(RESOURCE_LABELS_MAX + 1);
    expect(countOf('http_request_duration_seconds_count')).toBe(OPERATIONS_MAX + 1);
    const operations = [...series].filter(([key]) => key.startsWith('leasehold_http_requests_total'));
    expect(operations.reduce((sum, [, count]) => sum + count, 0)).toBe(1_000);
  });

  it('say how late the event loop was since they were last asked, and in all', async () => {
    const { monitor, scrape } = open();
    const delays = async () => {
      const { series } = await scrape();
      return [...series]
        .filter(([key]) => key.includes('event_loop'))
        .map(([key, value]) => [key.replace(/^\w+_seconds/, ''), Number(value.toFixed(6))]);
    };
    expect((await delays()).map(([, value]) => value)).toEqual([0, 0, 0, 0, 0]);
    monitor.late(5, 10);
    const late = [
      ['{quantile="0.5"}', 0.005],
      ['{quantile="0.99"}', 0.005],
      ['{quantile="1"}', 0.005],
      ['_sum', 0.05],
      ['_count', 10],
    ];
    expect(await delays()).toEqual(late);
    // Too soon for anything new.
    expect(await delays()).toEqual(late);
    monitor.late(-1, 2);
    expect((await delays()).slice(2)).toEqual([
      ['{quantile="1"}', 0],
      ['_sum', 0.05],
      ['_count', 12],
    ]);
  });
});

describe('a tally', () => {
  it('knows the words of its list, and no others apart', () => {
    const tally = new Tally(['one', 'two']);
    tally.add('two');
    tally.add('two');
    expect([...tally.entries()]).toEqual([
      ['one', 0],
      ['two', 2],
    ]);
    for (const word of ['three', 'toString', '__proto__']) tally.add(word);
    expect([...tally.entries()]).toEqual([
      ['one', 0],
      ['two', 2],
      ['other', 3],
    ]);
  });
});

describe('a distribution', () => {
  it('puts a value to the first bound that is not below it', () => {
    const distribution = new Distribution([1, 2]);
    for (const value of [0, 1, 1.5, 2, 7]) distribution.observe(value);
    expect(Array.from(distribution.samples({ a: 'b' }), ({ labels, value }) => [labels, value])).toEqual([
      [{ a: 'b', le: 1 }, 2],
      [{ a: 'b', le: 2 }, 4],
      [{ a: 'b', le: '+Inf' }, 5],
      [{ a: 'b' }, 11.5],
      [{ a: 'b' }, 5],
    ]);
  });
});
