import type { Distribution } from './distribution.ts';
import type { Tally } from './tally.ts';

export type Labels = Readonly<Record<string, string | number>>;

/** One line of what is scraped. */
export interface Sample {
  /** Behind the family's name, where it has several kinds of lines. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels: Labels;
  readonly value: number;
}

/** All samples of one name. They are read when they are asked for, and not before. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  readonly samples: () => Iterable<Sample>;
}

const PREFIX = 'leasehold_';

export function family(type: Family['type'], name: string, help: string, samples: () => Iterable<Sample>): Family {
  return { name: PREFIX + name, type, help, samples };
}

/** Counts by one label. */
export function counter(name: string, help: string, label: string, tally: Tally): Family {
  return family('counter', name, help, () =>
    Array.from(tally.entries(), ([word, value]) => ({ labels: { [label]: word }, value })),
  );
}

export function histogram(name: string, help: string, distribution: Distribution): Family {
  return family('histogram', name, help, () => distribution.samples());
}

/** A single value. */
export function gauge(name: string, help: string, read: () => number): Family {
  return family('gauge', name, help, () => [{ labels: {}, value: read() }]);
}
