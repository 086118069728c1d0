import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { maskAddress } from './masking.ts';
import { parsePool } from './pool-file.ts';
import { PROBLEMS_MAX } from './pool-intake.ts';
import { RECORD_BYTES_MAX, RECORD_DEPTH_MAX } from './pool-record.ts';

const BOUNDS = { resourcesMax: 50, knownResources: new Set<number>() };
const GOOD = { address: '10.0.0.1:3128', country: 'US', rpw: 7, resource_ids: [1, 2] };

function records(pool: unknown, bounds = BOUNDS): Record<string, unknown>[] {
  const parsed = parsePool(pool, bounds);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.records;
}

function problems(pool: unknown, bounds = BOUNDS): string[] {
  const parsed = parsePool(pool, bounds);
  if (parsed.ok) throw new Error('the pool was taken');
  return parsed.problems;
}

/** The problems of one record with `fields` in place of good ones, without the part that names the record. */
function faults(fields: object): string[] {
  return problems([{ ...GOOD, ...fields }]).map((problem) =>
    problem.replace(/^record 0: /, '').replace(' (records are counted from 0)', ''),
  );
}

describe('a pool', () => {
  it('is read from text or value alike', () => {
    expect(records(JSON.stringify([GOOD]))).toEqual([GOOD]);
    expect(records([GOOD])).toEqual([GOOD]);
    expect(records('[]')).toEqual([]);
  });

  it('is what the sample pool holds', () => {
    const sample = readFileSync(new URL('../../examples/pool.json', import.meta.url), 'utf8');
    expect(records(sample)).toHaveLength(10);
  });

  it('names line and column of malformed JSON, without quoting it', () => {
    expect(problems('[\n{"address": "http://u:secret@h:1" "country"}]')).toEqual([
      'line 2, column 35: expected "," or "}"',
    ]);
  });

  it.each([[{}], [null], ['{"address": "a:1"}'], [7]])('must be an array: %j', (pool) => {
    expect(problems(pool)).toEqual(['a pool is a JSON array of records']);
  });

  it('is refused as a whole, with every problem of every record', () => {
    const bad = { address: 'nowhere', country: '', rpw: -1, resource_ids: [0] };
    expect(problems([GOOD, bad, null])).toEqual([
      expect.stringMatching(/^record 1: address: must be host:port .*\(records are counted from 0\)$/),
      'record 1: country: must be a text of 1 to 64 characters',
      'record 1: rpw: must be an integer from 0 to 2147483647',
      'record 1: resource_ids: must be a list of positive integers',
      'record 2: must be an object',
    ]);
  });

  it('lists a bounded number of problems and counts the rest', () => {
    const listed = problems(Array.from({ length: PROBLEMS_MAX + 20 }, () => null));
    expect(listed).toHaveLength(PROBLEMS_MAX + 1);
    expect(listed.at(-1)).toBe('and 20 more');
  });

  it('names the earlier record of a duplicate address, masked', () => {
    const record = { ...GOOD, address: 'socks5://user:secret@h:1' };
    expect(problems([GOOD, record, record])).toEqual([
      'record 2: address: socks5://***@h:1 is that of record 1 already (records are counted from 0)',
    ]);
  });

  it('may reach the bound of resources and not exceed it, those known already included', () => {
    const pool = [
      { ...GOOD, address: 'a:1', resource_ids: [1, 2] },
      { ...GOOD, address: 'a:2', resource_ids: [2, 3] },
      { ...GOOD, address: 'a:3', resource_ids: [4, 5] },
    ];
    expect(records(pool, { resourcesMax: 5, knownResources: new Set([1]) })).toHaveLength(3);
    expect(problems(pool, { resourcesMax: 3, knownResources: new Set([1, 9]) })).toEqual([
      'record 1: resource_ids: 3 would be one resource more than 3 (resources_max) (records are counted from 0)',
      'record 2: resource_ids: 4 would be one resource more than 3 (resources_max)',
    ]);
  });
});

