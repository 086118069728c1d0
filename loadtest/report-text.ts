/** A report for the terminal. */
import { counterRows, latencyRows, type Report } from './report.ts';

const FIGURES = ['p50', 'p95', 'p99', 'max'] as const;

export function reportText(report: Report): string {
  const lines = [`${report.scenario}: ${report.says}`, ''];
  const latencies = latencyRows(report.metrics);
  const width = Math.max(
    24,
    ...latencies.map(({ name }) => name.length),
    ...counterRows(report.metrics).map(([name]) => name.length),
  );
  lines.push(['ms'.padEnd(width), 'count'.padStart(9), ...FIGURES.map((figure) => figure.padStart(9))].join(''));
  for (const { name, summary } of latencies) {
    const figures = FIGURES.map((figure) => String(summary[figure]).padStart(9));
    lines.push([name.padEnd(width), String(summary.count).padStart(9), ...figures].join(''));
  }
  lines.push('');
  for (const [name, value] of counterRows(report.metrics))
    lines.push(`${name.padEnd(width)}${String(value).padStart(9)}`);
  for (const { second, says } of report.marks) lines.push(`second ${second.toFixed(1)}: ${says}`);
  lines.push('');
  for (const { expression, passed, strict, measured } of report.thresholds) {
    const found = Object.entries(measured).map(([name, value]) => `${name} is ${value ?? 'unknown'}`);
    const word = passed ? 'ok  ' : strict ? 'FAIL' : 'fail (optional)';
    lines.push(`${word} ${expression}${passed ? '' : `  (${found.join(', ')})`}`);
  }
  return lines.join('\n');
}
