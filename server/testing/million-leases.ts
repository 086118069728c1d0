/**
 * A data folder with very many live leases, made by the real domain through the real journal: what recovery and
 * snapshots are measured on. The same seed makes the same folder, but for ids and times.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Coordinator } from '../coordinator/coordinator.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { makeDataFolder, nodeDisk } from '../journal/disk.ts';
import { type Journal, openJournal } from '../journal/journal.ts';
import { NO_REST } from '../journal/snapshot-rotation.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from '../lease/commands.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import type { LeaseState } from '../lease/state.ts';
import { tokenFloorAt } from '../lease/token-floor.ts';
import { recoverFolder, snapshotInWorker } from '../replay.ts';
import { realScheduler } from './real-scheduler.ts';
import { seededRandom } from './seeded-random.ts';

/** How the leases lie over pool and sessions. */
export interface LeaseShape {
  readonly leases: number;
  readonly sessions: number;
  readonly resources: number;
  /** There are `addresses × resourcesEach` pairs; what the leases leave free is for a load beside them. */
  readonly addresses: number;
  readonly resourcesEach: number;
}

/** A thousand collectors with a thousand leases each; one pair in twenty is free. */
export const MILLION_LEASES: LeaseShape = {
  leases: 1_000_000,
  sessions: 1_000,
  resources: 50,
  addresses: 21_000,
  resourcesEach: 50,
};

/** No lease ends, and no session is given up, while anything is measured. */
const TTL_MIN_MS = 6 * 3_600_000;
const TTL_MAX_MS = 7 * 24 * 3_600_000;
const RESUME_WINDOW_MS = 24 * 3_600_000;
/** Snapshots are made where they are asked for, not by size. */
const SNAPSHOT_BYTES = 64 * 2 ** 30;
/** Commands under way: the next batch while one is on its way to the disk. */
const IN_FLIGHT = 1_000;
const SEED = 20_250_101;
const COUNTRIES = ['US', 'CA', 'DE', 'FR'];

type Leases = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

/** One run over a data folder, without sockets. Nobody else may have the folder meanwhile. */
export class LeaseFolder {
  readonly #shape: LeaseShape;
  readonly #state: LeaseState;
  readonly #coordinator: Coordinator;
  readonly #journal: Journal;
  readonly #leases: Leases;
  readonly #random = seededRandom(SEED);

