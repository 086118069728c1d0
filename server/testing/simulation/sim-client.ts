import type { CoordinatorFrame, HelloFrame, WelcomeFrame } from '../../../protocol/frames.ts';
import type { Findings } from './findings.ts';
import type { Random } from './random.ts';
import { Acquires } from './sim-acquires.ts';
import { Beliefs } from './sim-beliefs.ts';
import { type Asked, type LinkOwner, type Request, SimLink } from './sim-link.ts';
import type { SimNetwork } from './sim-network.ts';
import { SimProcess } from './sim-process.ts';
import { SimReader } from './sim-reader.ts';
import { clockRate, type Settings } from './sim-settings.ts';
import type { Timeline } from './timeline.ts';
import type { Told } from './told.ts';
import type { Tally } from './trace.ts';

/** Sockets given up for a newer one, on which something may still be sent. */
const OLDER_LINKS_MAX = 3;
/** Share of the warnings that make a client renew. */
const RENEW_ON_WARNING = 0.4;
/** Share of the resumes after which what may have been lost is asked again, by its key. */
const REPEAT_ON_RESUME = 0.5;
/** Now and then somebody comes with the id of another's session and a guess. */
const GUESS_CHANCE = 0.03;
const GUESSED_SECRET = 'guessed';

export interface ClientOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly settings: Settings;
  readonly findings: Findings;
  readonly told: Told;
  readonly tally: Tally;
}

interface Credentials {
  readonly session: string;
  readonly secret: string;
}

/**
 * A collector as PROTOCOL.md has it, and nothing else: what it believes follows from what it was told and its own clock
 * alone. What it does, and when, the operations say.
 */
