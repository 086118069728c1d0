/**
 * What choosing costs in a pool of a million against one of a hundred: for each strategy, with a condition that is known
 * already (choose, grant, release: `setStatus` and `usageChanged` twice) and with one that is seen for the first time.
 *
 *     npx tsc -p server/testing && node dist/server/testing/choose-bench.js [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { STRATEGIES, type Strategy } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';
import { type PairStatus, type PoolAddress, ResourcePool } from '../lease/resource-pool.ts';
import { seededRandom } from './seeded-random.ts';

const SMALL_POOL = 100;
const LARGE_POOL = 1_000_000;
const CYCLES = 100_000;
/** Runs of each measurement, of which the fastest counts. */
const RUNS = 5;
const SEED = 20_250_101;
/** Leases that are held at a time, so that grants and releases are of different addresses. */
const HELD = 20;

const WHERE: Where = { country: { in: ['US', 'CA', 'DE'] }, rpw: { lt: 1_000_000_000 } };
const FREE: PairStatus = { state: 'free', untilMs: Infinity, isEligible: true };
const LEASED: PairStatus = { state: 'leased', untilMs: 1, isEligible: false };

const FIRST_SEEN: Readonly<Record<string, (round: number) => Where>> = {
  'country in 3, rpw lt': (round) => ({ country: { in: ['US', 'CA', `X${round}`] }, rpw: { lt: 500 + round } }),
  'labels eq': (round) => ({ labels: { tier: { eq: 'gold' }, [`x${round}`]: { exists: false } } }),
  'resource_ids has': (round) => ({ resource_ids: { has: 7, has_none: [round + 100] } }),
  'address nin 1,000': (round) => ({
    address: { nin: Array.from({ length: 1_000 }, (_, index) => `http://10.0.${round}.${index}:80`) },
  }),
  'rpw in 1,000': (round) => ({ rpw: { in: Array.from({ length: 1_000 }, (_, index) => index + round) } }),
  'or of 3, not': (round) => ({
    or: [{ country: { eq: 'US' } }, { rpw: { gt: 900 - round } }, { not: { labels: { tier: { eq: 'gold' } } } }],
  }),
};

interface BenchAddress extends PoolAddress {
  rpw: number;
  leaseCount: number;
  lastToken: number;
}

interface BenchPool {
  readonly pool: ResourcePool<BenchAddress>;
  lastToken: number;
  turn: number;
}

const random = seededRandom(SEED);

function addressesOf(size: number): BenchAddress[] {
  return Array.from({ length: size }, (_, index) => {
    const id = index + 1;
    return {
      id,
      address: `http://user:secret@10.${id >>> 16}.${(id >>> 8) & 255}.${id & 255}:8080`,
      country: ['US', 'CA', 'DE', 'FR'][id % 4]!,
      rpw: Math.floor(random() * 1_000),
      resourceIds: id % 3 === 0 ? [7] : [7, 8],
      labels: { tier: id % 5 === 0 ? 'gold' : 'plain', rack: `r${id % 100}` },
      weight: 1 + (id % 3),
      leaseCount: 0,
      lastToken: 0,
    };
  });
}

function poolOf(addresses: readonly BenchAddress[]): BenchPool {
  const pool = new ResourcePool<BenchAddress>();
  for (const address of addresses) pool.set(address, FREE);
  return { pool, lastToken: 0, turn: 0 };
}

/** Milliseconds of `cycles` grants, each with the release of the lease that was granted HELD cycles before. */
function cyclesMs(bench: BenchPool, strategy: Strategy, cycles: number): number {
  const { pool } = bench;
  const held: BenchAddress[] = [];
  const startMs = performance.now();
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    bench.turn += 1;
    const condition = pool.condition(WHERE);
    const sticky = `collector ${cycle % 1_000}`;
    const [address] = condition.choose({ strategy, sticky, turn: bench.turn, random, count: 1 });
    bench.lastToken += 1;
    address!.rpw += 1;
    address!.leaseCount += 1;
    address!.lastToken = bench.lastToken;
    pool.setStatus(address!, LEASED);
    pool.usageChanged(address!);
    if (strategy === 'round_robin') condition.advance(address!);
    if (held.push(address!) > HELD) release(pool, held.shift()!);
  }
  const spentMs = performance.now() - startMs;
  for (const address of held) release(pool, address);
  return spentMs;
}

function release(pool: ResourcePool<BenchAddress>, address: BenchAddress): void {
  address.leaseCount -= 1;
  pool.usageChanged(address);
  pool.setStatus(address, FREE);
}

function fastest(measure: (run: number) => number): number {
  return Math.min(...Array.from({ length: RUNS }, (_, run) => measure(run)));
}

function firstSeenMs({ pool }: BenchPool, where: Where): number {
  const startMs = performance.now();
  pool.condition(where).choose({ strategy: 'round_robin', sticky: '', turn: 0, random, count: 1 });
  return performance.now() - startMs;
}

function onceMs({ pool }: BenchPool, strategy: Strategy): number {
  const startMs = performance.now();
  pool.condition(WHERE).choose({ strategy, sticky: 'collector', turn: 0, random, count: 1 });
  return performance.now() - startMs;
}

function print(...cells: readonly string[]): void {
  process.stdout.write(
    `${cells.map((cell, column) => (column === 0 ? cell.padEnd(24) : cell.padStart(14))).join('')}\n`,
  );
}

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const rows: { strategy: Strategy; smallNs: number; largeNs: number; firstMs: number }[] = [];
const [smallAddresses, largeAddresses] = [addressesOf(SMALL_POOL), addressesOf(LARGE_POOL)];

print(`seed ${SEED}`, `pool ${SMALL_POOL}`, `pool ${LARGE_POOL}`, 'ratio', 'first in large');
for (const strategy of STRATEGIES) {
  // A pool for each, so that none pays for the trees of another.
  const pools = [poolOf(smallAddresses), poolOf(largeAddresses)] as const;
  const firstMs = onceMs(pools[1], strategy);
  const [smallMs, largeMs] = pools.map((bench) => {
    cyclesMs(bench, strategy, CYCLES);
    return fastest(() => cyclesMs(bench, strategy, CYCLES));
  });
  const [smallNs, largeNs] = [smallMs!, largeMs!].map((ms) => (ms / CYCLES) * 1e6);
  rows.push({ strategy, smallNs: smallNs!, largeNs: largeNs!, firstMs });
  print(
    strategy,
    `${smallNs!.toFixed(0)} ns`,
    `${largeNs!.toFixed(0)} ns`,
    (largeNs! / smallNs!).toFixed(2),
    `${firstMs.toFixed(2)} ms`,
  );
}
const large = poolOf(largeAddresses);
print('first-seen condition', '', 'fastest', 'an address');
for (const [name, whereOf] of Object.entries(FIRST_SEEN)) {
  const ms = fastest((round) => firstSeenMs(large, whereOf(round)));
  print(name, '', `${ms.toFixed(2)} ms`, `${((ms * 1e6) / LARGE_POOL).toFixed(2)} ns`);
}
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(rows));
