import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { type Codec, jsonCodec, msgpackCodec } from '../../../protocol/codec.ts';
import type { CollectorFrame, CoordinatorFrame } from '../../../protocol/frames.ts';
import { type CoordinatorProcess, samplePool } from '../coordinator-run.ts';
import { Random } from '../simulation/random.ts';
import { WireClient } from '../wire-client.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { FuzzedMessages, type Known } from './fuzzed-messages.ts';
import { withCoordinator } from './with-coordinator.ts';

const NAME = 'fuzz-sockets';
const TRANSPORTS = ['uws', 'ws'];
const SOCKETS = 8;
const MESSAGES_AT_ONCE = 16;
/** One socket in so many is no WebSocket, or none for long. */
const RAW_CHANCE = 0.05;
/** A peer waits so long for an answer or a close before that is a finding. */
const ANSWER_MS = 10_000;
/** The other session's pause between two cycles. */
const WITNESS_MS = 5;
/** What the process may take in the end beyond what it took when the first tenth was through. */
const RESIDENT_GROWTH_BYTES_MAX = 128 * 1_048_576;

/**
 * Messages of any kind, and bytes that are no WebSocket's, into the real process over each transport: it lives, answers or
 * closes, serves another session meanwhile, its memory is bounded, and it stops cleanly.
 */
export const fuzzSockets: FaultRun = async ({ seed, cases, onProgress }) => {
  let doneCount = 0;
  const runs = await Promise.all(
    TRANSPORTS.map((transport, index) =>
      fuzzed(transport, new Random(seed * TRANSPORTS.length + index), Math.ceil(cases / TRANSPORTS.length), (count) => {
        doneCount += count;
        onProgress?.(doneCount);
      }),
    ),
  );
  return { cases: doneCount, findings: runs.flat().map((what) => finding(NAME, seed, what)) };
};

async function fuzzed(
  transport: string,
  random: Random,
  cases: number,
  onDone: (count: number) => void,
): Promise<string[]> {
  const flags = ['--transport', transport, '--sessions-max', '1000'];
  return withCoordinator({ pool: samplePool(40, [1, 2, 3]), flags }, async (coordinator) => {
    const findings: string[] = [];
    let left = cases;
    let residentBytesBefore = Infinity;
    const witness = new Witness(coordinator);
    const watching = witness.run();
    const peers = Array.from({ length: SOCKETS }, async (_, index) => {
      const fuzz = new SocketFuzz(
        coordinator.port,
        new Random(random.bits()),
        index % 2 === 0 ? msgpackCodec : jsonCodec,
      );
      while (left > 0 && findings.length === 0) {
        const count = Math.min(MESSAGES_AT_ONCE, left);
        left -= count;
        const found = await fuzz.burst(count);
        if (found !== undefined) findings.push(found);
        onDone(count);
        if (left < 0.9 * cases && residentBytesBefore === Infinity) {
          residentBytesBefore = await residentBytes(coordinator.pid);
        }
      }
      fuzz.close();
    });
    await Promise.all(peers);
    witness.isDone = true;
    const seen = await watching;
    if (seen !== undefined) findings.push(seen);
    const bytes = await residentBytes(coordinator.pid).catch(() => Infinity);
    if (bytes > residentBytesBefore + RESIDENT_GROWTH_BYTES_MAX) {
      findings.push(`the process has grown from ${residentBytesBefore} to ${bytes} bytes`);
    }
    const { code, signal, output } = await coordinator.kill('SIGTERM');
    if (code !== 0) findings.push(`the process has ended with ${signal ?? code}: ${output.slice(-3).join(' ')}`);
    return findings.map((what) => `${transport}: ${what}`);
  });
}

/** One session that behaves: acquires and releases, and is answered all the while. */
class Witness {
  isDone = false;
  readonly #coordinator: CoordinatorProcess;

  constructor(coordinator: CoordinatorProcess) {
    this.#coordinator = coordinator;
  }

  async run(): Promise<string | undefined> {
    const { client } = await WireClient.hello(this.#coordinator.port);
    try {
      while (!this.isDone) {
        const id = client.send({ type: 'acquire', resource: 1, ttl_ms: 60_000 });
        const answer = await client.next((frame) => 'id' in frame && frame.id === id);
        if ('lease' in answer) await client.request({ type: 'release', lease: answer.lease! }, 'released');
        else if (answer.type !== 'refused') return `another session is answered ${JSON.stringify(answer)}`;
        await sleep(WITNESS_MS);
      }
      await client.close();
      return undefined;
    } catch (error) {
      return `another session is not served: ${(error as Error).message}`;
    }
  }
}

/** One peer: a socket, and another where that one was closed. */
class SocketFuzz implements Known {
  readonly tokens: number[] = [];
  readonly asked: number[] = [];
  readonly #port: number;
  readonly #random: Random;
  readonly #codec: Codec;
  readonly #fuzzed: FuzzedMessages;
  #socket: WebSocket | undefined;
  #lastId = 0;
  /** Told of each frame that comes, and of the close by none. */
  #onFrame: (frame: CoordinatorFrame | undefined) => void = () => {};

