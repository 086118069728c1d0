/** Results as plain text, 120 columns wide at most. */
import type { Measure, Row, RowResult } from './row.ts';

export interface Finished {
  readonly row: Row;
  /** Absent where the row failed to run. */
  readonly result?: RowResult;
  readonly error?: string;
}

const TITLES = ['row', 'what', 'ours', 'peer', 'ratio', 'figure', 'reached'];
/** What is too long is cut here, and stands in full in the figures below. */
const WIDTHS = [16, 44, 14, 14, 8, 12, 10];
const DETAIL_WIDTH = 58;

/** A line for each row: the measures called ours, peer and ratio, or else the first. */
export function table(finished: readonly Finished[]): string {
  const lines = finished.map(({ row, result }) => {
    const named = (name: string) => result?.measures.find((measure) => measure.name === name);
    const ours = named('ours') ?? result?.measures[0];
    const cells = [ours, named('peer'), named('ratio')].map((measure) => (measure ? amount(measure) : ''));
    return [row.name, row.title, ...cells, row.figure ?? '', reached(row, result)];
  });
  return [TITLES, ...lines].map((cells) => cells.map(fitted).join('').trimEnd()).join('\n');
}

/** All measures of all rows, what is missing, and what failed. */
export function details(finished: readonly Finished[]): string {
  return finished
    .flatMap(({ row, result, error }) => [
      `\n${row.name}: ${row.title}`,
      ...(error === undefined ? [] : [`  failed: ${error}`]),
      ...(result?.missing === undefined ? [] : [`  missing: ${result.missing}`]),
      ...(result?.measures ?? []).map((measure) => `  ${measure.name.padEnd(DETAIL_WIDTH)} ${amount(measure)}`),
    ])
    .join('\n');
}

function reached({ figure }: Row, result: RowResult | undefined): string {
  if (!result) return 'FAILED';
  if (result.isReached !== undefined) return result.isReached ? 'yes' : 'NO';
  return figure === undefined ? '' : 'missing';
}

function fitted(cell: string, column: number): string {
  const width = WIDTHS[column]!;
  return (cell.length < width ? cell : `${cell.slice(0, width - 2)}…`).padEnd(width);
}

const SHORT: Readonly<Record<string, string>> = { 'operations/s': '/s', 'requests/s': '/s' };

/** Large ones as integers, others with three digits that count. */
function amount({ value, unit }: Measure): string {
  const digits =
    Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toString();
  const short = SHORT[unit] ?? ` ${unit}`;
  return `${digits}${short}`;
}
