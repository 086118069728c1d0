const encoder = new TextEncoder();

/**
 * A server-sent event: `id` is where a client that has seen it goes on behind, the number of the event in the journal;
 * `event` its name; `data` one line of JSON.
 */
export function message(event: string, position: number, data: object): Uint8Array {
  return encoder.encode(`id: ${position}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Without data: a client takes note of the position, and its program hears nothing. */
export function progressTo(position: number): Uint8Array {
  return encoder.encode(`id: ${position}\n\n`);
}

/** A comment. */
export const HEARTBEAT: Uint8Array = encoder.encode(':\n\n');

/** An event as the journal's dump describes it. */
export interface DescribedEvent {
  readonly position: number;
  readonly domain: string;
  /** The event's name. */
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** An event before anybody has asked what is in it. */
export interface UnreadEvent {
  readonly position: number;
  readonly domain: string;
  readonly name: string;
  /** Of the journal. */
  readonly bytes: number;
  /** Without secrets. */
  describe(): DescribedEvent;
}

/** Described once for all streams, and one piece of memory for all of them. */
export class FeedEvent {
  readonly #unread: UnreadEvent;
  #described: DescribedEvent | undefined;
  #message: Uint8Array | undefined;

  constructor(unread: UnreadEvent) {
    this.#unread = unread;
  }

  get position(): number {
    return this.#unread.position;
  }

  get domain(): string {
    return this.#unread.domain;
  }

  get name(): string {
    return this.#unread.name;
  }

  get bytes(): number {
    return this.#unread.bytes;
  }

  get fields(): Readonly<Record<string, unknown>> {
    this.#described ??= this.#unread.describe();
    return this.#described.fields;
  }

  /** As it goes over the wire. */
  get message(): Uint8Array {
    this.#described ??= this.#unread.describe();
    this.#message ??= message(this.name, this.position, this.#described);
    return this.#message;
  }
}
