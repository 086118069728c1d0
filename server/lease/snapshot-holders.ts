/**
 * Who holds the leases of a snapshot. A thousand sessions hold leases nearly everywhere: were each record to name its own
 * holders, reading their names would be a good part of a start. So they are numbered across all records of `leases`, in the
 * order in which they are named, and a record names those that no record before it has named. But a secret is named by each
 * record that has a lease of it.
 */
import { encodeHolder, type Holder, type HolderRecord, ownerName } from './holder.ts';
import type { RecordOf } from './snapshot-format.ts';

/** Numbers of the holders in one snapshot, while it is written. Goes by what they say: which leases share an object is no matter. */
export class HolderNumbers {
  readonly #numbers: Readonly<Record<Holder['kind'], Map<string, number>>> = {
    session: new Map(),
    client: new Map(),
    secret: new Map(),
    process: new Map(),
  };
  #count = 0;
  #unwritten: HolderRecord[] = [];

  numberOf(holder: Holder): number {
    const numbers = this.#numbers[holder.kind];
    const name = nameOf(holder);
    const known = numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#count;
    numbers.set(name, number);
    this.#unwritten.push(encodeHolder(holder));
    this.#count += 1;
    return number;
  }

  /** For the record that ends here: those that were named since the last one ended. */
  take(): readonly HolderRecord[] {
    const named = this.#unwritten;
    this.#unwritten = [];
    // There may be one for each lease: to remember them all would take more memory than it saves in the file.
    this.#numbers.secret.clear();
    return named;
  }
}

/** Not the same for any two of a kind. */
function nameOf(holder: Holder): string {
  switch (holder.kind) {
    case 'session':
      return holder.session;
    case 'client':
      return holder.client;
    case 'secret':
      return holder.owner ? `${holder.secretHash} ${ownerName(holder.owner)}` : holder.secretHash;
    case 'process':
      return '';
  }
}

/**
 * What the numbers in `record` stand for. `known`: of the records before it in the snapshot; those that it names are added.
 * One of version 1 has a list of its own.
 */
export function holdersOf<Known>(
  record: RecordOf<'leases'>,
  known: Known[],
  read: (holder: HolderRecord) => Known,
): readonly Known[] {
  const [, version, , , named] = record;
  if (version === 1) return named.map(read);
  for (const holder of named) known.push(read(holder));
  return known;
}

/** How many `holdersOf` gives for `record`, with so many of the records before it. */
export function holderCountOf([, version, , , named]: RecordOf<'leases'>, knownCount: number): number {
  return version === 1 ? named.length : knownCount + named.length;
}
