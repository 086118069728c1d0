import { setTimeout as sleep } from 'node:timers/promises';
import type { CoordinatorFrame, Grant } from '../../../protocol/frames.ts';
import { type CoordinatorProcess, samplePool } from '../coordinator-run.ts';
import { Random } from '../simulation/random.ts';
import { WireClient } from '../wire-client.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { withCoordinator } from './with-coordinator.ts';

const TTL_MS = 300;
/** Longer than three of them, so that a pause is long by any measure. */
const PAUSE_MAX_MS = 1_000;
const HEARTBEAT_MS = 200;
const LONG_MS = 600_000;

/** A lease as its holder knows it: by the client's own monotonic clock, when it was asked for and when it was told. */
export interface HeldLease {
  readonly lease: number;
  readonly askedMs: number;
  readonly toldMs: number;
}

export async function held(client: WireClient, fields: object = {}): Promise<HeldLease> {
  const askedMs = performance.now();
  const grant = await client.request({ type: 'acquire', resource: 7, ttl_ms: TTL_MS, ...fields }, 'granted');
  return { lease: (grant as unknown as Grant).lease, askedMs, toldMs: performance.now() };
}

/** Its end, as it came: none may come before the holder's own deadline. */
export async function expiredEarly(client: WireClient, { lease, askedMs }: HeldLease): Promise<string | undefined> {
  await client.next((frame) => frame.type === 'expired' && frame.lease === lease, 'expired');
  const afterMs = performance.now() - askedMs;
  return afterMs < TTL_MS ? `lease ${lease} is ended after ${afterMs} ms` : undefined;
}

/**
 * Past its deadline by any clock a lease is live for nobody. It was decided on before it was told, so whatever is asked a
 * TTL after that is asked too late.
 */
export async function livesOn(client: WireClient, { lease, toldMs }: HeldLease): Promise<string | undefined> {
  const leftMs = toldMs + TTL_MS - performance.now();
  if (leftMs > 0) await sleep(Math.ceil(leftMs));
  const id = client.send({ type: 'renew', lease });
  const answer = await answerTo(client, id);
  if (answer.type === 'error' && answer.code === 'lease_lost') return undefined;
  return `lease ${lease} is past its deadline, and a renew is answered ${JSON.stringify(answer)}`;
}

export function answerTo(client: WireClient, id: number): Promise<CoordinatorFrame> {
  return client.next((frame) => 'id' in frame && frame.id === id, `answer to ${id}`);
}

/** The process stands still, between a third of a TTL and three of them, and goes on. */
export const pauses: FaultRun = async ({ seed, cases, onProgress }) => {
  const random = new Random(seed);
  const flags = ['--heartbeat-ms', String(HEARTBEAT_MS)];
  const findings: string[] = [];
  let doneCount = 0;
  await withCoordinator({ pool: samplePool(3), flags }, async (coordinator) => {
    const { client: holder } = await WireClient.hello(coordinator.port);
    const { client: other } = await WireClient.hello(coordinator.port);
    const kept = await held(other, { ttl_ms: LONG_MS });
    while (doneCount < cases && findings.length === 0) {
      const pauseMs = random.between(TTL_MS / 3, PAUSE_MAX_MS);
      const found = await paused(coordinator, { holder, other, kept: kept.lease }, pauseMs).catch(messageOf);
      if (found !== undefined) findings.push(finding('pauses', seed, `${Math.round(pauseMs)} ms: ${found}`));
      doneCount += 1;
      onProgress?.(doneCount);
    }
  });
  return { cases: doneCount, findings };
};

interface Sessions {
  readonly holder: WireClient;
  readonly other: WireClient;
  /** Of the other one, for a long time. */
  readonly kept: number;
}

async function paused(
  coordinator: CoordinatorProcess,
  { holder, other, kept }: Sessions,
  pauseMs: number,
): Promise<string | undefined> {
  const short = await held(holder);
  void coordinator.kill('SIGSTOP');
  await sleep(pauseMs);
  // What is asked meanwhile is there to be read when the process wakes, before any timer of it.
  const askedMs = performance.now();
  const renewal = holder.send({ type: 'renew', lease: short.lease });
  void coordinator.kill('SIGCONT');
  const answer = await answerTo(holder, renewal);
  const isPast = askedMs > short.toldMs + TTL_MS;
  const isBefore = performance.now() < short.askedMs + TTL_MS;
  if (isPast && answer.type === 'renewed') return `lease ${short.lease} is renewed past its deadline`;
  if (isBefore && answer.type !== 'renewed') return `a renew in time is answered ${JSON.stringify(answer)}`;
  if (answer.type === 'renewed') await holder.request({ type: 'release', lease: short.lease }, 'released');
  else {
    const early = await expiredEarly(holder, short);
    if (early !== undefined) return early;
  }
  // The pause is nobody's fault: both sessions go on, with what they hold, on the sockets that they have.
  await holder.request({ type: 'ping' }, 'pong');
  await other.request({ type: 'renew', lease: kept }, 'renewed');
  return undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
