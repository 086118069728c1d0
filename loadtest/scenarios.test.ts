import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SCENARIOS } from './scenarios.ts';

const FOLDER = resolve(import.meta.dirname, 'scenarios');

it('are all to be run, and all in the README', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yml'));
  expect(files.map((name) => name.replace('.yml', '')).sort()).toEqual(Object.keys(SCENARIOS).sort());
  const readme = readFileSync(resolve(import.meta.dirname, 'README.md'), 'utf8');
  expect(Object.keys(SCENARIOS).filter((name) => !readme.includes(`| \`${name}\` |`))).toEqual([]);
});

describe.each(Object.entries(SCENARIOS))('%s', (name, { variables, derived, seconds }) => {
  const text = readFileSync(resolve(FOLDER, `${name}.yml`), 'utf8');

  it('refers to no variable that it is not given', () => {
    const given = ['url', 'seconds', ...Object.keys({ ...variables, ...derived?.(variables, seconds) })];
    const named = [...text.matchAll(/\{\{ ([a-z]\w*) \}\}/g)].map(([, variable]) => variable!);
    expect(named.filter((variable) => !given.includes(variable))).toEqual([]);
    expect(text.match(/\{\{/g)).toHaveLength([...text.matchAll(/\{\{ \$?\w+ \}\}/g)].length);
  });

  it('has thresholds that fail a run', () => {
    expect(text).toMatch(/^ {4}ensure:\n {6}conditions:\n {8}- expression: /m);
  });
});
