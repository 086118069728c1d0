/**
 * Pictures of what the benchmarks measured, as SVG that needs nothing from elsewhere and stands on a card of its own, so that it
 * reads the same on a light page and on a dark one. The same points give the same bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { latencyScale, logScale, type Scale, throughputScale } from './plot-scale.ts';
import type { Point } from './row.ts';

const WIDTH = 880;
const HEIGHT = 500;
const MARGIN = { left: 82, top: 92, bottom: 66 };
/** Between the last point and the names of the series, and behind those. */
const NAMES_GAP = 22;
const NAMES_END = 18;
const NAME_LINE = 17;
const TITLE_Y = 36;
const SUBTITLE_Y = 60;
const SUBTITLE_LINE = 16;
/** Between a series' name and its value. */
const VALUE_GAP = 8;
/** Of text at 13 px and at 12 px, a little more than it takes. */
const CHARACTER_WIDTH = 7.6;
const BOLD_CHARACTER_WIDTH = 8.2;
const SMALL_CHARACTER_WIDTH = 6.3;
/** Closer together, numbers of an axis would touch. */
const TICK_GAP_MIN = 30;
/** A name that was moved further from its line gets a stroke that leads there. */
const LEADER_MIN = 4;
/** Told apart by eyes of all kinds, and dark enough on white. */
const COLOURS = ['#0067a5', '#c4500a', '#00795a', '#8a3d8f', '#8a6d00', '#5b5b5b', '#a51c30', '#2f3e9e'];

interface Chart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly x: Scale;
  readonly y: Scale;
}

interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  readonly colour: string;
  readonly marker: (x: number, y: number) => string;
}

/**
 * Writes `throughput.svg` (operations a second over sessions) and `latency.svg` (milliseconds over percentiles: `x` is 50, 99, 99.9)
 * into `folder`, which is made where it isn't there. Returns the files; of a chart without points there is none.
 */
export async function plot(points: readonly Point[], folder: string, subtitle: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (const name of ['throughput', 'latency'] as const) {
    const own = points.filter(({ chart }) => chart === name);
    if (own.length === 0) continue;
    const file = join(folder, `${name}.svg`);
    await writeFile(file, picture(name, own, subtitle));
    files.push(file);
  }
  return files;
}

/** One chart of points that are all its own. */
export function picture(name: Point['chart'], points: readonly Point[], subtitle: string): string {
  const series = seriesOf(points);
  const names = Math.max(...series.map((one) => labelWidth(name, one)));
  const right = NAMES_GAP + Math.ceil(names) + NAMES_END;
  const area = { left: MARGIN.left, right: WIDTH - right, top: MARGIN.top, bottom: HEIGHT - MARGIN.bottom };
  const { title, xTitle, yTitle, x, y } = chartOf(name, points, area);
  const middle = round((area.left + area.right) / 2);
  const height = round((area.top + area.bottom) / 2);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title description" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="13" fill="#33373b">`,
    `<title id="title">${escape(title)}</title>`,
    `<desc id="description">${escape(described(name, series))}</desc>`,
    `<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8" fill="#fdfdfb" stroke="#cfd2d4"/>`,
    `<text x="24" y="${TITLE_Y}" font-size="19" font-weight="600" fill="#16191c">${escape(title)}</text>`,
    ...linesOf(subtitle).map(
      (line, index) =>
        `<text x="24" y="${SUBTITLE_Y + index * SUBTITLE_LINE}" font-size="12" fill="#5a6068">${escape(line)}</text>`,
    ),
    ...y.ticks.map(({ value, label }) => {
      const at = round(y.place(value));
      return `<line x1="${area.left}" x2="${area.right}" y1="${at}" y2="${at}" stroke="#e3e5e6"/><text x="${area.left - 10}" y="${round(at + 4.5)}" text-anchor="end">${label}</text>`;
    }),
    ...x.ticks.map(({ value }) => {
      const at = round(x.place(value));
      return `<line x1="${at}" x2="${at}" y1="${area.bottom}" y2="${area.bottom + 5}" stroke="#6d7379"/>`;
    }),
    ...spaced(x).map(
      ({ value, label }) =>
        `<text x="${round(x.place(value))}" y="${area.bottom + 21}" text-anchor="middle">${label}</text>`,
    ),
    `<line x1="${area.left}" x2="${area.right}" y1="${area.bottom}" y2="${area.bottom}" stroke="#6d7379"/>`,
    `<text x="${middle}" y="${HEIGHT - 20}" text-anchor="middle" fill="#5a6068">${xTitle}</text>`,
    `<text transform="translate(24 ${height}) rotate(-90)" text-anchor="middle" fill="#5a6068">${yTitle}</text>`,
    // The first one, ours, lies above the others.
    ...series.map((one, index) => lineOf(one, x, y, index === 0)).toReversed(),
    ...namesOf(name, series, y, x, area),
    '</svg>',
  ].join('\n')}\n`;
}

function chartOf(name: Point['chart'], points: readonly Point[], area: Area): Chart {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  if (name === 'throughput') {
    return {
      title: 'Durable operations per second',
      xTitle: 'sessions (logarithmic)',
      yTitle: 'operations per second',
      x: logScale(xs, area.left + INSET, area.right - INSET, xs),
      y: throughputScale(ys, area.bottom, area.top),
    };
  }
  return {
    title: 'Latency of a durable operation',
    xTitle: 'percentile of operations',
    yTitle: 'milliseconds (logarithmic)',
    x: latencyScale(xs, area.left + INSET, area.right - INSET),
    y: logScale(ys, area.bottom, area.top),
  };
}

interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** So that no marker stands on an axis. */
const INSET = 24;

/** In the order in which they first come. */
function seriesOf(points: readonly Point[]): Series[] {
  const names = [...new Set(points.map(({ series }) => series))];
  return names.map((name, index) => ({
    name,
    points: points.filter(({ series }) => series === name).toSorted((one, other) => one.x - other.x),
    colour: COLOURS[index % COLOURS.length]!,
    marker: MARKERS[index % MARKERS.length]!,
  }));
}

const MARKERS: readonly ((x: number, y: number) => string)[] = [
  (x, y) => `<circle cx="${x}" cy="${y}" r="4.5"/>`,
  (x, y) => `<path d="M${round(x - 4)} ${round(y - 4)}h8v8h-8z"/>`,
  (x, y) => `<path d="M${x} ${round(y - 5)}l5 9h-10z"/>`,
  (x, y) => `<path d="M${x} ${round(y - 5.5)}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>`,
  (x, y) => `<path d="M${x} ${round(y + 5)}l5 -9h-10z"/>`,
];

