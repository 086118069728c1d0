import { expect } from 'vitest';
import type { CoordinatorFrame, WelcomeFrame } from '../../protocol/frames.ts';
import { type CoordinatorProcess, dataFolder, samplePool, startCoordinator } from './coordinator-process.ts';
import { seededRandom } from './seeded-random.ts';
import { WireClient } from './wire-client.ts';

const COLLECTORS = 20;
const TTL_MS = 120_000;
const RESOURCES = [7, 8];

interface Told {
  readonly lease: number;
  readonly pair: string;
  /** The collector has asked for the release; whether it was taken is open until it is answered. */
  releaseSent: boolean;
  released: boolean;
}

/** Starts, loads, kills and starts again; what collectors were told must be so after each start. */
export async function killsUnderLoad(transport: string, kills: number): Promise<void> {
  const random = seededRandom(kills);
  const { dir, poolFile } = await dataFolder(samplePool(60, [7, 8]));
  const flags = ['--data-dir', dir, '--pool', poolFile, '--transport', transport, '--segment-bytes', '4194304'];
  let coordinator = await startCoordinator(flags);
  const load = new CrashLoad();
  await load.connect(coordinator, COLLECTORS);
  let toldBefore = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const running = load.runUntilClosed(random);
    await new Promise((resolve) => setTimeout(resolve, 200 + random() * 600));
    await coordinator.kill('SIGKILL');
    await running;
    expect(load.told.size).toBeGreaterThan(toldBefore);
    toldBefore = load.told.size;
    coordinator = await startCoordinator(flags);
    await load.resume(coordinator);
    await load.checkNextToken(coordinator);
  }
  await load.close();
  expect((await coordinator.kill('SIGTERM')).code).toBe(0);
}

/**
 * Collectors that acquire, renew and release as fast as they are answered, and remember only what they were told: the
 * checker that stands outside the coordinator.
 */
class CrashLoad {
  /** Every grant that any collector was told of. */
  readonly told = new Map<number, Told>();
  highestToken = 0;
  readonly #collectors: { welcome: WelcomeFrame; client: WireClient; readonly held: Set<number> }[] = [];

  async connect(coordinator: CoordinatorProcess, collectors: number): Promise<void> {
    for (let index = 0; index < collectors; index += 1) {
      const { client, welcome } = await WireClient.hello(coordinator.port);
      this.#collectors.push({ client, welcome, held: new Set() });
    }
  }

  /** Runs every collector until its socket closes, which it does when the coordinator is killed. */
  async runUntilClosed(random: () => number): Promise<void> {
    await Promise.all(this.#collectors.map((collector) => this.#collect(collector, random)));
  }

  /** Resumes every session and holds what the coordinator says of its leases against what the collectors were told. */
  async resume(coordinator: CoordinatorProcess): Promise<void> {
    for (const collector of this.#collectors) {
      const { session, secret } = collector.welcome;
      const { client, welcome } = await WireClient.hello(coordinator.port, { resume: { session, secret } });
      expect(welcome.resumed).toBe(true);
      expect(welcome.epoch).toBeGreaterThan(collector.welcome.epoch);
      const there = new Set(welcome.leases.map(({ lease }) => lease));
      for (const lease of collector.held) {
        const told = this.told.get(lease)!;
        if (!told.releaseSent) expect({ lease, there: there.has(lease) }).toEqual({ lease, there: true });
        if (told.released) expect({ lease, there: there.has(lease) }).toEqual({ lease, there: false });
      }
      for (const held of welcome.leases) {
        expect(held.ttl_ms).toBeLessThanOrEqual(TTL_MS);
        expect(held.ttl_ms).toBeGreaterThan(0);
        // A grant that was durable when its answer was lost is news to the collector.
        if (!this.told.has(held.lease)) this.#note(held);
      }
      collector.held.clear();
      for (const lease of there) collector.held.add(lease);
      Object.assign(collector, { client, welcome });
    }
    this.#checkExclusive();
  }

  /** The leases that the collectors hold now, and the next token must exceed every one ever told. */
  async checkNextToken(coordinator: CoordinatorProcess): Promise<void> {
    const { client } = await WireClient.hello(coordinator.port);
    for (const resource of RESOURCES) {
      const id = client.send({ type: 'acquire', resource, ttl_ms: 1_000 });
      const answer = await client.next((frame) => 'id' in frame && frame.id === id);
      if (answer.type === 'granted' && 'lease' in answer) {
        expect(answer.lease).toBeGreaterThan(this.highestToken);
        this.highestToken = answer.lease;
      }
    }
    await client.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.#collectors.map(({ client }) => client.close()));
  }

  async #collect(collector: { client: WireClient; readonly held: Set<number> }, random: () => number): Promise<void> {
    const { client, held } = collector;
    try {
      while (true) {
        const [oldest] = held;
        const resource = RESOURCES[Math.floor(random() * RESOURCES.length)]!;
        if (oldest !== undefined && (held.size > 5 || random() < 0.3)) {
          const told = this.told.get(oldest)!;
          told.releaseSent = true;
          await answerTo(client, { type: 'release', lease: oldest });
          told.released = true;
          held.delete(oldest);
        } else if (oldest !== undefined && random() < 0.2) {
          await answerTo(client, { type: 'renew', lease: oldest, ttl_ms: TTL_MS });
        } else {
          const answer = await answerTo(client, { type: 'acquire', resource, ttl_ms: TTL_MS });
          if (answer.type === 'granted' && 'lease' in answer) {
            this.#note(answer);
            held.add(answer.lease);
          }
        }
      }
    } catch (error) {
      if (!(error as Error).message.startsWith('closed while')) throw error;
    }
  }

  #note({ lease, resource, address }: { lease: number; resource: number; address: { address: string } }): void {
    expect(this.told.has(lease), `token ${lease} was granted twice`).toBe(false);
    this.told.set(lease, { lease, pair: `${address.address} for ${resource}`, releaseSent: false, released: false });
    this.highestToken = Math.max(this.highestToken, lease);
  }

  /** No two collectors hold one pair. */
  #checkExclusive(): void {
    const holders = new Map<string, number>();
    for (const { held } of this.#collectors) {
      for (const lease of held) {
        const { pair } = this.told.get(lease)!;
        expect(holders.get(pair), `${pair} is held twice`).toBeUndefined();
        holders.set(pair, lease);
      }
    }
  }
}

async function answerTo(client: WireClient, frame: Record<string, unknown>): Promise<CoordinatorFrame> {
  const id = client.send(frame);
  const answer = await client.next((it) => 'id' in it && it.id === id, 'an answer');
  if (answer.type === 'error') throw new Error(`unexpected ${JSON.stringify(answer)}`);
  return answer;
}
