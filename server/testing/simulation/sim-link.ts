import { type Codec, codecFor } from '../../../protocol/codec.ts';
import type { CollectorFrame, CoordinatorFrame, HelloFrame } from '../../../protocol/frames.ts';
import { parseCoordinatorFrame } from '../../../protocol/frames.ts';
import { COORDINATOR_VALUES_MAX } from '../../../protocol/limits.ts';
import type { Findings } from './findings.ts';
import type { ClientEnd, SimConnection, SimNetwork } from './sim-network.ts';
import type { SimProcess } from './sim-process.ts';
import type { Timeline } from './timeline.ts';

/** One frame in so many is held to its schema. */
const PARSE_EVERY = 16;

/** A frame as a client writes it; the link gives it its id. */
export type Asked = {
  [Type in CollectorFrame['type']]: Omit<Extract<CollectorFrame, { type: Type }>, 'id'>;
}[CollectorFrame['type']];

export interface Request {
  readonly id: number;
  readonly frame: Asked;
  readonly sentMs: number;
  /** It stands in line, and may be answered behind requests that came later. */
  isWaiting: boolean;
  /** It was sent on an earlier socket, and `welcome` says that it still stands in line. */
  isAdopted: boolean;
}

/** What answers each request, errors apart. */
const ANSWERS: Readonly<Record<CollectorFrame['type'], readonly CoordinatorFrame['type'][]>> = {
  hello: ['welcome'],
  acquire: ['granted', 'refused', 'queued'],
  explain: ['explained'],
  cancel: ['cancelled'],
  renew: ['renewed'],
  release: ['released'],
  report: ['reported'],
  count: ['counted'],
  ping: ['pong'],
  bye: [],
};

export interface LinkOwner {
  readonly process: SimProcess;
  /** Unique over the life of a session. */
  nextId(): number;
  opened(link: SimLink): void;
  answered(link: SimLink, request: Request, frame: CoordinatorFrame): void;
  pushed(link: SimLink, frame: CoordinatorFrame): void;
  /** Something has been heard. */
  heard(link: SimLink): void;
  closed(link: SimLink, code: number): void;
}

export interface LinkOptions {
  readonly network: SimNetwork;
  readonly timeline: Timeline;
  readonly findings: Findings;
  readonly owner: LinkOwner;
  readonly subprotocol: string;
}

/**
 * A client's end of one socket: numbers its requests, and holds each answer to exactly one of them, in their order.
 *
 *   connecting → connected → greeted (hello is sent) → open (welcome has come) → closed
 */
export class SimLink implements ClientEnd {
  readonly process: SimProcess;
  readonly connection: SimConnection;
  phase: 'connecting' | 'connected' | 'greeted' | 'open' | 'closed' = 'connecting';
  /** That `welcome` named. */
  session = '';
  /** Unanswered, in the order of sending. */
  readonly pending = new Map<number, Request>();
  isBatch = false;
  readonly #options: LinkOptions;
  readonly #codec: Codec;
  #frameCount = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.process = options.owner.process;
    this.#codec = codecFor(options.subprotocol);
    this.connection = options.network.connect(this, options.subprotocol);
  }

  hello(frame: Omit<HelloFrame, 'id'>): Request {
    this.phase = 'greeted';
    this.isBatch = frame.batch ?? false;
    return this.ask(frame);
  }

  ask(frame: Asked): Request {
    const request = this.#note(frame);
    this.connection.sendToServer(this.#codec.encode({ id: request.id, ...frame } as CollectorFrame));
    return request;
  }

  /** Several in one message; only where a batch was agreed on. */
  askAll(frames: readonly Asked[]): Request[] {
    const requests = frames.map((frame) => this.#note(frame));
    const numbered = requests.map(({ id, frame }) => ({ id, ...frame }) as CollectorFrame);
    this.connection.sendToServer(this.#codec.encode(numbered));
    return requests;
  }

  /** Whatever it is: it is answered by an error. */
  askNonsense(frame: object): void {
    const request = this.#note({ type: 'ping' });
    this.connection.sendToServer(this.#codec.encode({ ...frame, id: request.id } as CollectorFrame));
  }

  /** Asked on an earlier socket: it is answered on this one. */
  adopt(request: Request): void {
    request.isWaiting = true;
    request.isAdopted = true;
    this.pending.set(request.id, request);
  }

  /** No answer to it is to come any more. */
  forget(id: number): void {
    this.pending.delete(id);
  }

  close(code: number): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.connection.closeFromClient(code);
  }

  // ---- the socket's side

  opened(): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'connected';
    this.#options.owner.opened(this);
  }

  message(message: Uint8Array | string): void {
    const decoded = this.#codec.decode(message, COORDINATOR_VALUES_MAX);
    if (!decoded.ok) return this.#find(`no frame: ${decoded.message}`);
    this.#options.owner.heard(this);
    const frames = (Array.isArray(decoded.value) ? decoded.value : [decoded.value]) as CoordinatorFrame[];
    for (const frame of frames) this.#take(frame);
  }

  pinged(): void {
    this.#options.owner.heard(this);
  }

  closed(code: number): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.#options.owner.closed(this, code);
  }

  // ---- inside

  #note(frame: Asked): Request {
    const request = {
      id: this.#options.owner.nextId(),
      frame,
      sentMs: this.#options.timeline.nowMs,
      isWaiting: false,
      isAdopted: false,
    };
    if (frame.type !== 'bye') this.pending.set(request.id, request);
    return request;
  }

  #take(frame: CoordinatorFrame): void {
    this.#frameCount += 1;
    if (this.#frameCount % PARSE_EVERY === 0) {
      const parsed = parseCoordinatorFrame(frame);
      if (!parsed.ok) this.#find(parsed.fault.message);
    }
    const id = 'id' in frame ? frame.id : undefined;
    if (id === undefined) {
      if (this.phase === 'greeted' && frame.type !== 'error') this.#find(`${frame.type} comes before welcome`);
      return this.#options.owner.pushed(this, frame);
    }
    const request = this.pending.get(id);
    if (!request) return this.#find(`${frame.type} answers ${id}, which waits for no answer`);
    this.#mustFit(request, frame);
    this.#mustBeInTurn(request, frame);
    if (frame.type === 'queued') request.isWaiting = true;
    else this.pending.delete(id);
    if (frame.type === 'welcome') {
      this.phase = 'open';
      this.session = frame.session;
    }
    this.#options.owner.answered(this, request, frame);
  }

  #mustFit({ frame: { type } }: Request, frame: CoordinatorFrame): void {
    if (frame.type !== 'error' && !ANSWERS[type].includes(frame.type)) this.#find(`${type} is answered ${frame.type}`);
  }

  /** `overloaded` tells of no decision and may come ahead. */
  #mustBeInTurn(request: Request, frame: CoordinatorFrame): void {
    if (request.isWaiting || (frame.type === 'error' && frame.code === 'overloaded')) return;
    for (const earlier of this.pending.values()) {
      if (earlier === request) return;
      if (!earlier.isWaiting) return this.#find(`${request.id} is answered before ${earlier.id}`);
    }
  }

  #find(what: string): void {
    this.#options.findings.report('answers', `connection ${this.connection.id}, session ${this.session}: ${what}`);
  }
}
