/** Curves over the seconds of a run, as SVG within a page. */
import { escaped } from './escape-html.ts';

export interface Curve {
  readonly name: string;
  /** A class of the page. */
  readonly style: string;
  /** One for each second; undefined: none, and the curve has a gap. */
  readonly values: readonly (number | undefined)[];
}
export interface CurveMark {
  readonly second: number;
  readonly says: string;
}

const WIDTH = 900;
const HEIGHT = 240;
const LEFT = 56;
const RIGHT = 12;
const TOP = 26;
const BOTTOM = 24;
const TICKS = 4;

/** The smallest of 1, 2 and 5 times a power of ten that isn't below. */
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * (1 - 1e-9)) ?? 10 * power;
}

export function curves(title: string, all: readonly Curve[], marks: readonly CurveMark[]): string {
  const last = Math.max(1, ...all.map(({ values }) => values.length), ...marks.map(({ second }) => Math.ceil(second)));
  const most = Math.max(...all.flatMap(({ values }) => values.map((value) => value ?? 0)), 0);
  const yStep = niceStep(Math.max(most, 1e-3) / TICKS);
  const yMax = yStep * Math.max(1, Math.ceil(most / yStep));
  const x = (second: number) => round(LEFT + (second / last) * (WIDTH - LEFT - RIGHT));
  const y = (value: number) => round(HEIGHT - BOTTOM - (value / yMax) * (HEIGHT - TOP - BOTTOM));
  const parts: string[] = [];
  for (let value = 0; value <= yMax * (1 + 1e-9); value += yStep) {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`);
    parts.push(`<text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${Number(value.toPrecision(6))}</text>`);
  }
  const xStep = Math.max(1, niceStep(last / 10));
  for (let second = 0; second <= last; second += xStep) {
    parts.push(`<text x="${x(second)}" y="${HEIGHT - 6}" text-anchor="middle">${Math.round(second)} s</text>`);
  }
  for (const [index, { second, says }] of marks.entries()) {
    parts.push(`<line class="mark" x1="${x(second)}" x2="${x(second)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`);
    // On two lines in turn: marks may stand close together.
    parts.push(`<text x="${x(second) + 3}" y="${TOP - 14 + (index % 2) * 12}">${escaped(says)}</text>`);
  }
  for (const { style, values } of all)
    parts.push(`<path class="curve ${style}" d="${path(values, (second) => x(second + 0.5), y)}"/>`);
  const legend = all.map(
    ({ name, style }) =>
      `<span><svg viewBox="0 0 24 8" aria-hidden="true"><path class="curve ${style}" d="M0 4H24"/></svg> ${escaped(name)}</span>`,
  );
  return `<figure style="margin:0"><figcaption>${escaped(title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">
${parts.join('\n')}
</svg><p class="legend">${legend.join('')}</p></figure>`;
}

function path(values: Curve['values'], x: (second: number) => number, y: (value: number) => number): string {
  let isDrawing = false;
  return values
    .map((value, second) => {
      if (value === undefined) {
        isDrawing = false;
        return '';
      }
      const [command, alone] = isDrawing ? ['L', ''] : ['M', values[second + 1] === undefined ? 'h1' : ''];
      isDrawing = true;
      return `${command}${x(second)} ${y(value)}${alone}`;
    })
    .join('');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
