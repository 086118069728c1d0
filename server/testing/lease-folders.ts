import { START_UTC_MS } from './lease-driver.ts';
import { LeaseJournal } from './lease-journal.ts';

/** Part of every credential in these folders: nobody may ever see it. */
export const PLANTED = 'planted-secret';

const POLICY = { ttlMinMs: 200, ttlMaxMs: 604_800_000 };
export const POOL = [
  { address: `http://user:${PLANTED}@10.0.0.1:8080`, country: 'US', rpw: 1, resource_ids: [7, 8] },
  {
    address: `bob:${PLANTED}@10.0.0.2:8080`,
    country: 'CA',
    rpw: 2,
    resource_ids: [7],
    upstream: { via: [`socks5://bob:${PLANTED}@10.1.0.2:1080`] },
    password: PLANTED,
  },
  { address: '10.0.0.3:8080', country: 'DE', rpw: 3, resource_ids: [7], note: `try x:${PLANTED}@10.2.0.3` },
];

const session = (name: string) => ({ kind: 'session', session: name }) as const;

/** What `makeHistory` has made, by name. */
export interface MadeHistory {
  readonly run: LeaseJournal;
  readonly startUtcMs: number;
  readonly tokens: Readonly<Record<'released' | 'expired' | 'revoked' | 'lost' | 'held', number>>;
}

export async function acquire(run: LeaseJournal, name: string, resource: number, ttlMs: number, request: number) {
  const terms = { type: 'AcquireLease', holder: session(name), resource, ttlMs, request } as const;
  const answer = await run.execute(terms);
  if (answer.type !== 'granted') throw new Error(`not granted: ${answer.type}`);
  return answer.grants[0]!.lease;
}

/**
 * Half a minute of one run: a lease for each way to end, and one that doesn't. Granted at 1 s (the one that is lost: at 11 s),
 * ended at 11 s (released), 12 s (revoked), 21 s (expired) and 23 s (lost). It stops at 30 s.
 */
export async function makeHistory(dir: string): Promise<MadeHistory> {
  const startUtcMs = START_UTC_MS;
  const run = await LeaseJournal.start(dir, startUtcMs);
  await run.execute({ type: 'Configure', defaultPolicy: POLICY, policies: new Map() });
  await run.execute({ type: 'ImportPool', records: POOL, replace: false });
  for (const name of ['one', 'two']) {
    const secretHash = `${PLANTED}-${name}`;
    await run.execute({ type: 'OpenSession', session: name, secretHash, resumeWindowMs: 0, sessionsMax: 10 });
  }
  await run.advance(1_000);
  const released = await acquire(run, 'one', 7, 60_000, 1);
  const expired = await acquire(run, 'one', 7, 20_000, 2);
  const revoked = await acquire(run, 'one', 7, 60_000, 3);
  const secret = { kind: 'secret', secretHash: PLANTED } as const;
  const answer = await run.execute({ type: 'AcquireLease', holder: secret, resource: 8, ttlMs: 600_000, request: 0 });
  if (answer.type !== 'granted') throw new Error('not granted');
  const held = answer.grants[0]!.lease;
  await run.advance(10_000);
  await run.execute({ type: 'ReleaseLease', holder: session('one'), lease: released });
  const lost = await acquire(run, 'two', 7, 60_000, 1);
  await run.advance(1_000);
  await run.execute({ type: 'RevokeLeases', leases: [revoked], reason: 'operator' });
  await run.advance(11_000);
  await run.execute({ type: 'DropSession', session: 'two', suspendMs: 0 });
  await run.advance(7_000);
  return { run, startUtcMs, tokens: { released, expired, revoked, lost, held } };
}

/** Enough leases, acquired and released, to fill some segments. */
export async function makeTraffic(run: LeaseJournal, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const lease = await acquire(run, 'one', 7, 60_000, 100 + round);
    await run.execute({ type: 'ReleaseLease', holder: session('one'), lease });
  }
}
