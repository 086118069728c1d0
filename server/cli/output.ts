import { once } from 'node:events';
import { EXIT } from '../exit.ts';
import { maskText } from '../replay.ts';

/** Written in pieces of about this size. */
const PIECE_CHARS = 64 * 1024;

/**
 * Lines to stdout, no faster than they are taken. Whoever closes the pipe, as `head` does, has seen enough: that ends the
 * process quietly and well.
 */
export class Output {
  #piece: string[] = [];
  #chars = 0;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      // A full disk behind `>`: half an answer must not end like a whole one.
      this.note(error.message);
      process.exit(EXIT.storage);
    });
  }

  /** `text` as it is: only for what holds no text of others. */
  async line(text: string): Promise<void> {
    this.#piece.push(text, '\n');
    this.#chars += text.length + 1;
    if (this.#chars >= PIECE_CHARS) await this.flush();
  }

  json(value: object): Promise<void> {
    return this.line(JSON.stringify(value));
  }

  async flush(): Promise<void> {
    const text = this.#piece.join('');
    this.#piece = [];
    this.#chars = 0;
    if (text === '') return;
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
    // A closed pipe is only told of in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** To the reader, beside the data. */
  note(text: string): void {
    process.stderr.write(`${maskText(text)}\n`);
  }
}

/** `1,234`, wherever it is run. */
export function counted(count: number): string {
  return count.toLocaleString('en-US');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${counted(count)} ${count === 1 ? one : many}`;
}
