import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from './parse-json.ts';

function message(text: string): string {
  const parsed = parseJson(text);
  if (parsed.ok) throw new Error(`taken: ${text}`);
  return parsed.message;
}

describe('parseJson', () => {
  it('gives the value, byte order mark or not', () => {
    expect(parseJson('[1, {"a": null}]')).toEqual({ ok: true, value: [1, { a: null }] });
    expect(parseJson('\uFEFF[]')).toEqual({ ok: true, value: [] });
  });

  it.each([
    ['', 'line 1, column 1: the text ends in the middle of a value'],
    ['[1,\n  2,\n]', 'line 3, column 1: expected a value'],
    ['{"a": 1,}', 'line 1, column 9: expected a key in double quotes'],
    ['{"a" 1}', 'line 1, column 6: expected ":"'],
    ['[1 2]', 'line 1, column 4: expected "," or "]"'],
    ['[] []', 'line 1, column 4: nothing may follow the value'],
    ['["a\nb"]', 'line 1, column 4: a control character in a string must be escaped'],
    ['["\\x"]', 'line 1, column 3: unknown escape in a string'],
    ['{"a": "b', 'line 1, column 7: this string has no closing quote'],
    ['[undefined]', 'line 1, column 2: expected a value'],
  ])('names the place in %j', (text, expected) => {
    expect(message(text)).toBe(expected);
  });

  it('never quotes the text', () => {
    expect(message('["http://user:secret@h:1" x]')).not.toContain('secret');
  });

  it('does not recurse', () => {
    expect(message('['.repeat(1_000_000))).toContain('column 1000001');
  });

  it('finds a place exactly where JSON.parse finds none', () => {
    const snippet = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"a"',
      '"',
      '\\',
      '\n',
      ' ',
      '-',
      '0',
      '1.5',
      'e3',
      'null',
      'x',
    );
    fc.assert(
      fc.property(fc.array(snippet, { maxLength: 12 }), (snippets) => {
        const text = snippets.join('');
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const parsed = parseJson(text);
        expect(parsed.ok).toBe(valid);
        if (!parsed.ok) expect(parsed.message).toMatch(/^line \d+, column \d+: /);
      }),
      { numRuns: 20_000 },
    );
  });
});