  static async open(dir: string, shape: LeaseShape): Promise<LeaseFolder> {
    await makeDataFolder(nodeDisk, dir);
    const { replica, recovered } = await recoverFolder(dir);
    const startMs = performance.now();
    const clock = { nowMs: () => recovered.clockMs + performance.now() - startMs, utcMs: () => Date.now() };
    const epoch = recovered.epoch + 1;
    const journal = await openJournal({
      disk: nodeDisk,
      dir,
      recovered,
      epoch,
      randomBytes,
      clock,
      scheduler: realScheduler,
      log: { info: () => undefined, warn: (fields, message) => fail({ message, fields }) },
      snapshotBytes: SNAPSHOT_BYTES,
      takeSnapshot: (request) => snapshotInWorker(dir, { ...request, hurryPercent: Int32Array.of(NO_REST) }),
    });
    const coordinator = new Coordinator({
      replica,
      log: journal,
      position: recovered.position,
      epoch,
      clock,
      scheduler: realScheduler,
      random: Math.random,
      onFailure: fail,
    });
    const folder = new LeaseFolder(shape, replica.state(leaseDomain.name) as LeaseState, coordinator, journal);
    await folder.#execute({
      type: 'StartEpoch',
      epoch,
      tokenFloor: tokenFloorAt(clock.utcMs())!,
      suspendMs: RESUME_WINDOW_MS,
    });
    return folder;
  }

  private constructor(shape: LeaseShape, state: LeaseState, coordinator: Coordinator, journal: Journal) {
    this.#shape = shape;
    this.#state = state;
    this.#coordinator = coordinator;
    this.#journal = journal;
    this.#leases = coordinator.mount(leaseDomain);
  }

  get leaseCount(): number {
    return this.#state.leases.size;
  }

  /** Imports the pool, opens the sessions and grants every lease. */
  async fill(onProgress: (leases: number) => void): Promise<void> {
    const { leases, sessions, resources } = this.#shape;
    const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: TTL_MAX_MS };
    await this.#execute({ type: 'Configure', defaultPolicy, policies: new Map() });
    await this.#execute({ type: 'ImportPool', records: poolRecords(this.#shape), replace: false });
    for (let index = 0; index < sessions; index += 1) {
      await this.#execute({
        type: 'OpenSession',
        session: sessionId(index),
        secretHash: sha256(`secret of ${index}`),
        client: `collector ${index}`,
        resumeWindowMs: RESUME_WINDOW_MS,
        sessionsMax: sessions,
      });
    }
    await this.#inFlight(leases, onProgress, (index) => this.#acquire(index, 1 + (index % resources)));
  }

  /** Renews, reports, releases and grants until the deltas have grown by `bytes` of events; the leases stay as many. */
  async churn(bytes: number, onProgress: (leases: number) => void): Promise<void> {
    const tokens = Array.from(this.#state.leases.keys());
    const { sessions, resources } = this.#shape;
    const rounds = Math.ceil(bytes / CHURN_ROUND_BYTES);
    await this.#inFlight(rounds, onProgress, async (index) => {
      const place = Math.floor(this.#random() * tokens.length);
      const lease = tokens[place]!;
      // It is being replaced by a round that is under way.
      if (lease === 0) return;
      tokens[place] = 0;
      const { holder } = this.#state.leases.get(lease)!;
      const ttlMs = this.#ttlMs();
      await this.#execute({ type: 'RenewLeases', holder, leases: [lease], ttlMs });
      await this.#execute({ type: 'ReleaseLease', holder, lease, outcome: 'ok', requests: 7 });
      tokens[place] = await this.#acquire(index % sessions, 1 + (index % resources));
    });
  }

  /** Makes a snapshot of all that there is, as the running coordinator does. */
  snapshot(): Promise<void> {
    return this.#journal.snapshotNow();
  }

  /** A clean stop. */
  async close(): Promise<void> {
    await this.#coordinator.stop();
    await this.#journal.close();
  }

  async #acquire(index: number, resource: number): Promise<number> {
    const holder = { kind: 'session', session: sessionId(index % this.#shape.sessions) } as const;
    const command = { type: 'AcquireLease', holder, resource, ttlMs: this.#ttlMs(), request: index } as const;
    const answer = await this.#execute(command);
    if (answer.type !== 'granted') throw new Error(`acquire ${index} is ${answer.type}`);
    return answer.grants[0]!.lease;
  }

  #ttlMs(): number {
    return Math.floor(TTL_MIN_MS + this.#random() * (TTL_MAX_MS - TTL_MIN_MS));
  }

  #execute<Type extends LeaseCommand['type']>(
    command: Extract<LeaseCommand, { readonly type: Type }>,
  ): Promise<LeaseAnswers[Type]> {
    return new Promise((done) => this.#leases.execute(command, (answer) => done(answer as LeaseAnswers[Type])));
  }

  /** Does `step` so many times, IN_FLIGHT at a time. */
  async #inFlight(
    count: number,
    onProgress: (leases: number) => void,
    step: (index: number) => Promise<unknown>,
  ): Promise<void> {
    let next = 0;
    const lane = async () => {
      while (next < count) {
        const index = next;
        next += 1;
        if (index % PROGRESS_STEPS === 0) onProgress(this.leaseCount);
        await step(index);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  }
}

const PROGRESS_STEPS = 100_000;
/** What the events of one renewal, release with report and grant come to, padding aside. */
const CHURN_ROUND_BYTES = 300;

export function sessionId(index: number): string {
  return sha256(`session ${index}`).slice(0, 22);
}

export function poolRecords({ addresses, resources, resourcesEach }: LeaseShape) {
  return Array.from({ length: addresses }, (_, index) => ({
    address: `http://user${index}:secret@10.${index >>> 16}.${(index >>> 8) & 255}.${index & 255}:8080`,
    country: COUNTRIES[index % COUNTRIES.length]!,
    rpw: index % 1_000,
    resource_ids: Array.from({ length: resourcesEach }, (__, nth) => 1 + ((index * resourcesEach + nth) % resources)),
  }));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function fail(what: object): never {
  throw new Error(JSON.stringify(what));
}
