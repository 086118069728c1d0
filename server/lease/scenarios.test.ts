import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../testing/lease-scenario.ts';

/** `REWRITE_SCENARIOS=1 npx vitest run server/lease/scenarios.test.ts` writes what comes out; read the diff. */
const isRewriting = process.env['REWRITE_SCENARIOS'] === '1';
const dir = join(import.meta.dirname, 'scenarios');

describe('lease scenarios', () => {
  for (const file of readdirSync(dir)) {
    it(`go as ${file} says`, () => {
      const path = join(dir, file);
      const expected = readFileSync(path, 'utf8');
      const actual = runScenario(expected);
      if (isRewriting) writeFileSync(path, actual);
      else expect(actual).toBe(expected);
    });
  }

  it('show a difference where the domain does something else', () => {
    const expected = 'pool\n  p1 US r7\n----\nimported added=2 updated=0 removed=0 unchanged=0\n';
    expect(runScenario(expected)).not.toBe(expected);
    expect(runScenario(runScenario(expected))).toBe(runScenario(expected));
  });
});
