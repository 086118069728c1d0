import * as v from 'valibot';
import { expect, it } from 'vitest';
import { addressHealth } from './address-health-settings.ts';

function faultsOf(given: unknown): string[] {
  const { issues = [] } = v.safeParse(addressHealth, given);
  return issues.map((issue) => `${v.getDotPath(issue) ?? ''}: ${issue.message}`);
}

const http = { type: 'http', url: 'https://example.com/health?x=1' };

it('takes what is set, and the defaults for the rest', () => {
  expect(v.parse(addressHealth, { ...http, expect: [200, 204], down: 1 })).toMatchObject({
    ...http,
    expect: [200, 204],
    down: 1,
    up: 2,
    intervalMs: 30_000,
  });
});

it.each([
  [[], ': must be an object'],
  [{ type: 'icmp' }, 'type: must be one of tcp, http'],
  [{ type: 'http' }, 'url: is needed where type is http'],
  [{ type: 'tcp', url: 'http://example.com/' }, 'url: is only for type http'],
  [{ url: 'http://example.com/' }, 'url: is only for type http'],
  [{ type: 'tcp', expect: [200] }, 'expect: is only for type http'],
  [{ ...http, url: 'ftp://example.com/' }, 'url: must be an http or https URL without credentials or a fragment'],
  [{ ...http, url: 'http://user:pw@h/' }, 'url: must be an http or https URL without credentials or a fragment'],
  [{ ...http, expect: [] }, 'expect: must be a list of 1 to 100 statuses'],
  [{ ...http, expect: [99] }, 'expect.0: must be an integer from 200 to 599'],
  [{ type: 'tcp', interval_ms: 1 }, 'interval_ms: must be an integer from 100 to 86400000'],
  [{ type: 'tcp', unhealthy_share_max: 2 }, 'unhealthy_share_max: must be a number from 0 to 1'],
])('refuses %j', (given, fault) => expect(faultsOf(given)).toEqual([fault]));

it('names the fields where it is given one that is none', () => {
  expect(faultsOf({ kind: 'tcp' })).toEqual([expect.stringMatching(/^kind: is not part of it \(type, url, expect, /)]);
});