export class SimClient implements LinkOwner {
  process: SimProcess;
  /** The socket that speaks for the session now. */
  link: SimLink | undefined;
  readonly beliefs: Beliefs;
  readonly acquires: Acquires;
  readonly #options: ClientOptions;
  readonly #reader: SimReader;
  readonly #clockRate: number;
  #older: SimLink[] = [];
  #credentials: Credentials | undefined;
  #lastId = 0;
  #heardMs = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.process = new SimProcess(options.timeline);
    const find = (what: string) => this.#find(what);
    const { timeline, told } = options;
    this.acquires = new Acquires(find);
    this.beliefs = new Beliefs({ timeline, told, acquires: this.acquires, find });
    const { beliefs, acquires } = this;
    this.#clockRate = clockRate(options.random);
    this.#reader = new SimReader({ ...options, beliefs, acquires, clockRate: this.#clockRate, find });
  }

  get isOpen(): boolean {
    return this.link?.phase === 'open';
  }

  get olderLinks(): readonly SimLink[] {
    return this.#older;
  }

  /** Nothing at all for two heartbeats: the coordinator has dropped it, as it must think. */
  get isDeaf(): boolean {
    const silentMs = (this.#options.timeline.nowMs - this.#heardMs) * this.#clockRate;
    return this.link !== undefined && silentMs > 2 * this.#options.settings.heartbeatMs;
  }

  // ---- what it does

  /** A new socket; one that is open already is given up for it. */
  connect(): void {
    const { network, timeline, findings, random } = this.#options;
    if (this.link) this.#giveUp(this.link);
    this.#heardMs = timeline.nowMs;
    const subprotocol = random.chance(0.5) ? 'leasehold.v1.msgpack' : 'leasehold.v1.json';
    this.link = new SimLink({ network, timeline, findings, owner: this, subprotocol });
  }

  ask(frame: Asked): void {
    this.#asked(this.link!.ask(frame));
  }

  askAll(frames: readonly Asked[]): void {
    for (const request of this.link!.askAll(frames)) this.#asked(request);
  }

  /** On a socket that it has given up for a newer one. */
  askOn(older: SimLink, frame: Asked): void {
    const request = older.ask(frame);
    this.#asked(request);
    this.acquires.unanswered(request);
  }

  /** Hands everything back, by `bye` or by closing. */
  leave(how: 'bye' | 'close'): void {
    const { link } = this;
    this.#forgetSession();
    this.link = undefined;
    if (how === 'close') link?.close(1000);
    else link?.ask({ type: 'bye' });
  }

  /** Gives the socket up without a word of why. */
  drop(): void {
    const { link } = this;
    this.link = undefined;
    if (!link) return;
    this.acquires.lost(link);
    link.close(1006);
  }

  /** It dies and forgets all; `isSilent`: so does its machine. */
  crash(isSilent: boolean): void {
    const { network, timeline } = this.#options;
    this.process.kill();
    network.processDied(this.process, isSilent);
    this.process = new SimProcess(timeline);
    this.#forgetSession();
    this.link = undefined;
    this.#older = [];
  }

  // ---- the link's side

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  opened(link: SimLink): void {
    const { random, settings, told } = this.#options;
    if (link !== this.link) return;
    const isGuess = told.sessions.length > 0 && random.chance(GUESS_CHANCE);
    if (isGuess || random.chance(0.1)) this.#forgetSession();
    const credentials = isGuess ? { session: random.pick(told.sessions), secret: GUESSED_SECRET } : this.#credentials;
    const windowMs = Math.ceil(random.magnitude(0.05, 2) * settings.resumeWindowMaxMs);
    const hello: Omit<HelloFrame, 'id'> = {
      type: 'hello',
      protocol: 1,
      ...(random.chance(0.6) ? { resume_window_ms: windowMs } : {}),
      ...(random.chance(0.3) ? { notice_ms: random.below(settings.ttlMs) } : {}),
      ...(random.chance(0.3) ? { batch: true } : {}),
      ...(credentials ? { resume: credentials } : {}),
    };
    link.hello(hello);
  }

  heard(link: SimLink): void {
    if (link === this.link) this.#heardMs = this.#options.timeline.nowMs;
  }

  closed(link: SimLink, code: number): void {
    this.#options.tally.count(`closed with ${code}`);
    this.#older = this.#older.filter((older) => older !== link);
    if (link !== this.link) return;
    this.acquires.lost(link);
    this.link = undefined;
  }

  pushed(link: SimLink, frame: CoordinatorFrame): void {
    const { random, tally } = this.#options;
    tally.count('substitute' in frame ? `${frame.type}, substitute` : frame.type);
    const isCurrent = link === this.link;
    this.#reader.pushed(link, frame, isCurrent);
    if (frame.type !== 'expiring' || !isCurrent || !this.beliefs.held.has(frame.lease)) return;
    if (random.chance(RENEW_ON_WARNING)) this.ask({ type: 'renew', lease: frame.lease });
  }

  answered(link: SimLink, request: Request, frame: CoordinatorFrame): void {
    const isCurrent = link === this.link;
    count(this.#options.tally, request, frame);
    if (frame.type !== 'welcome') return this.#reader.answered(link, request, frame, isCurrent);
    if (isCurrent) this.#welcomed(link, request, frame);
  }

  // ---- inside

  #asked(request: Request): void {
    this.acquires.asked(request);
    this.beliefs.asked(request.frame);
  }

  #welcomed(link: SimLink, request: Request, welcome: WelcomeFrame): void {
    const { told, random } = this.#options;
    const { resume } = request.frame as HelloFrame;
    const { session, secret, resumed } = welcome;
    if (secret === GUESSED_SECRET) this.#find('a session is resumed without its secret');
    if (resume && !resumed) {
      if (resume.secret !== GUESSED_SECRET) told.sessionGone(resume.session);
      this.#forgetSession();
    }
    this.#credentials = { session, secret };
    this.#reader.welcomed(link, request, welcome);
    if (!resumed || !random.chance(REPEAT_ON_RESUME)) return;
    for (const { frame } of this.acquires.keyed.slice(-1)) this.ask(frame);
  }

  #giveUp(link: SimLink): void {
    this.acquires.lost(link);
    this.#older.push(link);
    if (this.#older.length > OLDER_LINKS_MAX) this.#older.shift()?.close(1006);
  }

  #forgetSession(): void {
    this.#credentials = undefined;
    this.beliefs.clear();
    this.acquires.clear();
  }

  #find(what: string): void {
    this.#options.findings.report('answers', `session ${this.#credentials?.session ?? 'unknown'}: ${what}`);
  }
}

function count(tally: Tally, { frame: asked, isWaiting }: Request, frame: CoordinatorFrame): void {
  switch (frame.type) {
    case 'welcome':
      return tally.count('resume' in asked ? `welcome, resumed: ${frame.resumed}` : 'welcome');
    case 'error':
      return tally.count(asked.type === 'acquire' ? 'acquire, error' : 'error', frame.code);
    case 'granted':
      return tally.count(`granted${isWaiting ? ', late' : ''}${'leases' in frame ? ', many' : ''}`);
    case 'refused':
      return tally.count('refused', frame.reason);
    case 'explained':
      return tally.count('explained', frame.would);
    case 'cancelled':
      return tally.count('lease' in frame || 'leases' in frame ? 'cancelled, released' : 'cancelled');
    default:
      return tally.count(frame.type);
  }
}
