import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { picture, plot } from './plot.ts';
import type { Point } from './row.ts';

const SESSIONS = [1, 10, 50, 100, 500, 1_000];
const NAMES = ['Leasehold', 'Redis <7> & "co"', 'etcd'];
const POINTS: readonly Point[] = NAMES.flatMap((series, nth) => [
  ...SESSIONS.map((x) => ({ chart: 'throughput', series, x, y: (40_000 * x) / (x + 20) / (nth + 1) }) as const),
  ...[50, 90, 99, 99.9].map((x, step) => ({ chart: 'latency', series, x, y: 0.7 * 3 ** step + nth / 100 }) as const),
]);

const pictures = (['throughput', 'latency'] as const).map(
  (name) =>
    [
      name,
      picture(
        name,
        POINTS.filter(({ chart }) => chart === name),
        'a machine, a day',
      ),
    ] as const,
);

/** Every tag closed, in order; every `&` the start of an entity. What is left over is a fault. */
function faultsOf(xml: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [tag, close, name, attributes, empty] of xml.matchAll(
    /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<>]*")*)\s*(\/?)>/g,
  )) {
    if (close && open.pop() !== name) faults.push(tag);
    if (close && attributes) faults.push(tag);
    if (!close && !empty) open.push(name!);
  }
  const text = xml.replaceAll(/<\/?[a-z]+(?:\s+[\w:-]+="[^"<>]*")*\s*\/?>/g, '');
  faults.push(...(text.match(/[<>]/g) ?? []), ...(xml.match(/&(?!amp;|lt;|gt;|quot;)/g) ?? []));
  return [...faults, ...open];
}

describe.each(pictures)('the picture of %s', (name, svg) => {
  it('is well-formed', () => {
    expect(faultsOf(svg)).toEqual([]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('names every series, what was measured on, and its units', () => {
    for (const series of ['Leasehold', 'Redis &lt;7&gt; &amp; &quot;co&quot;', 'etcd']) {
      expect(svg).toContain(`>${series}<tspan`);
    }
    expect(svg).toContain('>a machine, a day<');
    expect(svg).toContain(name === 'throughput' ? '>operations per second<' : '>milliseconds (logarithmic)<');
  });

  it('is the same for the same points', () => {
    const own = POINTS.filter(({ chart }) => chart === name);
    expect(picture(name, own, 'a machine, a day')).toBe(svg);
  });

  it('needs nothing from elsewhere', () => {
    expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(/href|url\(|http|<script|<style/);
  });

  it('lets no two names touch', () => {
    const places = [...svg.matchAll(/y="([\d.]+)"[^>]*font-weight="600">[^<]*<tspan /g)].map(([, y]) => Number(y));
    expect(places).toHaveLength(NAMES.length);
    const rising = places.toSorted((one, other) => one - other);
    for (const [index, place] of rising.slice(1).entries()) expect(place - rising[index]!).toBeGreaterThanOrEqual(16.9);
  });
});

describe('the faults of a text as XML', () => {
  it.each(['<a><b></a></b>', '<a>', '<a>&nbsp;</a>', '<a>1 < 2</a>', '<a b=c></a>'])('are seen in %s', (text) => {
    expect(faultsOf(text)).not.toEqual([]);
  });
});

describe('plot', () => {
  it('writes a file for each chart that has points, also where there is only one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'leasehold-plot-'));
    try {
      const inner = join(folder, 'inner');
      expect(await plot(POINTS, inner, '')).toEqual([join(inner, 'throughput.svg'), join(inner, 'latency.svg')]);
      const [file, ...others] = await plot([{ chart: 'latency', series: 'a', x: 99, y: 2 }], folder, 'one');
      expect(others).toEqual([]);
      const svg = await readFile(file!, 'utf8');
      expect(faultsOf(svg)).toEqual([]);
      expect(svg).not.toMatch(/NaN|Infinity/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
