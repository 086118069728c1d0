import { describe, expect, it } from 'vitest';
import { readCredentials } from './proxy-credentials.ts';
import { readWanted } from './proxy-parameters.ts';

// The form of a key, secret with dashes and all; nobody's.
const KEY = `lh_0123456789abcdef_${'a-_'.repeat(10)}-9`;
const DEFAULTS = { resource: undefined, sessionIdleMs: 60_000 };

function header(user: string, password = ''): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function wanted(user: string, defaults: typeof DEFAULTS | { resource: number; sessionIdleMs: number } = DEFAULTS) {
  const credentials = readCredentials(header(user));
  if (credentials.type !== 'credentials') throw new Error(JSON.stringify(credentials));
  return readWanted(credentials.parameters, defaults);
}

describe('credentials of the proxy', () => {
  it.each([
    [KEY, '', KEY, 0],
    [`${KEY}-resource-7-country-us`, '', KEY, 2],
    [`${KEY}-resource-7`, 'ignored', KEY, 1],
    ['resource-7-country-us', KEY, KEY, 2],
    ['user-resource-7', KEY, KEY, 1],
    ['user-resource-7', 'op:erator', 'op:erator', 1],
    ['user-resource-7', '', undefined, 1],
    ['user', '', undefined, 0],
    ['', KEY, KEY, 0],
    ['USER-Resource-7', '', undefined, 1],
  ])('are read of %s:%s', (user, password, key, count) => {
    const read = readCredentials(header(user, password));
    expect(read).toMatchObject({ type: 'credentials', key });
    expect(read.type === 'credentials' && read.parameters.length).toBe(count);
  });

  it('may be missing or no credentials at all', () => {
    expect(readCredentials(undefined)).toEqual({ type: 'missing' });
    for (const text of ['Bearer abc', 'Basic', 'Basic !!!', 'Basic YQ==', `Digest ${KEY}`]) {
      expect(readCredentials(text)).toEqual({ type: 'malformed' });
    }
  });

  it("of a key that was mistyped are that text, which is nobody's", () => {
    const read = readCredentials(header(`${KEY}x-resource-7`));
    expect(read).toEqual({ type: 'credentials', key: `${KEY}x-resource-7`, parameters: [] });
  });

  it.each([
    ['user-resource', 'resource', 'needs a value'],
    ['user-resource-7-resource-8', 'resource', 'given twice'],
    ['user-resource-7-label-speed', 'label', 'needs a name and a value'],
    ['user-resource-7-label-a-1-label-a-2', 'label', 'given twice'],
    ['user-resource-7-session-%zz', 'session', 'encodes nothing'],
    ['user-resource-7-session--country-us', 'session', 'needs a value'],
    ['user-resource-7-continent-eu', 'continent', 'is no parameter'],
  ])('say what is wrong with %s', (user, parameter, message) => {
    expect(readCredentials(header(user))).toMatchObject({
      type: 'bad_parameter',
      parameter,
      message: expect.stringContaining(message),
    });
  });
});

describe('parameters', () => {
  it('say what is to be leased', () => {
    const user =
      'user-resource-7-country-us,CA-city-new%20york-label-tier-fast%2Done-rpw-500-strategy-least_used-sticky-abc-session-s1-idle-30-sessionduration-10';
    expect(wanted(user)).toEqual({
      type: 'wanted',
      wanted: {
        resource: 7,
        where: {
          country: { in: ['us', 'CA'] },
          rpw: { lte: 500 },
          labels: { city: { eq: 'new york' }, tier: { eq: 'fast-one' } },
        },
        strategy: 'least_used',
        sticky: 'abc',
        session: { name: 's1', idleMs: 30_000, durationMs: 600_000 },
      },
    });
  });

  it('have defaults where there are any', () => {
    expect(wanted('user-session-a', { resource: 3, sessionIdleMs: 5_000 })).toEqual({
      type: 'wanted',
      wanted: { resource: 3, session: { name: 'a', idleMs: 5_000 } },
    });
  });

  it.each([
    ['user', 'resource', 'must be given'],
    ['user-resource-0', 'resource', 'id of a resource'],
    ['user-resource-99999999999999999', 'resource', 'id of a resource'],
    ['user-resource-7-country-us,', 'country', 'us,ca'],
    ['user-resource-7-rpw-many', 'rpw', 'requests'],
    ['user-resource-7-strategy-best', 'strategy', 'round_robin'],
    ['user-resource-7-idle-5', 'idle', 'needs a session'],
    ['user-resource-7-session-a-idle-61', 'idle', 'from 1 to 60'],
    ['user-resource-7-session-a-sessionduration-0', 'sessionduration', 'minutes'],
    [`user-resource-7-session-${'a'.repeat(257)}`, 'session', 'more than 256'],
    ['user-resource-7-city-a-label-city-b', 'label', 'given twice'],
    ['user-resource-7-label-__proto__-b', 'label', 'not taken'],
  ])('of %s are refused', (user, parameter, message) => {
    expect(wanted(user)).toMatchObject({
      type: 'bad_parameter',
      parameter,
      message: expect.stringContaining(message),
    });
  });
});
