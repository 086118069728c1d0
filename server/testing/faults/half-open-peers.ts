import type { Grant, WelcomeFrame } from '../../../protocol/frames.ts';
import { type CoordinatorProcess, samplePool } from '../coordinator-run.ts';
import { Random } from '../simulation/random.ts';
import { WireClient } from '../wire-client.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { held, messageOf } from './pauses.ts';
import { withCoordinator } from './with-coordinator.ts';

const HEARTBEAT_MS = 100;
const LONG_MS = 600_000;
const WAIT_MS = 9_000;
const RESUME_WINDOW_MS = 60_000;
const DROPPED = 'no sign of life: socket dropped';

/**
 * A peer neither reads nor answers any more, with its connection open: after two missed pongs it is dropped. Its session
 * ends, and who waited for its address has it; or, where it asked for a window, it is kept and can be resumed.
 */
export const halfOpenPeers: FaultRun = async ({ seed, cases, onProgress }) => {
  const random = new Random(seed);
  const flags = ['--heartbeat-ms', String(HEARTBEAT_MS)];
  const findings: string[] = [];
  let doneCount = 0;
  await withCoordinator({ pool: samplePool(1), flags }, async (coordinator) => {
    const { client: witness } = await WireClient.hello(coordinator.port);
    while (doneCount < cases && findings.length === 0) {
      const isKept = random.chance(0.5);
      const found = await vanished(coordinator, witness, isKept).catch(messageOf);
      if (found !== undefined) {
        findings.push(finding('half-open-peers', seed, `${isKept ? 'with' : 'without'} a window: ${found}`));
      }
      doneCount += 1;
      onProgress?.(doneCount);
    }
  });
  return { cases: doneCount, findings };
};

async function vanished(
  coordinator: CoordinatorProcess,
  witness: WireClient,
  isKept: boolean,
): Promise<string | undefined> {
  const dropsBefore = drops(coordinator);
  const window = isKept ? { resume_window_ms: RESUME_WINDOW_MS } : {};
  const { client: peer, welcome } = await WireClient.hello(coordinator.port, window);
  const { lease } = await held(peer, { ttl_ms: LONG_MS });
  const line = witness.send({ type: 'acquire', resource: 7, ttl_ms: LONG_MS, wait_ms: WAIT_MS });
  await witness.next((frame) => frame.type === 'queued' && frame.id === line, 'a place in line');
  peer.pause();
  const found = isKept ? await resumed(coordinator, welcome, lease, () => drops(coordinator) > dropsBefore) : undefined;
  if (found !== undefined) return found;
  // The place in line is served in the turn in which the session ends.
  const granted = await witness.next((frame) => frame.type === 'granted' && frame.id === line, 'the address');
  const { lease: next } = granted as unknown as Grant;
  await witness.request({ type: 'release', lease: next }, 'released');
  if (next <= lease) return `token ${next} follows ${lease}`;
  const dropped = drops(coordinator) - dropsBefore;
  await peer.terminate();
  return dropped === 1 ? undefined : `${dropped} sockets are dropped for one that doesn't answer`;
}

/** The session is dropped, and yet it is there with its lease; then it says goodbye. */
async function resumed(
  coordinator: CoordinatorProcess,
  { session, secret }: WelcomeFrame,
  lease: number,
  isDropped: () => boolean,
): Promise<string | undefined> {
  const endMs = performance.now() + WAIT_MS;
  while (!isDropped() && performance.now() < endMs)
    await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_MS / 4));
  if (!isDropped()) return `a peer that doesn't answer is not dropped in ${WAIT_MS} ms`;
  const { client, welcome } = await WireClient.hello(coordinator.port, { resume: { session, secret } });
  const isThere = welcome.resumed && welcome.leases.some((one) => one.lease === lease);
  await client.close();
  return isThere ? undefined : `resumed: ${welcome.resumed}, with ${JSON.stringify(welcome.leases)}`;
}

function drops({ output }: CoordinatorProcess): number {
  return output.filter((line) => line.includes(DROPPED)).length;
}
