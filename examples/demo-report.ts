/** The table at the end of the demo, and whether the run showed what it is meant to show. */
import type { Finding, OverlapReport, Window } from './demo-overlaps.ts';

export interface Outcome {
  readonly seconds: number;
  readonly proxies: number;
  readonly collectors: number;
  readonly pages: number;
  readonly pagesDuringOutage: number;
  readonly pagesAfterRestart: number;
  readonly failedFetches: number;
  readonly stoppedFetches: number;
  readonly granted: number;
  /** Requests that had to stand in line. */
  readonly waits: number;
  /** Ended without their holder's doing: it was killed, or they ran out. */
  readonly autoReleased: number;
  readonly kill: CollectorKill;
  readonly restart: Restart;
  readonly resumed: number;
  /** Requests that reached the site around the proxies. */
  readonly direct: number;
  /** Leases that the coordinator still listed when every collector had said bye. */
  readonly leftOver: number;
  /** Processes that ended otherwise than they should. */
  readonly badExits: readonly string[];
  readonly overlaps: OverlapReport;
}

export interface CollectorKill {
  readonly collector: string;
  readonly lease: number;
  /** What its TTL had left: without the kill being noticed, the address would have come free only then. */
  readonly ttlLeftMs: number;
  /** From the kill to when the coordinator's list no longer had the lease. */
  readonly freedAfterMs: number;
  /** From the kill to when somebody else said that it had the address. */
  readonly grantedAfterMs: number;
  readonly grantedTo: string;
}

export interface Restart {
  readonly downMs: number;
  readonly leasesBefore: number;
  /** Of those, listed again with the same token right after the restart. */
  readonly leasesKept: number;
  /** Of the others, those that their holders had not given up: acknowledged, and forgotten. */
  readonly leasesForgotten: number;
}

/** What didn't go as it should; empty: all well. */
export function problemsOf(outcome: Outcome): string[] {
  const { kill, restart, overlaps } = outcome;
  const problems: string[] = [];
  const expect = (holds: boolean, otherwise: string) => {
    if (!holds) problems.push(otherwise);
  };
  for (const finding of overlaps.findings) problems.push(describe(finding));
  expect(outcome.direct === 0, `${outcome.direct} requests reached the site around the proxies`);
  expect(outcome.pages > 0, 'no page was fetched');
  expect(outcome.pagesAfterRestart > 0, 'no page was fetched after the restart');
  expect(overlaps.windows > overlaps.pairs, 'no address was used by two holders one after the other');
  expect(outcome.waits > 0, 'nobody ever had to wait: no contention');
  expect(
    kill.freedAfterMs < kill.ttlLeftMs,
    `the killed collector's lease came free only after ${kill.freedAfterMs} ms`,
  );
  expect(restart.leasesBefore > 0, 'nobody held a lease when the coordinator was killed');
  expect(restart.leasesKept > 0, 'no lease was there after the restart');
  expect(restart.leasesForgotten === 0, `${restart.leasesForgotten} leases were forgotten by the restart`);
  expect(outcome.resumed > 0, 'no session was resumed');
  expect(outcome.leftOver === 0, `${outcome.leftOver} leases were left when everybody had gone`);
  return [...problems, ...outcome.badExits];
}

/** Its last line is what counts. */
export function tableOf(outcome: Outcome): string {
  const { kill, restart, overlaps } = outcome;
  const excused = overlaps.excusedByKill;
  const rows: readonly (readonly [what: string, figure: number | string, note?: string])[] = [
    ['pages fetched', outcome.pages, `in ${outcome.seconds} s, through ${outcome.proxies} proxies`],
    ['· while the coordinator was down', outcome.pagesDuringOutage, `${ms(restart.downMs)}`],
    ['· after its restart', outcome.pagesAfterRestart],
    ['failed fetches', outcome.failedFetches],
    ['fetches stopped as their lease ended', outcome.stoppedFetches],
    ['leases granted', outcome.granted, `${outcome.waits} of them asked for while nothing was free`],
    ['leases auto-released', outcome.autoReleased, `of the killed collector after ${ms(kill.freedAfterMs)}`],
    ['collectors', outcome.collectors, `1 killed; ${kill.grantedTo} had its address after ${ms(kill.grantedAfterMs)}`],
    ['coordinator restarts survived', 1, `${restart.leasesKept} of ${restart.leasesBefore} leases there again`],
    ['sessions resumed', outcome.resumed],
    ['(proxy, resource) pairs used', overlaps.pairs, `by ${overlaps.windows} holders in turn`],
    ...(excused === 0 ? [] : [["cut by a collector's death, not counted", excused] as const]),
  ];
  const whatWidth = Math.max(...rows.map(([what]) => what.length));
  const figureWidth = Math.max(...rows.map(([, figure]) => format(figure).length));
  const lines = rows.map(([what, figure, note = '']) =>
    `${what.padEnd(whatWidth)}  ${format(figure).padStart(figureWidth)}  ${note}`.trimEnd(),
  );
  const rule = '─'.repeat(Math.max(...lines.map((line) => line.length)));
  return [rule, ...lines, rule, `overlaps seen by the target site: ${overlaps.findings.length}`].join('\n');
}

function describe({ kind, holder, with: other }: Finding): string {
  const place = `${holder.proxy} for resource ${holder.resource}`;
  switch (kind) {
    case 'overlap':
      return `${place}: ${nameOf(holder)} began while it was in use by ${nameOf(other!)}`;
    case 'token_not_risen':
      return `${place}: ${nameOf(holder)} came after ${nameOf(other!)}`;
    case 'no_lease':
      return `${place}: used without a lease by ${holder.collector || 'somebody'}`;
  }
}

function nameOf({ collector, lease, startMs, endMs }: Window): string {
  return `${collector} (lease ${lease}, ${startMs.toFixed(1)} to ${endMs.toFixed(1)} ms)`;
}

function format(figure: number | string): string {
  return typeof figure === 'number' ? figure.toLocaleString('en-US') : figure;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
