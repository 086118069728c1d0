/** What one benchmark came to: figures with their units, and whether DESIGN's figure is reached. */
export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}
/** A point of a picture: `series` is a line of it, `x` where it stands. */
export interface Point {
  readonly chart: 'throughput' | 'latency';
  readonly series: string;
  readonly x: number;
  readonly y: number;
}
export interface RowResult {
  readonly measures: readonly Measure[];
  /** undefined: has no figure to reach, or could not be measured (then `missing` says why). */
  readonly isReached: boolean | undefined;
  readonly missing?: string;
  readonly points?: readonly Point[];
}
export interface RowContext {
  /** Where data folders are made; the row removes what it makes. */
  readonly dir: string;
  readonly seconds: number;
  readonly rounds: number;
  /** A line of progress. */
  readonly say: (line: string) => void;
}
export interface Row {
  readonly name: string;
  /** The line of DESIGN §10, or what is measured besides. */
  readonly title: string;
  /** The figure to reach, in words; undefined: none. */
  readonly figure: string | undefined;
  run(context: RowContext): Promise<RowResult>;
}
