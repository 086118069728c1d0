import { request } from 'node:http';

export interface SentEvent {
  readonly id: number;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What of `text` is whole, by the rules of server-sent events, and the rest of it. */
export function parseEvents(text: string): { events: SentEvent[]; lastId: number | undefined; rest: string } {
  const events: SentEvent[] = [];
  let lastId: number | undefined;
  const end = text.lastIndexOf('\n\n') + 2;
  if (end === 1) return { events, lastId, rest: text };
  for (const block of text.slice(0, end - 2).split('\n\n')) {
    const lines = block.split('\n').filter((line) => line !== '' && !line.startsWith(':'));
    const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
    if (fields.has('id')) lastId = Number(fields.get('id'));
    if (!fields.has('data')) continue;
    events.push({
      id: lastId!,
      event: fields.get('event') ?? 'message',
      data: JSON.parse(fields.get('data')!) as Record<string, unknown>,
    });
  }
  return { events, lastId, rest: text.slice(end) };
}

/** Listens to server-sent events over a real socket; what it does at a reconnect is the test's business. */
export class EventClient {
  readonly events: SentEvent[] = [];
  /** All that came, as it came. */
  text = '';
  lastId: number | undefined;
  readonly #abort = new AbortController();
  #response: import('node:http').IncomingMessage | undefined;
  #rest = '';
  #wake: () => void = () => {};
  /** Resolves when the stream has ended, in whatever way. */
  readonly ended: Promise<void>;
  #hasEnded = false;
  #end: () => void = () => {};

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = () => {
        this.#hasEnded = true;
        this.#wake();
        resolve();
      };
    });
  }

  static async open(port: number, path = '/v1/events', headers: Record<string, string> = {}): Promise<EventClient> {
    const client = new EventClient();
    const { signal } = client.#abort;
    await new Promise<void>((resolve, reject) => {
      const asking = request({ host: '127.0.0.1', port, path, headers, agent: false, signal }, (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`status ${response.statusCode}`));
          return;
        }
        client.#response = response;
        response.setEncoding('utf8');
        response.on('data', (text: string) => client.#take(text));
        response.on('error', () => {});
        response.on('close', () => client.#end());
        resolve();
      });
      asking.on('error', reject);
      asking.end();
    });
    return client;
  }

  /** What has come, once it is enough. Rejects where the stream ends before. */
  async until(isEnough: (events: readonly SentEvent[]) => boolean): Promise<readonly SentEvent[]> {
    while (!isEnough(this.events)) {
      if (this.#hasEnded) throw new Error(`the stream ended after ${this.events.length} events`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.events;
  }

  /** Takes nothing from the socket any more: a slow reader. */
  pause(): void {
    this.#response!.pause();
  }

  resume(): void {
    this.#response!.resume();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }

  #take(text: string): void {
    this.text += text;
    const { events, lastId, rest } = parseEvents(this.#rest + text);
    this.#rest = rest;
    this.lastId = lastId ?? this.lastId;
    this.events.push(...events);
    this.#wake();
  }
}
