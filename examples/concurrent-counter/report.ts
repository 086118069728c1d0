/** The table that the example prints, line by line. */
import { type Outcome, REQUESTS } from './contest.ts';

export interface Row {
  readonly way: string;
  readonly level: string;
  readonly outcome: Outcome;
  /** The same without leases and retries. */
  readonly without?: Outcome;
}

const WAY_WIDTH = 24;
const LEVEL_WIDTH = 18;
const OUTCOME_WIDTH = 36;

export function headerLines(): string[] {
  const columns = 'total     time'.padEnd(OUTCOME_WIDTH);
  return [
    `${' '.repeat(WAY_WIDTH + LEVEL_WIDTH)}${'our ways'.padEnd(OUTCOME_WIDTH)}without leases and retries`,
    `${'way'.padEnd(WAY_WIDTH)}${'isolation level'.padEnd(LEVEL_WIDTH)}${columns}${columns}`.trimEnd(),
  ];
}

export function rowLine({ way, level, outcome, without }: Row): string {
  const cells = [outcomeText(outcome).padEnd(OUTCOME_WIDTH), without ? outcomeText(without) : ''];
  return `${way.padEnd(WAY_WIDTH)}${level.padEnd(LEVEL_WIDTH)}${cells.join('')}`.trimEnd();
}

/** ` 100   312 ms   41 retries`, `  17    85 ms   83 × 40001` */
function outcomeText({ total, tookMs, retries, failures }: Outcome): string {
  const remarks = [
    ...(retries > 0 ? [`${retries} retries`] : []),
    ...[...failures].map(([code, count]) => `${count} × ${code}`),
  ];
  return `${String(total).padStart(5)} ${String(Math.round(tookMs)).padStart(5)} ms   ${remarks.join(', ')}`;
}

export function isRight({ total, failures }: Outcome): boolean {
  return total === REQUESTS && failures.size === 0;
}

export function summaryLine(rows: readonly Row[]): string {
  const right = rows.filter(({ outcome }) => isRight(outcome)).length;
  const withouts = rows.flatMap(({ without }) => without ?? []);
  const rightWithout = withouts.filter(isRight).length;
  return `exactly ${REQUESTS}: ${right} of ${rows.length}; without leases and retries ${rightWithout} of ${withouts.length}`;
}