  constructor(port: number, random: Random, codec: Codec) {
    this.#port = port;
    this.#random = random;
    this.#codec = codec;
    this.#fuzzed = new FuzzedMessages(random);
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  close(): void {
    this.#socket?.terminate();
  }

  /** Sends messages and a ping behind them, and waits for its answer or the close. */
  async burst(count: number): Promise<string | undefined> {
    if (this.#random.chance(RAW_CHANCE)) return this.#noise(count);
    const socket = this.#socket?.readyState === WebSocket.OPEN ? this.#socket : await this.#open();
    const messages = Array.from({ length: count }, () => this.#fuzzed.wild(this.#codec, this));
    for (const message of messages) socket.send(message);
    const id = 1_000_000_000 + this.nextId();
    const answered = new Promise<boolean>((done) => {
      const timer = setTimeout(() => done(false), ANSWER_MS);
      const over = () => {
        clearTimeout(timer);
        done(true);
      };
      this.#onFrame = (frame) => {
        if (!frame || ('id' in frame && frame.id === id)) over();
      };
      if (socket.readyState !== WebSocket.OPEN) over();
    });
    socket.send(this.#codec.encode({ type: 'ping', id } as CollectorFrame));
    if (await answered) return undefined;
    const shown = messages.map((one) => (typeof one === 'string' ? one : Buffer.from(one).toString('hex')));
    return `neither answered nor closed in ${ANSWER_MS} ms; sent: ${shown.join(' | ').slice(0, 400)}`;
  }

  async #open(): Promise<WebSocket> {
    const url = `ws://127.0.0.1:${this.#port}`;
    const socket = new WebSocket(url, this.#codec.subprotocol, { perMessageDeflate: false });
    this.#socket = socket;
    this.tokens.length = 0;
    socket.on('message', (data: Buffer, isBinary) => this.#take(isBinary ? data : data.toString()));
    socket.on('error', () => {});
    socket.on('close', () => this.#onFrame(undefined));
    await new Promise((done, fail) => socket.once('open', done).once('error', fail));
    const hello = { type: 'hello', id: this.nextId(), protocol: 1, batch: this.#random.chance(0.5) };
    socket.send(this.#codec.encode(hello as CollectorFrame));
    return socket;
  }

  #take(message: Uint8Array | string): void {
    const decoded = this.#codec.decode(message);
    for (const frame of [decoded.ok ? decoded.value : []].flat() as CoordinatorFrame[]) {
      if (frame.type === 'granted' && 'lease' in frame && this.tokens.push(frame.lease) > 16) this.tokens.shift();
      this.#onFrame(frame);
    }
  }

  /** A socket that says something else than a WebSocket does, or stops being one after the handshake. */
  async #noise(count: number): Promise<undefined> {
    const random = this.#random;
    const socket = connect(this.#port, '127.0.0.1');
    socket.on('error', () => {});
    const closed = new Promise((done) => socket.once('close', done));
    const key = random.bytes(16).toString('base64');
    const head = `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`;
    const protocol = `Sec-WebSocket-Protocol: ${this.#codec.subprotocol}\r\n`;
    if (random.chance(0.8))
      socket.write(`${head}${protocol}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`);
    else if (random.chance(0.5)) socket.write(head.slice(0, random.below(head.length)));
    for (let left = count; left > 0; left -= 1) socket.write(this.#webSocketFrame());
    await Promise.race([closed, sleep(random.below(20))]);
    socket.destroy();
    await closed;
  }

  /** Opcode, mask and length as they come: reserved bits, fragments, lengths of bytes that never follow. */
  #webSocketFrame(): Uint8Array {
    const random = this.#random;
    const message = this.#fuzzed.wild(this.#codec, this);
    const body = Buffer.from(typeof message === 'string' ? message : Uint8Array.from(message)).subarray(0, 125);
    const isOdd = random.chance(0.3);
    const first = isOdd ? random.below(256) : typeof message === 'string' ? 0x81 : 0x82;
    const length = isOdd ? random.below(256) : 0x80 | body.length;
    return Buffer.concat([Buffer.of(first, length), Buffer.alloc(4), body]);
  }
}

async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}
