import { type Codec, codecFor, exceedsFrameBytes, msgpackCodec } from '../../protocol/codec.ts';
import { CLOSE } from '../../protocol/codes.ts';
import { readFrames } from '../../protocol/frame-reader.ts';
import {
  type CollectorFrame,
  type CoordinatorFrame,
  type FrameFault,
  type HelloFrame,
  parseCollectorFrame,
} from '../../protocol/frames.ts';
import { BATCH_FRAMES_MAX, FRAME_BYTES_MAX, PROTOCOL_VERSION } from '../../protocol/limits.ts';
import type { Caller } from '../clients/access.ts';
import type { Rejected } from '../lease/commands.ts';
import { FrameHandler } from './frame-handler.ts';
import { Inbox, weightOf } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { errorFrame, overloaded, unauthorized } from './outgoing-frames.ts';
import type { SessionHub } from './session-hub.ts';
import type { Socket, SocketHandlers } from './socket.ts';

/** Faulty frames in a row until the socket is closed. */
const FAULTS_MAX = 64;
/** Frames of one socket that may be unanswered; a peer that sends more without waiting is closed. */
const UNANSWERED_MAX = 16_384;
/** Weight of the frames of one socket in one turn of the loop: what is beyond it waits until others have had theirs. */
const TURN_WEIGHT_MAX = 64;
/** Pings without any sign of life until the socket is dropped. */
const MISSED_PONGS_MAX = 2;

/**
 * One socket from its opening to its end: what is said before there is a session, and to which session it belongs.
 *
 *   silent → greeting (hello is decided) → open (welcome has left) → leaving (nothing more is taken) → ended
 */
export class Connection implements SocketHandlers {
  readonly #hub: SessionHub;
  readonly #socket: Socket;
  readonly #codec: Codec;
  #phase: 'silent' | 'greeting' | 'open' | 'leaving' | 'ended' = 'silent';
  /** Who is behind it: known with the upgrade where it came with a key, with `hello` in any case. */
  #caller: Caller | undefined;
  /** Set with the decision on `hello`; from then on frames are taken. */
  #handler: FrameHandler | undefined;
  #isBatch = false;
  readonly #outbox: Outbox;
  /** Absent until something has to wait: most sockets never have one. */
  #inbox: Inbox | undefined;
  /** What was done in the turn `#workedTurn`. */
  #weight = 0;
  #workedTurn = -1;
  /** The socket is closed, and what came before that is still to be done. */
  #closeCode: number | undefined;
  #unanswered = 0;
  #faults = 0;
  #missedPongs = 0;
  #cancelHelloTimer: () => void;

