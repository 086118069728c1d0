import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { jsonCodec, msgpackCodec } from '../../../protocol/codec.ts';
import { Random } from '../simulation/random.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { FuzzedCore, SESSIONS_MAX } from './fuzzed-core.ts';
import { FuzzedMessages } from './fuzzed-messages.ts';
import { FuzzedPeer } from './fuzzed-peer.ts';

const NAME = 'fuzz-frames';
const PEERS = 16;
/** Every so many-th peer is sent only what decodes, so that some sessions get old. */
const TAME_EVERY = 3;
const MESSAGES_PER_TURN = 32;
/** After so many frames the whole state is checked, and memory looked at. */
const CHECK_EVERY = 50_000;
/** What the heap may hold in the end beyond what it held after the first tenth. */
const HEAP_GROWTH_BYTES_MAX = 64 * 1_048_576;
const SHOWN_CHARS_MAX = 400;

/**
 * Messages of any kind into the core, one seed one sequence: nothing throws, each frame is answered by something valid or
 * by a close, and afterwards the state is sound, its journal replays to the same, and memory hasn't grown. Cases are
 * frames: as many as a message holds, and one where it holds none.
 */
export const fuzzFrames: FaultRun = async ({ seed, cases, onProgress }) => {
  const fuzz = new FrameFuzz(seed);
  const collectGarbage = garbageCollector();
  let heapBytesBefore = Infinity;
  let nextCheck = CHECK_EVERY;
  while (fuzz.frames < cases && fuzz.found === undefined) {
    await fuzz.turn(cases);
    if (fuzz.frames < Math.min(nextCheck, cases)) continue;
    nextCheck += CHECK_EVERY;
    fuzz.check();
    onProgress?.(fuzz.frames);
    collectGarbage();
    const { heapUsed } = process.memoryUsage();
    if (heapUsed > heapBytesBefore + HEAP_GROWTH_BYTES_MAX) {
      fuzz.found ??= `the heap has grown from ${heapBytesBefore} to ${heapUsed} bytes`;
    }
    if (fuzz.frames >= cases / 10) heapBytesBefore = Math.min(heapBytesBefore, heapUsed);
  }
  const findings = fuzz.found === undefined ? [] : [finding(NAME, seed, `frame ${fuzz.frames}: ${fuzz.found}`)];
  return { cases: fuzz.frames, findings };
};

class FrameFuzz {
  /** Sent so far. */
  frames = 0;
  found: string | undefined;
  readonly #random: Random;
  readonly #core: FuzzedCore;
  readonly #fuzzed: FuzzedMessages;
  readonly #peers: FuzzedPeer[] = [];
  /** What was sent in this turn, by peer: a finding shows it. */
  readonly #sent: [peer: number, message: Uint8Array | string][] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#core = new FuzzedCore(this.#random);
    this.#fuzzed = new FuzzedMessages(this.#random);
  }

  /** What several sockets bring at once, and all that follows of it. */
  async turn(framesMax: number): Promise<void> {
    const random = this.#random;
    this.#sent.length = 0;
    const touched = new Set<FuzzedPeer>();
    try {
      while (this.#sent.length < MESSAGES_PER_TURN && this.frames < framesMax) {
        const index = random.below(PEERS);
        const peer = this.#peerAt(index);
        const isTame = index % TAME_EVERY === 0;
        const message = isTame
          ? this.#fuzzed.tame(peer.codec, peer, peer.isBatch)
          : this.#fuzzed.wild(peer.codec, peer);
        this.#sent.push([index, message]);
        touched.add(peer);
        this.frames += peer.send(message);
      }
      await this.#core.scheduler.advance(random.below(2 * MESSAGES_PER_TURN));
    } catch (error) {
      this.found ??= this.#show((error as Error).stack ?? String(error));
    }
    for (const peer of touched) {
      peer.mustBeAnswered();
      if (peer.fault !== undefined) this.found ??= this.#show(`${peer.codec.subprotocol}: ${peer.fault}`, peer);
    }
    if (this.#core.failure !== undefined) this.found ??= this.#show(this.#core.failure);
  }

  check(): void {
    const { state, hub } = this.#core;
    const fault = this.#core.fault();
    if (fault !== undefined) this.found ??= fault;
    if (state.sessions.size > SESSIONS_MAX) this.found ??= `${state.sessions.size} sessions`;
    if (hub.connectionCount > PEERS) this.found ??= `${hub.connectionCount} connections of ${PEERS} peers`;
  }

  #peerAt(index: number): FuzzedPeer {
    const random = this.#random;
    const there = this.#peers[index];
    if (there && there.closed === undefined) return there;
    const codec = index % 2 === 0 ? msgpackCodec : jsonCodec;
    const hello = { batch: random.chance(0.5), resume_window_ms: random.chance(0.2) ? random.below(1_000) : 0 };
    const peer = new FuzzedPeer(this.#core.hub, codec, hello);
    this.#peers[index] = peer;
    return peer;
  }

  /** The messages of the turn to the peer, or to all, in hexadecimal where they are bytes. */
  #show(what: string, peer?: FuzzedPeer): string {
    const messages = this.#sent
      .filter(([index]) => !peer || this.#peers[index] === peer)
      .map(([, message]) => (typeof message === 'string' ? message : Buffer.from(message).toString('hex')));
    return `${what}; sent: ${messages.join(' | ').slice(0, SHOWN_CHARS_MAX)}`.replaceAll('\n', ' ');
  }
}

/** Forces a collection without a flag on the command line. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
