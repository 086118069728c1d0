import { expect, it } from 'vitest';
import { parsePrometheusText } from './prometheus-text.ts';

const GAUGE = '# HELP a_bytes What it is.\n# TYPE a_bytes gauge\n';
const HISTOGRAM = '# HELP b_seconds Time.\n# TYPE b_seconds histogram\n';
const BUCKETS = 'b_seconds_bucket{le="1"} 1\nb_seconds_bucket{le="+Inf"} 2\n';

it('reads families and their samples', () => {
  const text = `${GAUGE}a_bytes{x="1",y="a \\"b\\" \\\\ c"} -2.5e-7\n\n${HISTOGRAM}${BUCKETS}b_seconds_sum 3\nb_seconds_count 2\n`;
  const { families, series } = parsePrometheusText(text);
  expect(families).toEqual([
    { name: 'a_bytes', type: 'gauge', help: 'What it is.' },
    { name: 'b_seconds', type: 'histogram', help: 'Time.' },
  ]);
  expect(series.get('a_bytes{x="1",y="a \\"b\\" \\\\ c"}')).toBe(-2.5e-7);
  expect(series.size).toBe(5);
});

it.each([
  ['an end in the middle of a line', `${GAUGE}a_bytes 1`],
  ['a sample without help', '# TYPE a_bytes gauge\na_bytes 1\n'],
  ['a sample without type', '# HELP a_bytes What.\na_bytes 1\n'],
  ['help of nothing', '# HELP a_bytes \n# TYPE a_bytes gauge\n'],
  ['a type that there is not', '# HELP a_bytes What.\n# TYPE a_bytes number\na_bytes 1\n'],
  ['a sample of another family', `${GAUGE}c_bytes 1\n`],
  ['a bucket of a gauge', `${GAUGE}a_bytes_bucket{le="1"} 1\n`],
  ['a value that is no number', `${GAUGE}a_bytes Nan\n`],
  ['no value', `${GAUGE}a_bytes\n`],
  ['a label without quotes', `${GAUGE}a_bytes{x=1} 1\n`],
  ['a label that is not escaped', `${GAUGE}a_bytes{x="a"b"} 1\n`],
  ['a label twice', `${GAUGE}a_bytes{x="1",x="2"} 1\n`],
  ['a sample twice', `${GAUGE}a_bytes 1\na_bytes 2\n`],
  ['a family twice', `${GAUGE}a_bytes 1\n\n${GAUGE}a_bytes{x="1"} 1\n`],
  ['a counter below zero', '# HELP a_total What.\n# TYPE a_total counter\na_total -1\n'],
  [
    'buckets that fall',
    `${HISTOGRAM}b_seconds_bucket{le="1"} 3\nb_seconds_bucket{le="+Inf"} 2\nb_seconds_sum 1\nb_seconds_count 2\n`,
  ],
  ['buckets without end', `${HISTOGRAM}b_seconds_bucket{le="1"} 3\nb_seconds_sum 1\nb_seconds_count 3\n`],
  ['a count that is another than that of its buckets', `${HISTOGRAM}${BUCKETS}b_seconds_sum 1\nb_seconds_count 3\n`],
  ['a histogram without sum', `${HISTOGRAM}${BUCKETS}b_seconds_count 2\n`],
])('refuses %s', (_, text) => {
  expect(() => parsePrometheusText(text)).toThrow();
});
