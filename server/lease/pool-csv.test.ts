import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CSV_COLUMNS_MAX, CSV_RECORD_CHARACTERS_MAX, PoolCsv } from './pool-csv.ts';
import { PoolIntake } from './pool-intake.ts';

const HEADER = 'address,country,rpw,resource_ids\n';

/** Fed piece by piece, `size` characters each. */
function read(text: string, size = text.length + 1): PoolIntake {
  const intake = new PoolIntake({ resourcesMax: 50, knownResources: new Set() }, 'line');
  const csv = new PoolCsv(intake);
  for (let at = 0; at < text.length; at += size) csv.push(text.slice(at, at + size));
  csv.end();
  return intake;
}

function records(text: string): object[] {
  const { problems, records: good } = read(text);
  expect(problems).toEqual([]);
  return good;
}

function problems(text: string): string[] {
  return read(text).problems.map(({ at, message }) => `${at}: ${message}`);
}

describe('a pool as CSV', () => {
  it('has a record a line, with what its columns say', () => {
    const text = [
      '\uFEFFaddress, country ,rpw,resource_ids,weight,labels.tier,labels.zone,provider',
      'http://u:p@a:1,US,12,7;8 9,0.5,gold,, two words ',
      '"a:2","CA",,,,,"x, ""y""\nz",',
    ].join('\r\n');
    expect(records(text)).toEqual([
      {
        address: 'http://u:p@a:1',
        country: 'US',
        rpw: 12,
        resource_ids: [7, 8, 9],
        weight: 0.5,
        labels: { tier: 'gold' },
        provider: ' two words ',
      },
      { address: 'a:2', country: 'CA', rpw: 0, resource_ids: [], labels: { zone: 'x, "y"\nz' } },
    ]);
  });

  it('names the line on which a bad record begins, shows nothing of it, and goes on behind it', () => {
    const text = `${HEADER}
a:1,US,0,"1
;x"
a:1,"US,CA",many,2
a:2,US
a:2,US,0,3,4,5
a:2,U"secret"S,0,3
a:2,"US"secret,0,3
a:2,US,0,3
a:2,US,0,3`;
    expect(problems(text)).toEqual([
      '3: resource_ids: must be a list of positive integers',
      '5: rpw: must be an integer from 0 to 2147483647',
      '6: has 2, fewer columns than the 4 that the first line names',
      '7: has more columns than the 4 that the first line names',
      "8: column 2: a quote inside a cell that doesn't begin with one",
      '9: column 2: something follows the closing quote',
      '11: address: a:2 is that of line 10 already',
    ]);
    expect(read(text).records).toHaveLength(1);
  });

  it.each([
    ['', '1: names no columns: the first line has to'],
    ['\n\n', '3: names no columns: the first line has to'],
    ['a:1,US,0,7\n', '1: names no column address: the first line has to name the columns'],
    ['address,country,resource_ids,\na:1,US,1,', '1: column 4: has no name of its own that could be taken'],
    ['address,country,resource_ids,country\n', '1: column 4: has no name of its own that could be taken'],
    ['address,country,resource_ids,labels\n', '1: column 4: has no name of its own that could be taken'],
    ['address,country,resource_ids,labels.__proto__\n', '1: column 4: has no name of its own that could be taken'],
    [`address,country,resource_ids${',x'.repeat(CSV_COLUMNS_MAX)}\n`, `1: names more than ${CSV_COLUMNS_MAX} columns`],
  ])('is read no further where its first line is %j', (text, problem) => {
    expect(problems(`${text}`)).toEqual([problem]);
  });

  it('loses no more than the record that is too long, unless a quote is never closed', () => {
    const long = 'x'.repeat(CSV_RECORD_CHARACTERS_MAX);
    const tooLong = `2: has more than ${CSV_RECORD_CHARACTERS_MAX} characters`;
    expect(problems(`${HEADER}a:1,${long},0,\na:2,US,0,`)).toEqual([tooLong]);
    expect(read(`${HEADER}a:1,${long},0,\na:2,US,0,`).records).toHaveLength(1);
    const open = `${HEADER}a:1,"${long},0,\na:2,US,0,\n`;
    expect(problems(open)).toEqual([`${tooLong}; is a quote not closed? Nothing behind it was read`]);
    expect(problems(`${HEADER}a:1,"US`)).toEqual(['2: a quote is not closed']);
  });

  it('is the same, wherever the text is cut', () => {
    const text = `${HEADER}"a:1","U""S",1,"7;8"\r\n\r\na:2,CA,,\r\n"a:3","x\r\n",0,1\r\n`;
    const whole = read(text);
    for (let size = 1; size <= 12; size += 1) {
      const { records: good, problems: bad } = read(text, size);
      expect([good, bad]).toEqual([whole.records, whole.problems]);
    }
  });

  it('gives back every text that was quoted', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ';', ' ', 'é'), minLength: 1 });
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 9 }), (cells, size) => {
        const names = cells.map((_, index) => `x${index}`);
        const quoted = cells.map((text) => `"${text.replaceAll('"', '""')}"`);
        const text = `address,country,resource_ids,${names.join(',')}\na:1,US,1,${quoted.join(',')}`;
        const [record] = read(text, size).records;
        // A cell of spaces alone is an empty one.
        const expected = cells.map((one) => (one.trim() === '' ? undefined : one));
        expect(names.map((name) => record![name])).toEqual(expected);
      }),
    );
  });
});
