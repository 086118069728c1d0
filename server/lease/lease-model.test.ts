import fc from 'fast-check';
import { describe, it } from 'vitest';
import { runHistory } from '../testing/model/lease-history.ts';
import { type Operation, operationsArbitrary } from '../testing/model/lease-operations.ts';
import { leaseDomain } from './lease-domain.ts';

/** They compute all the time: where others do too, twice as long as usual is nothing. */
const TIMEOUT_MS = 120_000;

describe('lease domain beside the model', { timeout: TIMEOUT_MS }, () => {
  it('agrees in every answer, and its indexes, snapshots and journal with its state', () => {
    fc.assert(
      fc.property(operationsArbitrary(150), (operations) => runHistory(leaseDomain, operations)),
      { numRuns: 60 },
    );
  });

  it('agrees where a session that waits by two requests of one key goes on on another socket', () => {
    const record = { address: 'p1', country: 'US', rpw: 0, resource_ids: [1] };
    const other = { where: undefined, strategy: undefined, sticky: undefined, count: undefined, isExplained: false };
    const acquire = { type: 'acquire', by: { slot: 0 }, resource: 1, ttlMs: 60_000, ...other } as const;
    const waiting = { ...acquire, waitMs: 600_000, key: 'a' };
    const session = { slot: 0, windowMs: 0, noticeMs: undefined };
    const operations: Operation[] = [
      { type: 'import', records: [record], replace: false },
      { type: 'open', ...session },
      { ...acquire, waitMs: undefined, key: undefined },
      waiting,
      waiting,
      { type: 'resume', ...session, right: true },
      { type: 'release', back: 0, by: 'holder', outcome: undefined, requests: undefined },
    ];
    runHistory(leaseDomain, operations);
  });
});