  constructor(hub: SessionHub, socket: Socket) {
    this.#hub = hub;
    this.#socket = socket;
    this.#codec = codecFor(socket.subprotocol);
    this.#outbox = new Outbox(socket, this.#codec, hub.limits.outboxBytesMax);
    this.#caller = socket.caller;
    this.#cancelHelloTimer = hub.scheduler.setTimer(hub.limits.helloTimeoutMs, () => {
      // After a pause of the process the timer comes before a hello that has long been there to be read.
      hub.scheduler.defer(() => {
        if (this.#phase === 'silent') this.end(CLOSE.helloTimeout, 'no hello in time');
      });
    });
  }

  get session(): string | undefined {
    return this.#handler?.session;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  get caller(): Caller | undefined {
    return this.#caller;
  }

  get isEnded(): boolean {
    return this.#phase === 'ended';
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount();
  }

  // ---- the socket's side

  message(message: Uint8Array | string): void {
    if (this.#isOver) return;
    this.#missedPongs = 0;
    if (!this.#hasWork && this.#mayWork()) this.#receive(message);
    else if (!this.#openInbox().push(message)) return this.end(CLOSE.overloaded, 'too much waits to be read');
    if (this.#hasWork) this.#hub.workLater(this);
  }

  #receive(message: Uint8Array | string): void {
    if (this.#codec === msgpackCodec && typeof message !== 'string') {
      const read = readFrames(message);
      if (read) return Array.isArray(read) ? this.#takeArray(read, true) : this.#takeChecked(read);
    }
    const decoded = this.#codec.decode(message);
    if (!decoded.ok) return this.#refuseBytes(decoded.message);
    if (Array.isArray(decoded.value)) return this.#takeArray(decoded.value, false);
    if (exceedsFrameBytes(message)) {
      const text = `a frame of ${message.length} bytes, ${FRAME_BYTES_MAX} at most`;
      return this.#fault({ code: 'bad_frame', message: text, ...idOf(decoded.value) });
    }
    this.#take(decoded.value);
  }

  pong(): void {
    this.#missedPongs = 0;
  }

  drain(): void {
    this.#outbox.drained();
  }

  close(code: number): void {
    this.#closeCode = code;
    // What was sent before the close is taken first: a release, say.
    if (!this.#isOver && this.#hasWork) return;
    this.#closed(code);
  }

  #closed(code: number): void {
    if (this.#phase !== 'ended') this.#finish(code === CLOSE.normal ? 'bye' : 'dropped');
    this.#hub.forget(this);
  }

  // ---- the hub's side

  /** A new turn: goes on with what the last one left. */
  work(): void {
    if (this.#inbox) this.#workOff(this.#inbox);
    if (!this.#isOver && this.#hasWork) this.#hub.workLater(this);
    else if (this.#closeCode !== undefined) this.#closed(this.#closeCode);
  }

  /** Pings, or drops a peer that has shown no sign of life for two pings. */
  heartbeat(): void {
    if (this.#phase === 'ended' || this.#closeCode !== undefined) return;
    if (this.#missedPongs >= MISSED_PONGS_MAX) {
      const { session, remoteAddress } = this;
      this.#hub.log.info({ session, remoteAddress }, 'no sign of life: socket dropped');
      this.#finish('dropped');
      this.#socket.terminate();
      return;
    }
    this.#missedPongs += 1;
    this.#socket.ping();
  }

  /** Frames on the session, which begin with `welcome`: before it nothing leaves but errors. */
  push(frame: CoordinatorFrame): void {
    if (this.#phase === 'open') this.#deliver(frame);
  }

  /** The answer to a frame that the peer sent. */
  send(frame: CoordinatorFrame): void {
    this.#unanswered -= 1;
    this.#deliver(frame);
  }

  #deliver(frame: CoordinatorFrame): void {
    if (this.#phase === 'ended') return;
    if (frame.type === 'error') this.#countError(frame.code);
    if (frame.type === 'welcome') this.#phase = 'open';
    else if (this.#isBatch && this.#phase !== 'silent' && this.#phase !== 'greeting') {
      if (this.#outbox.hold(frame)) this.#hub.flushLater(this);
      return;
    }
    if (this.#closeCode === undefined && !this.#outbox.send(frame)) this.#endSlow();
  }

  #countError(code: string): void {
    const { metrics } = this.#hub;
    metrics.errorSent(code);
    if (code === 'rate_limited') metrics.rateLimited('ws');
  }

  /** Sends the group of frames that left the coordinator together, as one message or a few. */
  flush(): void {
    if (this.#closeCode !== undefined) this.#outbox.clear();
    else if (!this.#outbox.flush()) this.#endSlow();
  }

  #endSlow(): void {
    this.end(CLOSE.slowReader, 'the peer reads too slowly');
  }

  /** The coordinator closes: with a code up to 4499 the session is kept for its holder to come back. */
  end(code: number, reason: string): void {
    if (this.#phase === 'ended') return;
    if (code !== CLOSE.normal && code !== CLOSE.goingAway) {
      const { session, remoteAddress } = this;
      this.#hub.log.info({ session, remoteAddress, code }, `socket closed: ${reason}`);
    }
    this.flush();
    this.#finish(code === CLOSE.normal ? 'bye' : code < 4500 ? 'suspended' : 'dropped');
    if (this.#closeCode === undefined) this.#socket.close(code, reason);
    else this.#hub.forget(this);
  }

  /** The collector hands everything back and goes: closed once that is durable, behind all its answers. */
  bye(): void {
    this.#phase = 'leaving';
    if (this.#handler) this.#hub.sayBye(this.#handler.session, () => this.end(CLOSE.normal, 'bye'));
  }

  /** A newer socket carries the session: nothing of this one is taken any more, and the session goes on. */
  supersede(): void {
    this.#handler = undefined;
    this.#phase = 'leaving';
    // The close tells of the resume, so it waits like any output until that is durable.
    this.#hub.inOrder(() => this.end(CLOSE.superseded, 'the session was resumed on a newer socket'), undefined);
  }

  // ---- inside

  #take(value: unknown): void {
    const parsed = parseCollectorFrame(value);
    if (parsed.ok) return this.#takeChecked(parsed.frame);
    const { fault } = parsed;
    this.#weight += weightOf(value);
    if (fault.code === 'bad_frame') this.#refuseBytes(fault.message);
    else this.#fault(fault);
  }

  #takeChecked(frame: CollectorFrame): void {
    this.#weight += weightOf(frame);
    this.#faults = 0;
    if (this.#isTooMuch()) return;
    if (this.#handler) {
      if (frame.type === 'hello') {
        return this.#fault({ code: 'bad_frame', message: 'hello: the session is open', id: frame.id });
      }
      return this.#handler.handle(frame);
    }
    if (frame.type === 'hello') return this.#greet(frame);
    this.#sendError({ code: 'bad_frame', message: 'hello comes first', ...idOf(frame) });
    this.end(CLOSE.helloExpected, 'hello comes first');
  }

  /** `areChecked`: they are frames as the schemas have them. */
  #takeArray(values: readonly unknown[], areChecked: boolean): void {
    if (!this.#isBatch) {
      return this.#fault({ code: 'bad_frame', message: 'an array of frames is for sessions with batch: true' });
    }
    if (values.length === 0) return this.#fault({ code: 'bad_frame', message: 'an array holds at least one frame' });
    if (values.length > BATCH_FRAMES_MAX) {
      return this.#fault({ code: 'too_many', message: `${values.length} frames, ${BATCH_FRAMES_MAX} at most` });
    }
    const inbox = this.#openInbox();
    inbox.open(values, areChecked);
    this.#workOff(inbox);
  }

  /** What waits, as far as the turn goes. */
  #workOff(inbox: Inbox): void {
    while (!this.#isOver && this.#mayWork()) {
      if (inbox.hasFrames) {
        const { areChecked } = inbox;
        const frame = inbox.takeFrame();
        if (areChecked) this.#takeChecked(frame as CollectorFrame);
        else this.#take(frame);
        continue;
      }
      const message = inbox.takeMessage();
      if (message === undefined) return;
      this.#receive(message);
    }
  }

  #openInbox(): Inbox {
    this.#inbox ??= new Inbox();
    return this.#inbox;
  }

  /** Whether something waits for its turn. */
  get #hasWork(): boolean {
    return this.#inbox !== undefined && !this.#inbox.isEmpty;
  }

  get #isOver(): boolean {
    return this.#phase === 'ended' || this.#phase === 'leaving';
  }

  /** Whether this turn has room for more of this socket's work. */
  #mayWork(): boolean {
    const { turn } = this.#hub;
    if (turn !== this.#workedTurn) {
      this.#workedTurn = turn;
      this.#weight = 0;
    }
    return this.#weight < TURN_WEIGHT_MAX;
  }

  #greet(hello: HelloFrame): void {
    if (hello.protocol !== PROTOCOL_VERSION) {
      const message = `protocol: ${hello.protocol} is not served, ${PROTOCOL_VERSION} is`;
      this.#sendError({ code: 'unsupported_protocol', message, path: 'protocol', id: hello.id });
      return this.end(CLOSE.unsupportedProtocol, 'unsupported protocol');
    }
    if (this.#hub.isOverloaded) return this.refuse(overloaded(), hello.id);
    const caller = this.#hub.admission.identify(this, hello);
    if ('type' in caller) {
      this.turnAway();
      // What it rests on, a key that has just been revoked, may not be on disk yet.
      return this.#hub.inOrder((rejected: Rejected) => this.refuse(rejected, hello.id), caller);
    }
    this.#caller = caller;
    this.#hub.admission.admitted(this, caller);
    this.#phase = 'greeting';
    this.#cancelHelloTimer();
    this.#isBatch = hello.batch ?? false;
    this.#hub.open(hello, caller, this);
  }

  /** The hub's decision on `hello`: the session is open in the coordinator, though nothing has been said of it yet. */
  attach(session: string, caller: Caller): void {
    this.#handler = new FrameHandler(this.#hub, this, { session, caller });
  }

  /** The hub's decision on `hello`: no session. What came behind it is passed over; `refuse` follows when it may leave. */
  turnAway(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'leaving';
    this.#isBatch = false;
  }

  /** The refusal of `hello`, or of the socket as a whole. */
  refuse(rejected: Rejected, id?: number): void {
    this.send(errorFrame(id, rejected));
    this.end(rejected.code === 'unauthorized' ? CLOSE.unauthorized : CLOSE.overloaded, rejected.message);
  }

  /** The key that it came with is no longer good. */
  revoke(): void {
    if (this.#phase !== 'ended') this.refuse(unauthorized());
  }

  #finish(how: 'bye' | 'dropped' | 'suspended'): void {
    this.#phase = 'ended';
    this.#cancelHelloTimer();
    this.#outbox.clear();
    this.#inbox = undefined;
    if (this.#handler) this.#hub.leave(this, this.#handler.session, how);
  }

  #refuseBytes(message: string): void {
    this.#sendError({ code: 'bad_frame', message });
    this.end(CLOSE.badFrame, 'not a frame');
  }

  /** Answers a faulty frame, in its turn among the answers; a peer that sends nothing else is closed. */
  #fault(fault: FrameFault): void {
    if (this.#isTooMuch()) return;
    this.#hub.inOrder((faulty: FrameFault) => this.#sendError(faulty), fault);
    this.#faults += 1;
    if (this.#faults < FAULTS_MAX) return;
    this.#phase = 'leaving';
    const reason = `${FAULTS_MAX} faulty frames in a row`;
    this.#hub.inOrder(() => this.end(CLOSE.tooManyErrors, reason), undefined);
  }

  /** Counts a frame that is to be answered, and closes where too many are not. */
  #isTooMuch(): boolean {
    this.#unanswered += 1;
    if (this.#unanswered > UNANSWERED_MAX) this.end(CLOSE.overloaded, 'too much is unanswered');
    return this.isEnded;
  }

  #sendError(fault: FrameFault): void {
    this.send({ type: 'error', ...fault });
  }
}

function idOf(frame: unknown): { id?: number } {
  const id = (frame as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? { id } : {};
}
