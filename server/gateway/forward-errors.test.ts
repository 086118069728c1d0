import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { FORWARD_ERRORS } from './forward-errors.ts';
import { PARAMETER_NAMES } from './proxy-credentials.ts';

const README = readFileSync(resolve(import.meta.dirname, '../../README.md'), 'utf8');
const SECTION = README.slice(README.indexOf('## Use it as a proxy'), README.indexOf('## Redirect to a CDN'));

it('are listed in the README, each by its status, and so are the parameters', () => {
  const rows = new Map<string, number>();
  for (const [, status, words] of SECTION.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)) {
    for (const [, word] of words!.matchAll(/`([a-z_]+)`/g)) rows.set(word!, Number(status));
  }
  expect(Object.fromEntries(rows)).toEqual(FORWARD_ERRORS);
  for (const name of PARAMETER_NAMES) expect(SECTION).toContain(`\`${name}-`);
});