function lineOf({ points, colour, marker }: Series, x: Scale, y: Scale, isFirst: boolean): string {
  const places = points.map((point) => [round(x.place(point.x)), round(y.place(point.y))] as const);
  const path = places.map(([atX, atY]) => `${atX},${atY}`).join(' ');
  const width = isFirst ? 3 : 2;
  return `<g fill="${colour}"><polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round"/>${places.map(([atX, atY]) => marker(atX, atY)).join('')}</g>`;
}

/** Each at the end of its line, or as near to it as the others leave room. */
function namesOf(chart: Point['chart'], series: readonly Series[], y: Scale, x: Scale, area: Area): string[] {
  const at = area.right + NAMES_GAP;
  const ends = series
    .map((one) => ({ one, last: one.points.at(-1)! }))
    .map(({ one, last }) => ({ one, x: x.place(last.x), y: y.place(last.y) }))
    .toSorted((first, second) => first.y - second.y);
  const places = apart(
    ends.map((end) => end.y),
    NAME_LINE,
    area.top,
    area.bottom,
  );
  return ends.map(({ one, x: endX, y: endY }, index) => {
    const place = round(places[index]!);
    const isLed = Math.abs(place - endY) > LEADER_MIN || at - endX > NAMES_GAP + INSET;
    const leader = isLed
      ? `<path d="M${round(endX + 7)} ${round(endY)}L${at - 4} ${place}" fill="none" stroke="${one.colour}" stroke-opacity="0.5"/>`
      : '';
    return `${leader}<text x="${at}" y="${round(place + 4.5)}" fill="${one.colour}" font-weight="600">${escape(one.name)}<tspan dx="${VALUE_GAP}" font-weight="400">${valueOf(chart, one)}</tspan></text>`;
  });
}

/** Places at least `gap` apart and within the bounds where they have room, each as near to where it was as may be. */
function apart(rising: readonly number[], gap: number, least: number, most: number): number[] {
  const places = [...rising];
  for (let index = 0; index < places.length; index += 1) {
    places[index] = Math.max(places[index]!, index === 0 ? least : places[index - 1]! + gap);
  }
  for (let index = places.length - 1; index >= 0; index -= 1) {
    places[index] = Math.min(places[index]!, index === places.length - 1 ? most : places[index + 1]! - gap);
  }
  return places;
}

/** Of a series' name and value, in px. */
function labelWidth(chart: Point['chart'], one: Series): number {
  return one.name.length * BOLD_CHARACTER_WIDTH + VALUE_GAP + valueOf(chart, one).length * CHARACTER_WIDTH;
}

/** That of the last point. */
function valueOf(chart: Point['chart'], { points }: Series): string {
  return amount(chart, points.at(-1)!.y);
}

function amount(chart: Point['chart'], value: number): string {
  return chart === 'throughput' ? `${Math.round(value).toString()}/s` : `${Number(value.toPrecision(2))} ms`;
}

/** For whoever has the picture read out. */
function described(chart: Point['chart'], series: readonly Series[]): string {
  return series
    .map(({ name, points }) => {
      const values = points.map(({ x, y }) =>
        chart === 'throughput' ? `${amount(chart, y)} at ${x} sessions` : `${amount(chart, y)} at p${x}`,
      );
      return `${name}: ${values.join(', ')}.`;
    })
    .join(' ');
}

/** Without those whose numbers would touch the one before. */
function spaced({ ticks, place }: Scale): Scale['ticks'] {
  let lastAt = Number.NEGATIVE_INFINITY;
  return ticks.filter(({ value }) => {
    const isRoom = place(value) - lastAt >= TICK_GAP_MIN;
    if (isRoom) lastAt = place(value);
    return isRoom;
  });
}

/** Of as many words as fit; two lines, and what is beyond them stays in the second. */
function linesOf(subtitle: string): string[] {
  const charactersMax = Math.floor((WIDTH - 48) / SMALL_CHARACTER_WIDTH);
  if (subtitle.length <= charactersMax) return [subtitle];
  const breakAt = subtitle.lastIndexOf(' ', charactersMax);
  return breakAt <= 0 ? [subtitle] : [subtitle.slice(0, breakAt), subtitle.slice(breakAt + 1)];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