describe('a record', () => {
  it.each([
    'h:1',
    'proxy_1.internal-net:65535',
    '255.10.0.1:80',
    '[::1]:8080',
    '[::ffff:10.0.0.1]:1',
    'http://h:1',
    'HTTPS://user:p%40ss@example.com',
    'socks4://1.2.3.4:1080',
    'socks4a://h:1',
    'socks5h://user:pass@[2001:db8::1]:1080',
    'http://h:1/base',
  ])('keeps the address %s as written', (address) => {
    expect(records([{ ...GOOD, address }])[0]?.address).toBe(address);
  });

  it.each([
    '',
    'h',
    'h:0',
    'h:65536',
    ':1',
    '-h:1',
    '1.2.3:80',
    '1.2.3.256:80',
    '01.2.3.4:80',
    '[::1',
    '[::1]:0',
    '[1::2::3]:80',
    'h:1:user:secret',
    'user:secret@h:1',
    'ftp://h:1',
    'http://',
    'http:h:1',
    'http://h:0',
    'http://h:65536',
    'http://h:1?secret',
    'socks5://:1080',
    'socks5://256.1.1.1:1080',
    ' h:1',
    'http://h:1\n',
    `${'h'.repeat(2_048)}:1`,
    7,
    null,
  ])('is refused with the address %j, which the problem does not show', (address) => {
    const [fault, ...more] = faults({ address });
    expect(fault).toMatch(/^address: must /);
    expect(fault).not.toContain('secret');
    expect(more).toEqual([]);
  });

  it('takes the old spelling of resource_ids, but not both', () => {
    const { resource_ids, ...rest } = GOOD;
    expect(records([{ ...rest, resourse_ids: resource_ids }])).toEqual([GOOD]);
    expect(faults({ resourse_ids: [1] })).toEqual(['resource_ids: given twice, as resource_ids and as resourse_ids']);
    expect(faults({ resource_ids: undefined })).toEqual(['holds a value that is not JSON: undefined']);
    expect(problems([rest])[0]).toContain('resource_ids: must be a list of positive integers');
  });

  it('has each resource once and may have none', () => {
    expect(records([{ ...GOOD, resource_ids: [3, 1, 3] }])[0]?.resource_ids).toEqual([3, 1]);
    expect(records([{ ...GOOD, resource_ids: [] }])[0]?.resource_ids).toEqual([]);
  });

  it.each([[[0]], [[1.5]], [['1']], [[2 ** 53]], ['1'], [{}], [null]])(
    'refuses the resource_ids %j',
    (resource_ids) => {
      expect(faults({ resource_ids })).toEqual(['resource_ids: must be a list of positive integers']);
    },
  );

  it('has an rpw of 0 where it names none', () => {
    const { rpw: _, ...rest } = GOOD;
    expect(records([rest])[0]?.rpw).toBe(0);
    expect(faults({ rpw: '7' })).toEqual(['rpw: must be an integer from 0 to 2147483647']);
  });

  it.each([['\u00A0 '], ['x'.repeat(65)], [7], [null]])('refuses the country %j', (country) => {
    expect(faults({ country })).toEqual(['country: must be a text of 1 to 64 characters']);
  });

  it('checks labels and weight', () => {
    const fields = { labels: { tier: 'gold', '': 'x' }, weight: -1 };
    expect(faults(fields)).toEqual(['labels: a name has 1 to 256 characters', 'weight: must be a number from 0 on']);
    expect(faults({ labels: { tier: 1 } })).toEqual(['labels.tier: must be a text of at most 2048 characters']);
    expect(faults({ labels: ['gold'] })).toEqual(['labels: must be an object of texts']);
    const good = { ...GOOD, labels: { tier: 'gold' }, weight: 0.5 };
    expect(records([good])).toEqual([good]);
  });

  it('keeps every other field as it is', () => {
    const other = { ...GOOD, provider: { id: 'x', tags: [1, null, true, 'é'] }, note: '' };
    expect(records(JSON.stringify([other]))).toEqual([other]);
  });

  it('refuses what could not be given back the same', () => {
    expect(problems(`[{"address": "h:1", "country": "US", "resource_ids": [], "x": [{"__proto__": 1}]}]`)[0]).toContain(
      'the key __proto__ is not taken',
    );
    expect(faults({ note: '\uD800' })).toEqual(['holds half of a surrogate pair, which no encoding keeps']);
    expect(faults({ note: Number.NaN })).toEqual(['holds a number that JSON has no way to write']);
  });

  it('is bounded in depth', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 'x' : [nested(depth - 1)]);
    expect(records([{ ...GOOD, x: nested(RECORD_DEPTH_MAX - 1) }])).toHaveLength(1);
    expect(faults({ x: nested(RECORD_DEPTH_MAX) })).toEqual([`nested deeper than ${RECORD_DEPTH_MAX}`]);
    const bottomless = `[{"x": ${'['.repeat(200_000)}${']'.repeat(200_000)}}]`;
    expect(problems(bottomless)[0]).toContain('nested deeper');
  });

  it('is bounded in bytes, not characters', () => {
    const room = RECORD_BYTES_MAX - JSON.stringify({ ...GOOD, x: '' }).length;
    expect(records([{ ...GOOD, x: 'é'.repeat(Math.floor(room / 2)) }])).toHaveLength(1);
    expect(faults({ x: 'é'.repeat(Math.floor(room / 2) + 1) })).toEqual([`takes more than ${RECORD_BYTES_MAX} bytes`]);
  });
});

describe('maskAddress', () => {
  it.each([
    ['h:1', 'h:1'],
    ['http://h:1', 'http://h:1'],
    ['http://user:pass@h:1', 'http://***@h:1'],
    ['socks5h://user:p@ss@h:1', 'socks5h://***@h:1'],
    ['user:pass@h:1', '***@h:1'],
    ['http://user:pa/ss@h:1/base', 'http://***@h:1/base'],
  ])('shows %s as %s', (address, masked) => {
    expect(maskAddress(address)).toBe(masked);
  });
});
