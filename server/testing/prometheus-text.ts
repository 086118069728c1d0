/**
 * The text format of Prometheus, version 0.0.4, read line by line: what isn't exactly as it should be throws. Strict where
 * Prometheus itself is lenient: every sample belongs to the family whose HELP and TYPE stand above it.
 */

export interface ScrapedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

export interface ScrapedText {
  readonly families: readonly ScrapedFamily[];
  /** By name and labels as they stand in the text: `name{label="value"}`. */
  readonly series: ReadonlyMap<string, number>;
}

const HELP = /^# HELP ([a-z_][a-z0-9_]*) (\S.*)$/;
const TYPE = /^# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram|summary)$/;
const SAMPLE = /^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-z])|(?=\})))+)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;
const NUMBER = /^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

interface Sample {
  readonly suffix: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export function parsePrometheusText(text: string): ScrapedText {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families: ScrapedFamily[] = [];
  const series = new Map<string, number>();
  for (const block of text.slice(0, -1).split('\n\n')) {
    const [helpLine = '', typeLine = '', ...lines] = block.split('\n');
    const [, name = '', help = ''] = matched(HELP, helpLine);
    const [, typeName, type = ''] = matched(TYPE, typeLine);
    if (typeName !== name) throw new Error(`HELP is of ${name}, TYPE of ${typeName}`);
    if (families.some((family) => family.name === name)) throw new Error(`${name} stands there twice`);
    families.push({ name, type, help });
    const samples = lines.map((line): Sample => {
      const [, sampleName = '', labelText = '', valueText = ''] = matched(SAMPLE, line);
      const suffix = sampleName.startsWith(name) ? sampleName.slice(name.length) : undefined;
      if (suffix === undefined || !SUFFIXES[type]!.includes(suffix)) throw new Error(`${line} is no sample of ${name}`);
      matched(NUMBER, valueText);
      const labels = [...labelText.matchAll(LABEL)].map(([, label, value]) => [label!, value!] as const);
      if (new Set(labels.map(([label]) => label)).size < labels.length) throw new Error(`${line}: a label twice`);
      const key = line.slice(0, line.lastIndexOf(' '));
      if (series.has(key)) throw new Error(`${key} stands there twice`);
      const value = Number(valueText.replace('Inf', 'Infinity'));
      series.set(key, value);
      if (type === 'counter' && !(value >= 0)) throw new Error(`${line}: a counter below zero`);
      return { suffix, labels: new Map(labels), value };
    });
    if (type === 'histogram') checkHistogram(name, samples);
  }
  return { families, series };
}

/** Each set of labels has rising buckets up to +Inf, which says what `_count` says. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const bySet = new Map<string, Sample[]>();
  for (const sample of samples) {
    const set = JSON.stringify(
      [...sample.labels].filter(([label]) => label !== 'le').toSorted(([one], [other]) => (one < other ? -1 : 1)),
    );
    bySet.set(set, [...(bySet.get(set) ?? []), sample]);
  }
  for (const [set, own] of bySet) {
    const buckets = own.filter(({ suffix }) => suffix === '_bucket');
    const bounds = buckets.map(({ labels }) => Number(labels.get('le')!.replace('Inf', 'Infinity')));
    const counts = buckets.map(({ value }) => value);
    const isRising = bounds.every((bound, index) => index === 0 || bound > bounds[index - 1]!);
    const isCumulative = counts.every((value, index) => index === 0 || value >= counts[index - 1]!);
    const count = own.filter(({ suffix }) => suffix === '_count');
    const sums = own.filter(({ suffix }) => suffix === '_sum');
    const isWhole = bounds.at(-1) === Infinity && count.length === 1 && sums.length === 1;
    if (!isRising || !isCumulative || !isWhole || count[0]!.value !== counts.at(-1)) {
      throw new Error(`${name} ${set}: not a histogram`);
    }
  }
}

function matched(pattern: RegExp, line: string): RegExpExecArray {
  const found = pattern.exec(line);
  if (!found) throw new Error(`${JSON.stringify(line)} is not as ${pattern} has it`);
  return found;
}
