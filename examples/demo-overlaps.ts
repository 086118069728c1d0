/**
 * Did two collectors ever use one proxy for one resource at the same time? Judged by what the target site saw alone,
 * whatever the coordinator believes.
 *
 * A holder is a collector under one lease. Its window on a pair (proxy, resource) goes from the start of its first request
 * to the end of its last, the pauses in between included: the address was its own for all of that time. On one pair,
 * - no two windows may share an instant, and
 * - in the order of the windows, the leases' tokens must rise, and
 * - every request must belong to a lease.
 *
 * When a request ends. One that was answered ends with the answer. One that was cut ends when the site notices, and one
 * that is still open has not ended: both count against its holder. The only exception is a collector that was killed:
 * it used nothing after its death, and the bytes of its last request that were still travelling then (in the proxy, in
 * the kernel) are no use that anybody makes of the address. So its visits are taken to end at the kill at the latest.
 * What that exception excused is counted, so that it can be said.
 */

/** One request as the site saw it. Times are by one clock, in milliseconds. */
export interface Visit {
  readonly proxy: string;
  readonly resource: number;
  /** What the request said of itself. */
  readonly collector: string;
  /** The token; undefined: it named none. */
  readonly lease: number | undefined;
  readonly startMs: number;
  /** Undefined: still open. */
  readonly endMs: number | undefined;
}

export type FindingKind =
  /** Began while another holder's window was open. */
  | 'overlap'
  /** Began after another holder's window was over, with a token that is not above that one's. */
  | 'token_not_risen'
  /** Named no lease. */
  | 'no_lease';

export interface Finding {
  readonly kind: FindingKind;
  readonly holder: Window;
  /** Whom it collided with; for `no_lease` nobody. */
  readonly with?: Window;
}

export interface Window {
  readonly proxy: string;
  readonly resource: number;
  readonly collector: string;
  readonly lease: number;
  readonly startMs: number;
  /** Infinity: a request is still open. */
  readonly endMs: number;
}

export interface OverlapReport {
  readonly findings: readonly Finding[];
  /** How much there was to judge: distinct (proxy, resource) that were used, and holders on them. */
  readonly pairs: number;
  readonly windows: number;
  /** Findings that only a collector's death excused: requests that outlived their sender. */
  readonly excusedByKill: number;
}

/** By collector: when it was killed. */
export type Kills = ReadonlyMap<string, number>;

/** O(n log n) in the number of visits. */
export function findOverlaps(visits: readonly Visit[], kills: Kills = new Map()): OverlapReport {
  const pairs = windowsByPair(visits, kills);
  const findings = [...unleased(visits), ...findingsOf(pairs)];
  const unexcused = findingsOf(windowsByPair(visits, new Map()));
  return {
    findings,
    pairs: pairs.length,
    windows: pairs.reduce((sum, windows) => sum + windows.length, 0),
    excusedByKill: Math.max(0, unexcused.length - findingsOf(pairs).length),
  };
}

function unleased(visits: readonly Visit[]): Finding[] {
  return visits
    .filter(({ lease }) => lease === undefined)
    .map((visit) => ({ kind: 'no_lease', holder: { ...visit, lease: 0, endMs: visit.endMs ?? Infinity } }));
}

/** For each pair its windows, in the order in which they began. */
function windowsByPair(visits: readonly Visit[], kills: Kills): Window[][] {
  const pairs = new Map<string, Map<string, Window>>();
  for (const visit of visits) {
    const { proxy, resource, collector, lease } = visit;
    if (lease === undefined) continue;
    const killedMs = kills.get(collector) ?? Infinity;
    const startMs = Math.min(visit.startMs, killedMs);
    const endMs = Math.min(visit.endMs ?? Infinity, killedMs);
    const pair = `${resource} ${proxy}`;
    let windows = pairs.get(pair);
    if (!windows) pairs.set(pair, (windows = new Map()));
    const holder = `${lease} ${collector}`;
    const window = windows.get(holder);
    windows.set(holder, {
      proxy,
      resource,
      collector,
      lease,
      startMs: Math.min(startMs, window?.startMs ?? Infinity),
      endMs: Math.max(endMs, window?.endMs ?? -Infinity),
    });
  }
  return [...pairs.values()].map((windows) =>
    [...windows.values()].sort((one, other) => one.startMs - other.startMs || one.lease - other.lease),
  );
}

/**
 * At most one finding for each window: against the one, of those that began before it, that is open the longest; or else
 * against the one with the highest token.
 */
function findingsOf(pairs: readonly (readonly Window[])[]): Finding[] {
  const findings: Finding[] = [];
  for (const windows of pairs) {
    let longest: Window | undefined;
    let highest: Window | undefined;
    for (const holder of windows) {
      if (longest && holder.startMs < longest.endMs) findings.push({ kind: 'overlap', holder, with: longest });
      else if (highest && holder.lease <= highest.lease) {
        findings.push({ kind: 'token_not_risen', holder, with: highest });
      }
      if (!longest || holder.endMs > longest.endMs) longest = holder;
      if (!highest || holder.lease > highest.lease) highest = holder;
    }
  }
  return findings;
}
