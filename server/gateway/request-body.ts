import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** Of one request: a longer body goes through, and is sent once. */
export const KEPT_BYTES_MAX = 65_536;
/** Of all requests under way. */
const ALL_KEPT_BYTES_MAX = 64 * 1_048_576;

/** What all requests under way keep of their bodies. */
export class KeptBytes {
  #left = ALL_KEPT_BYTES_MAX;

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/**
 * The body of a request on its way to a target, read as fast as the target takes it. As long as it is short what has gone by is
 * kept, so that another target can be given it from the beginning, while the rest is still coming.
 */
export class RequestBody {
  readonly #source: IncomingMessage;
  readonly #budget: KeptBytes;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Invariant: `#kept` is all that came, unless this is false. */
  #isAllKept = true;
  #isReading = false;
  #hasEnded = false;
  #reader: Readable | undefined;

  constructor(source: IncomingMessage, budget: KeptBytes) {
    this.#source = source;
    this.#budget = budget;
  }

  /** Whether it can be opened again. */
  get canReplay(): boolean {
    return this.#isAllKept;
  }

  /** From its beginning on; whoever read it before reads no more. */
  open(): Readable {
    this.#reader?.destroy();
    const reader = new Readable({ read: () => this.#read() });
    this.#reader = reader;
    for (const chunk of this.#kept) reader.push(chunk);
    if (this.#hasEnded) reader.push(null);
    return reader;
  }

  /** It is sent to nobody else: what was kept is let go. */
  forget(): void {
    this.#isAllKept = false;
    this.#budget.give(this.#keptBytes);
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** The request is over: what of it is still to come is read past, so that the next one on the connection can be. */
  discard(): void {
    this.forget();
    this.#reader?.destroy();
    this.#source.resume();
  }

  #read(): void {
    if (this.#isReading) {
      if (!this.#hasEnded) this.#source.resume();
      return;
    }
    this.#isReading = true;
    this.#source.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#source.once('end', () => {
      this.#hasEnded = true;
      this.#reader?.push(null);
    });
  }

  #take(chunk: Buffer): void {
    if (this.#isAllKept) this.#keep(chunk);
    const reader = this.#reader;
    if (!reader || reader.destroyed) {
      // Until it is opened again, nobody takes more; where it isn't, there is nothing to wait for.
      if (this.#isAllKept) this.#source.pause();
    } else if (!reader.push(chunk)) {
      this.#source.pause();
    }
  }

  #keep(chunk: Buffer): void {
    const fits = this.#keptBytes + chunk.length <= KEPT_BYTES_MAX && this.#budget.take(chunk.length);
    if (!fits) return this.forget();
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
  }
}

/** A request has a body where its framing says so (RFC 9112 §6). */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}
