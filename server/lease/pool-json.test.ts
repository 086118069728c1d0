import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from './parse-json.ts';
import { PoolIntake } from './pool-intake.ts';
import { ITEM_CHARACTERS_MAX, PoolJson } from './pool-json.ts';

/** What it hands on instead of checking it. */
class Taken extends PoolIntake {
  readonly values: [at: number, value: unknown][] = [];

  override take(at: number, value: unknown): void {
    this.values.push([at, value]);
  }
}

function read(text: string, cuts: readonly number[] = []) {
  const intake = new Taken({ resourcesMax: 50, knownResources: new Set() }, 'record');
  const reader = new PoolJson(intake);
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((one, other) => one - other), text.length];
  for (const [index, place] of places.entries()) reader.push(text.slice(place, places[index + 1] ?? text.length));
  reader.end();
  return { fault: reader.fault, values: intake.values, problems: intake.problems };
}

/** The same by JSON.parse of the whole. */
function readWhole(text: string) {
  const parsed = parseJson(text);
  if (!parsed.ok) return { fault: parsed.message };
  return { fault: undefined, values: [...(parsed.value as unknown[]).entries()], problems: [] };
}

const cuts = fc.array(fc.nat(), { maxLength: 8 });
const item = fc.oneof(fc.jsonValue(), fc.json(), fc.string({ unit: 'binary' }));
const indent = fc.constantFrom(0, 1, '\t', '\n');

describe('a pool as a JSON array', () => {
  it('is what JSON.parse makes of the whole, wherever the text is cut', () => {
    fc.assert(
      fc.property(fc.array(item), indent, cuts, (items, space, places) => {
        const text = JSON.stringify(items, undefined, space as string | number);
        expect(read(text, places)).toEqual(readWhole(text));
      }),
    );
  });

  it('names the same fault at the same place as for the whole', () => {
    const marks = fc.constantFrom('', ',', '[', ']', '{', '}', '"', '\\', ':', '\n', '1', 'x', ' ', '\u0001', 'null');
    fc.assert(
      fc.property(fc.array(item), indent, fc.nat(), fc.nat(3), marks, cuts, (items, space, at, gone, mark, places) => {
        const whole = JSON.stringify(items, undefined, space as string | number);
        const place = 1 + (at % whole.length);
        const text = whole.slice(0, place) + mark + whole.slice(place + gone);
        expect(read(text, places)).toMatchObject(readWhole(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '',
    ' \n ',
    '[',
    '[1',
    '[,1]',
    '[1,]',
    '[1,\n ]',
    '[1}',
    '[}',
    '[1] 2',
    '[{"a":1}}',
    '[{]}',
    '["a\nb", 1]',
    '["a',
  ])('refuses %j as the whole would be', (text) => {
    const { fault } = readWhole(text);
    expect(fault).toBeDefined();
    expect(read(text).fault).toBe(fault);
    expect(
      read(
        text,
        Array.from(text, (_, at) => at),
      ).fault,
    ).toBe(fault);
  });

  it.each(['{}', ' {"a": 1', '7', 'x'])('refuses %j, which begins as none', (text) => {
    expect(read(text).fault).toBe('a pool is a JSON array of records');
  });

  it('refuses a record that is too long, and goes on behind it', () => {
    const text = `[1,\n${JSON.stringify('[,"\\'.repeat(ITEM_CHARACTERS_MAX))}, 2,\n x]`;
    const { values, problems, fault } = read(text, [ITEM_CHARACTERS_MAX, 2 * ITEM_CHARACTERS_MAX]);
    expect(values).toEqual([
      [0, 1],
      [2, 2],
    ]);
    expect(problems).toEqual([{ at: 1, message: `has more than ${ITEM_CHARACTERS_MAX} characters` }]);
    expect(fault).toBe('line 3, column 2: expected a value');
  });
});
