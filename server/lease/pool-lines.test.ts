import { describe, expect, it } from 'vitest';
import { PoolIntake, parseOneRecord } from './pool-intake.ts';
import { LINE_CHARACTERS_MAX, PoolLines } from './pool-lines.ts';

const BOUNDS = { resourcesMax: 2, knownResources: new Set([1]) };
const line = (address: string, ...ids: number[]) => JSON.stringify({ address, country: 'US', resource_ids: ids });

function read(text: string, size = text.length + 1): PoolIntake {
  const intake = new PoolIntake(BOUNDS, 'line');
  const lines = new PoolLines(intake);
  for (let at = 0; at < text.length; at += size) lines.push(text.slice(at, at + size));
  lines.end();
  return intake;
}

describe('a pool as lines of JSON', () => {
  it('gives the good records, and of each other one the line and what is wrong with it', () => {
    const text = [
      line('a:1', 1),
      '',
      '{"address": "http://u:secret@h:1" "country"}',
      '[]',
      line('a:2', 1, 2),
      line('a:3', 1, 3),
      `${line('a:1', 1)}\r`,
      `"${'x'.repeat(LINE_CHARACTERS_MAX)}"`,
      line('a:4', 2),
    ].join('\n');
    for (const size of [1_000_000, 7, 1]) {
      const { records, problems, problemCount } = read(text, size);
      expect(records.map(({ address }) => address)).toEqual(['a:1', 'a:2', 'a:4']);
      expect(problems).toEqual([
        { at: 3, message: 'column 35: expected "," or "}"' },
        { at: 4, message: 'must be an object' },
        { at: 6, message: 'resource_ids: 3 would be one resource more than 2 (resources_max)' },
        { at: 7, message: 'address: a:1 is that of line 1 already' },
        { at: 8, message: `has more than ${LINE_CHARACTERS_MAX} characters` },
      ]);
      expect(problemCount).toBe(5);
    }
  });

  it('may be empty', () => {
    expect(read('').records).toEqual([]);
    expect(read('\n\r\n').problems).toEqual([]);
  });
});

describe('one record', () => {
  it('is taken, or refused with all that is wrong with it', () => {
    const record = { address: 'a:1', country: 'US', rpw: 0, resource_ids: [1, 2] };
    expect(parseOneRecord(record, BOUNDS)).toEqual({ ok: true, record });
    expect(parseOneRecord({ ...record, address: 'a', resource_ids: '1' }, BOUNDS)).toEqual({
      ok: false,
      problems: [expect.stringMatching(/^address: /), 'resource_ids: must be a list of positive integers'],
    });
  });

  it('brings in no resource where there are more than the bound already', () => {
    const record = { address: 'a:1', country: 'US', rpw: 0, resource_ids: [1, 9] };
    const knownResources = new Set([1, 2, 3]);
    expect(parseOneRecord(record, { resourcesMax: 2, knownResources })).toMatchObject({ ok: false });
    expect(parseOneRecord({ ...record, resource_ids: [1] }, { resourcesMax: 2, knownResources }).ok).toBe(true);
  });
});
