/** A report as one file for a browser: no network, light or dark as the reader has it. */
import { escaped } from './escape-html.ts';
import { counterRows, latencyRows, type Report } from './report.ts';
import { curves } from './report-chart.ts';

const FIGURES = ['min', 'p50', 'p95', 'p99', 'max'] as const;

const STYLE = `
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --faint: #8886; --one: #1f77b4; --two: #d98200; --three: #c62828; }
@media (prefers-color-scheme: dark) { :root { --good: #57c273; --bad: #ff7b72; --one: #6cb6ff; --two: #f2b04c; --three: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid var(--faint); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
.good { color: var(--good); } .bad { color: var(--bad); } .bad, .good { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 11px; } .grid { stroke: var(--faint); }
.mark { stroke: currentColor; stroke-dasharray: 4 3; } .curve { fill: none; stroke-width: 2; }
.one { stroke: var(--one); } .two { stroke: var(--two); } .three { stroke: var(--three); }
p.legend span { margin-right: 1.2rem; } p.legend svg { width: 1.5rem; vertical-align: middle; }
`;

function table(heads: readonly string[], rows: readonly string[], isNumber: (index: number) => boolean): string {
  const cells = heads.map((head, index) => `<th${isNumber(index) ? ' class="number"' : ''}>${escaped(head)}</th>`);
  return `<table><thead><tr>${cells.join('')}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`;
}

function thresholds({ thresholds: all }: Report): string {
  const rows = all.map(({ expression, passed, strict, measured }) => {
    const word = passed ? 'passed' : strict ? 'failed' : 'failed, optional';
    const found = Object.entries(measured).map(([name, value]) => `${name} = ${value ?? 'unknown'}`);
    return `<tr><td class="${passed ? 'good' : 'bad'}">${word}</td><td><code>${escaped(expression)}</code></td><td>${escaped(found.join(', '))}</td></tr>`;
  });
  return table(['', 'threshold', 'measured'], rows, () => false);
}

function latencies({ metrics }: Report): string {
  const rows = latencyRows(metrics).map(({ name, summary }) => {
    const figures = [summary.count, ...FIGURES.map((figure) => summary[figure])];
    const cells = figures.map((figure) => `<td class="number">${figure}</td>`);
    return `<tr><td><code>${escaped(name)}</code></td>${cells.join('')}</tr>`;
  });
  return table(['milliseconds', 'count', ...FIGURES], rows, (index) => index > 0);
}

function counters({ metrics }: Report): string {
  const rows = counterRows(metrics).map(
    ([name, value]) => `<tr><td><code>${escaped(name)}</code></td><td class="number">${value}</td></tr>`,
  );
  return table(['counter', ''], rows, (index) => index > 0);
}

export function reportHtml(report: Report): string {
  const { scenario, says, startedAt, seconds, variables, machine, passed, timeline, marks } = report;
  const set = Object.entries(variables).map(([name, value]) => `${name} ${value}`);
  const rate = [{ name: 'answers a second', style: 'one', values: timeline.map(({ answered }) => answered) }];
  const latency = (['p50', 'p95', 'p99'] as const).map((figure, index) => ({
    name: `${figure}, ms`,
    style: ['one', 'two', 'three'][index]!,
    values: timeline.map(({ ms }) => ms?.[figure]),
  }));
  const loop = [{ name: 'the longest in each second, ms', style: 'two', values: timeline.map(({ loopMs }) => loopMs) }];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(scenario)}, ${startedAt}</title><style>${STYLE}</style></head><body>
<h1>${escaped(scenario)}: <span class="${passed ? 'good' : 'bad'}">${passed ? 'passed' : 'failed'}</span></h1>
<p>${escaped(says)}</p>
<p>${escaped([startedAt, `${seconds} s`, ...set, machine].join(' · '))}</p>
<h2>Thresholds</h2>
${thresholds(report)}
<h2>Latency</h2>
${latencies(report)}
<h2>Over time</h2>
${curves('Answers in each second', rate, marks)}
${curves('Time to the answer, by second', latency, marks)}
${curves('How long the load generator itself was held up: slow answers beside a peak here say nothing of the coordinator', loop, marks)}
<h2>Counters</h2>
${counters(report)}
</body></html>
`;
}
