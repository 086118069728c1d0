/** One run as a report tells of it: thresholds with what was measured, latencies, counters, and seconds. */
import type { Check, Metrics, Summary } from './artillery.ts';
import type { TimelineLine } from './engine/timeline.ts';
import type { Variables } from './scenarios.ts';

/** Something that happened to the coordinator. */
export interface Mark {
  readonly atMs: number;
  readonly says: string;
}

export interface Second {
  readonly second: number;
  readonly answered: number;
  /** The longest that the load generator itself was held up. */
  readonly loopMs?: number;
  /** Absent: nothing was answered. */
  readonly ms?: { readonly p50: number; readonly p95: number; readonly p99: number };
}

export interface Threshold extends Check {
  /** What the names in it came to: `leasehold.overlaps` → 0; undefined: never measured. */
  readonly measured: Readonly<Record<string, number | undefined>>;
}

export interface Report {
  readonly scenario: string;
  readonly says: string;
  /** UTC, ISO 8601. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly variables: Variables;
  readonly machine: string;
  readonly passed: boolean;
  readonly thresholds: readonly Threshold[];
  readonly metrics: Metrics;
  readonly timeline: readonly Second[];
  readonly marks: readonly { readonly second: number; readonly says: string }[];
}

export interface RunFacts {
  readonly scenario: string;
  readonly says: string;
  readonly startedAtMs: number;
  readonly seconds: number;
  readonly variables: Variables;
  readonly machine: string;
  readonly exitCode: number;
  readonly metrics: Metrics;
  readonly checks: readonly Check[];
  /** Found by the driver, in the end: a name, what it came to, and what it should be. */
  readonly endChecks: readonly EndCheck[];
  readonly timeline: readonly TimelineLine[];
  readonly marks: readonly Mark[];
}
export interface EndCheck {
  readonly name: string;
  readonly value: number;
  readonly expected: number;
}

/** In line, latency is the scenario's own doing: how long others hold. */
const NOT_ANSWER_TIME = new Set(['wait']);

export function reportOf(facts: RunFacts): Report {
  const { scenario, says, seconds, variables, machine, metrics, checks, endChecks, exitCode } = facts;
  const answered = facts.timeline.map(({ second }) => second);
  // Artillery takes a few seconds before it begins.
  const firstSecond = answered.length === 0 ? Math.floor(facts.startedAtMs / 1_000) : Math.min(...answered);
  const ends = endChecks.map(({ name, value, expected }) => ({
    expression: `${name} == ${expected}`,
    strict: true,
    passed: value === expected,
    measured: { [name]: value },
  }));
  const thresholds = [...checks.map((check) => ({ ...check, measured: measuredBy(check, metrics) })), ...ends];
  return {
    scenario,
    says,
    startedAt: new Date(facts.startedAtMs).toISOString(),
    seconds,
    variables,
    machine,
    passed: exitCode === 0 && thresholds.every(({ passed, strict }) => passed || !strict),
    thresholds,
    metrics: { counters: metrics.counters, rates: metrics.rates, summaries: metrics.summaries },
    timeline: secondsOf(facts.timeline, firstSecond),
    marks: facts.marks.map(({ atMs, says: what }) => ({ second: atMs / 1_000 - firstSecond, says: what })),
  };
}

/** The metrics that an expression names. */
export function measuredBy(
  { expression }: Check,
  { counters, rates, summaries }: Metrics,
): Record<string, number | undefined> {
  const values = new Map<string, number>([...Object.entries(counters), ...Object.entries(rates)]);
  for (const [name, summary] of Object.entries(summaries)) {
    for (const [figure, value] of Object.entries(summary)) values.set(`${name}.${figure}`, value as number);
  }
  const named = expression.match(/[a-zA-Z][\w.-]*\.[\w.-]*\w/g) ?? [];
  return Object.fromEntries(named.map((name) => [name, values.get(name)]));
}

/** Every second from the first to the last, workers put together. */
function secondsOf(lines: readonly TimelineLine[], firstSecond: number): Second[] {
  const last = Math.max(firstSecond, ...lines.map(({ second }) => second));
  const seconds: Second[] = [];
  for (let second = firstSecond; second <= last; second += 1) {
    const ofSecond = lines.filter((line) => line.second === second);
    const answered = ofSecond.flatMap((line) => Object.values(line.answered)).reduce((sum, count) => sum + count, 0);
    const ms = ofSecond
      .flatMap((line) => Object.entries(line.ms).flatMap(([name, values]) => (NOT_ANSWER_TIME.has(name) ? [] : values)))
      .sort((one, other) => one - other);
    const figures =
      ms.length === 0 ? {} : { ms: { p50: quantile(ms, 0.5), p95: quantile(ms, 0.95), p99: quantile(ms, 0.99) } };
    const loop = ofSecond.length === 0 ? {} : { loopMs: Math.max(...ofSecond.map(({ loop_ms: loopMs }) => loopMs)) };
    seconds.push({ second: second - firstSecond, answered, ...loop, ...figures });
  }
  return seconds;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]!;
}

export interface Row {
  readonly name: string;
  readonly summary: Summary;
}

/** Histograms of answers and pushes, then the rest, by name. */
export function latencyRows({ summaries }: Metrics): Row[] {
  const names = Object.keys(summaries).filter((name) => !name.startsWith('plugins.') && !name.startsWith('vusers.'));
  return names.sort().map((name) => ({ name, summary: summaries[name]! }));
}

export function counterRows({ counters }: Metrics): (readonly [name: string, value: number])[] {
  return Object.entries(counters)
    .filter(([name]) => !name.startsWith('plugins.'))
    .sort(([one], [other]) => (one < other ? -1 : 1));
}
