import type { LeaseCommand } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { LeaseState } from '../../lease/state.ts';
import type { Findings } from './findings.ts';
import type { History } from './history.ts';
import type { SimConnection, SimNetwork } from './sim-network.ts';
import { DUE_LATE_MS, type Run } from './sim-server.ts';
import { checkTouched, checkTurn } from './state-checks.ts';
import type { Tally } from './trace.ts';
import { checkVerdict } from './verdicts.ts';
import type { Decided, Watcher } from './watched-domain.ts';

/** What takes room on the disk, and more when it ends. */
const BEGINNINGS: ReadonlySet<LeaseEvent['type']> = new Set([
  'LeaseGranted',
  'AcquireQueued',
  'SessionOpened',
  'PoolStaged',
]);

export interface OnlookerOptions {
  readonly network: SimNetwork;
  readonly history: History;
  readonly findings: Findings;
  readonly tally: Tally;
  /** The process that is up, if one is. */
  readonly run: () => Run | undefined;
}

/** Looks on as the coordinator decides, and holds each decision and each turn to what has happened before. */
export class Onlooker implements Watcher {
  readonly #options: OnlookerOptions;
  /** Which connection speaks for a session, by the decision on its `hello`. */
  readonly #carriers = new Map<string, SimConnection>();
  readonly #superseded = new WeakSet<SimConnection>();

  constructor(options: OnlookerOptions) {
    this.#options = options;
  }

  deciding(command: LeaseCommand): void {
    const { network, findings } = this.#options;
    const { delivering } = network;
    if (!delivering || !this.#superseded.has(delivering)) return;
    findings.report('sessions', `${command.type} is decided for connection ${delivering.id}, which is superseded`);
  }

  decided(decided: Decided): void {
    checkVerdict(decided, this.#options.history, this.#options.findings);
  }

  applying(event: LeaseEvent, { state, command, nowMs, number }: Decided, durableCount: number): void {
    const { history, tally, network, run } = this.#options;
    const position = run()!.coordinator.position + durableCount;
    history.applying(event, { state, command, position, decision: number, nowMs });
    this.#mustHaveRoom(event, state);
    if ('end' in event) tally.count(event.type, event.end);
    else tally.count(event.type);
    // Who says goodbye isn't kept, however the socket is closed then.
    if (event.type === 'SessionEnded' && command.type === 'EndSession') this.#carriers.delete(event.session);
    if (event.type !== 'SessionOpened' && event.type !== 'SessionResumed') return;
    const { delivering } = network;
    const older = this.#carriers.get(event.session);
    if (older) this.#superseded.add(older);
    if (delivering) this.#carriers.set(event.session, delivering);
  }

  /** On a disk that is nearly full nothing new begins, and on one that is nearly used up nothing is prolonged. */
  #mustHaveRoom(event: LeaseEvent, { storage, resources }: LeaseState): void {
    const { history, findings } = this.#options;
    if (event.type === 'StorageChanged') for (const id of resources.keys()) history.touched.add(id);
    const isNew = BEGINNINGS.has(event.type) && storage !== 'ample';
    if (isNew || (event.type === 'LeaseRenewed' && storage === 'least')) {
      findings.report('storage', `${event.type} while the room on the disk is ${storage}`);
    }
  }

  /** The coordinator has done all that it had to do, but for what a timer that is late is about to bring. */
  turnOver(): void {
    const { history, findings, run } = this.#options;
    const { state, clock } = run() ?? {};
    if (!state || !clock) return;
    checkTurn(state, history, findings, history.touched, clock.nowMs() - DUE_LATE_MS);
    checkTouched(state, history, findings);
  }

  /** The coordinator closes the socket, and says: come back. */
  sentAway(connection: SimConnection): void {
    for (const [session, carrier] of this.#carriers) {
      if (carrier === connection) this.#options.history.sessions.sentAway(session);
    }
  }

  /** The process is gone, and all its connections. */
  died(): void {
    this.#carriers.clear();
  }
}
