const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** What happened, as a hash (FNV-1a): two runs of one seed that differ anywhere differ in it. */
export class Trace {
  #hash = FNV_OFFSET;
  /** Takes what a person wants to read of the run; undefined: nobody does. */
  readonly #print: ((line: string) => void) | undefined;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get isPrinted(): boolean {
    return this.#print !== undefined;
  }

  /** Only where somebody reads: `isPrinted` spares the building of lines. */
  print(line: string): void {
    this.#print?.(line);
  }

  /** Times are told apart by the microsecond. */
  time(ms: number): void {
    this.#hash = folded(this.#hash, Math.floor((ms * 1_000) % 2 ** 31));
  }

  text(text: string): void {
    let hash = this.#hash;
    for (let index = 0; index < text.length; index += 1) hash = folded(hash, text.charCodeAt(index));
    this.#hash = hash;
  }

  message(message: Uint8Array | string): void {
    if (typeof message === 'string') return this.text(message);
    let hash = this.#hash;
    for (let index = 0; index < message.length; index += 1) hash = folded(hash, message[index]!);
    this.#hash = hash;
  }
}

function folded(hash: number, value: number): number {
  return Math.imul(hash ^ value, FNV_PRIME);
}

/** How often things happened, so that a test can tell a world in which nothing does from one in which nothing is wrong. */
export class Tally {
  /** By kind and by what there is to say of it: names that are put together anew each time are slow to find. */
  readonly #counts = new Map<string, Map<string, number>>();

  count(kind: string, detail = ''): void {
    let counts = this.#counts.get(kind);
    if (!counts) {
      counts = new Map();
      this.#counts.set(kind, counts);
    }
    counts.set(detail, (counts.get(detail) ?? 0) + 1);
  }

  /** By name. */
  entries(): [string, number][] {
    const entries = [...this.#counts].flatMap(([kind, counts]) =>
      Array.from(counts, ([detail, count]): [string, number] => [detail === '' ? kind : `${kind} ${detail}`, count]),
    );
    return entries.sort(([one], [other]) => (one < other ? -1 : 1));
  }
}
