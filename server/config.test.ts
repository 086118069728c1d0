import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ADDRESS_HEALTH_FIELDS } from './address-health-settings.ts';
import { CONFIG_LENGTH_MAX, type Config, loadConfig, POLICIES_CHARACTERS_MAX, VERSION, variableOf } from './config.ts';
import { BAN_MAX_MS } from './lease/policy.ts';
import { POLICY_FIELDS } from './policy-settings.ts';
import { ROUTE_POLICY_FIELDS } from './route-settings.ts';
import { defaultText, isLoopback, SETTING_NAMES } from './settings.ts';

interface Given {
  argv?: string[];
  env?: Record<string, string>;
  /** Text of `config.json`; given, LEASEHOLD_CONFIG names it. */
  file?: unknown;
}

function load({ argv = [], env = {}, file }: Given) {
  const files = new Map<string, string>();
  if (file !== undefined) files.set('config.json', typeof file === 'string' ? file : JSON.stringify(file));
  return loadConfig({
    argv,
    env: { PATH: '/bin', ...(file === undefined ? {} : { LEASEHOLD_CONFIG: 'config.json' }), ...env },
    readFile(path) {
      const text = files.get(path);
      if (text === undefined) throw new Error('ENOENT: no such file');
      return text;
    },
  });
}

function config(given: Given): Config {
  const loaded = load(given);
  if (loaded.ok !== true) throw new Error(JSON.stringify(loaded));
  return loaded.config;
}

function problems(given: Given): string[] {
  const loaded = load(given);
  if (loaded.ok !== false) throw new Error(`taken: ${JSON.stringify(given)}`);
  return loaded.problems;
}

function printed(given: Given): string {
  const loaded = load(given);
  if (loaded.ok !== 'help') throw new Error('nothing to print');
  return loaded.text;
}

describe('where settings come from', () => {
  it('has a default for all that needs a value', () => {
    expect(config({})).toEqual({
      host: '127.0.0.1',
      port: 7_400,
      adminHost: '127.0.0.1',
      adminPort: 7_401,
      gatewayHost: '127.0.0.1',
      forwardResolve: 'here',
      forwardAllow: [],
      forwardDeniedPorts: [25],
      forwardRetries: 2,
      forwardConnectTimeoutMs: 10_000,
      forwardResponseTimeoutMs: 60_000,
      forwardTunnelIdleMs: 300_000,
      forwardSessionIdleMs: 60_000,
      forwardSessionsMax: 10_000,
      forwardClientSessionsMax: 1_000,
      forwardClientRequestsMax: 1_000,
      forwardBanStatuses: [],
      cdnHost: 'cdn.example.com',
      distributionRate: 10,
      addressHealth: {
        intervalMs: 30_000,
        jitter: 0.1,
        timeoutMs: 5_000,
        concurrencyMax: 100,
        up: 2,
        down: 3,
        trafficDown: 5,
        ejectionMs: 30_000,
        ejectionMaxMs: 300_000,
        unhealthyShareMax: 0.5,
      },
      routes: [],
      trustedProxies: [],
      dataDir: 'snapshots',
      poolReplace: false,
      transport: 'auto',
      logLevel: 'info',
      heartbeatMs: 10_000,
      helloTimeoutMs: 10_000,
      resumeWindowMaxMs: 300_000,
      drainMs: 1_000,
      apiKeys: false,
      sessionsMax: 50_000,
      socketsPerIpMax: 25_000,
      httpConnectionsMax: 10_000,
      httpConnectionsPerIpMax: 5_000,
      outboxBytesMax: 1_048_576,
      allowedOrigins: [],
      resourcesMax: 50,
      segmentBytes: 16_777_216,
      snapshotBytes: 67_108_864,
      snapshotAgeMs: 3_600_000,
      snapshotsKept: 2,
      resourceDefaults: { ttlMinMs: 200, ttlMaxMs: 604_800_000 },
      resources: new Map(),
    });
  });

  it('takes flags before variables, variables before the file', () => {
    const file = { data_dir: 'by-file', host: '10.0.0.1', port: 1, drain_ms: 1 };
    const env = { LEASEHOLD_DATA_DIR: 'by-env', LEASEHOLD_HOST: '10.0.0.2', LEASEHOLD_PORT: '2' };
    const loaded = config({ file, env, argv: ['--data-dir', 'by-flag', '--host=10.0.0.3'] });
    expect(loaded).toMatchObject({ dataDir: 'by-flag', host: '10.0.0.3', port: 2, drainMs: 1 });
  });

  it('finds the file by flag, before the one named by the variable', () => {
    const loaded = load({ argv: ['--config', 'config.json'], env: { LEASEHOLD_CONFIG: 'missing' }, file: { port: 5 } });
    expect(loaded).toMatchObject({ ok: true, config: { port: 5, config: 'config.json' } });
  });

  it('takes a variable that is set to nothing as not set', () => {
    expect(config({ env: { LEASEHOLD_POOL: '', LEASEHOLD_PORT: '' } })).toMatchObject({ port: 7_400 });
  });

  it('reads every kind of value from flags and variables', () => {
    const loaded = config({
      argv: ['--pool-replace', '--port', '0', '--resource-defaults={"ttl_max_ms":60000}'],
      env: {
        LEASEHOLD_ALLOWED_ORIGINS: 'https://a.example, http://b.example:8080',
        LEASEHOLD_RESOURCES: '{"7": {"max_leases": 1}}',
        LEASEHOLD_RATE_CAPACITY: '100',
        LEASEHOLD_RATE_PER_SEC: '.5',
      },
    });
    expect(loaded.poolReplace).toBe(true);
    expect(loaded).toMatchObject({ rateCapacity: 100, ratePerSec: 0.5 });
    expect(loaded.port).toBe(0);
    expect(loaded.allowedOrigins).toEqual(['https://a.example', 'http://b.example:8080']);
    expect(loaded.resourceDefaults).toEqual({ ttlMinMs: 200, ttlMaxMs: 60_000 });
    expect(loaded.resources).toEqual(new Map([[7, { maxLeases: 1, ttlMinMs: 200, ttlMaxMs: 60_000 }]]));
  });

  it.each([
    [['--pool-replace'], true],
    [['--no-pool-replace'], false],
    [['--pool-replace=false'], false],
    [['--pool-replace=1'], true],
    [['--pool-replace', '--no-pool-replace'], false],
  ])('reads %j as %s, whatever the variable says', (argv, expected) => {
    const loaded = config({ argv, env: { LEASEHOLD_POOL_REPLACE: String(!expected) } });
    expect(loaded.poolReplace).toBe(expected);
  });

  it('takes the last of a flag given more than once', () => {
    expect(config({ argv: ['--port', '1', '--port', '2'] }).port).toBe(2);
  });
});

describe('problems', () => {
  it('come all at once, each with its source and setting', () => {
    const found = problems({
      argv: ['--port', 'abc', '--transport=tcp', '--data-dir', '--drain-ms', '-1', 'stray'],
      env: { LEASEHOLD_ADMIN_PORT: '70000', LEASEHOLD_POOL_REPLACE: 'maybe', LEASEHOLD_RESOURCES: '{"7": }' },
      file: { resources: { 7: { max_leases: 0, cooldown: 1 }, x: {} }, heartbeat_ms: '5', allowed_origins: ['*'] },
    });
    expect(new Set(found)).toEqual(
      new Set([
        '--data-dir: needs a value',
        'unexpected argument "stray"',
        '--port: must be an integer from 0 to 65535, not "abc"',
        '--transport: must be one of auto, uws, ws, not "tcp"',
        '--drain-ms: must be an integer from 0 to 600000, not -1',
        'LEASEHOLD_ADMIN_PORT: must be an integer from 0 to 65535, not 70000',
        'LEASEHOLD_POOL_REPLACE: must be true or false, not "maybe"',
        'LEASEHOLD_RESOURCES: line 1, column 7: expected a value',
        'config.json: heartbeat_ms: must be an integer from 100 to 60000, not "5"',
        'config.json: allowed_origins[0]: must be an origin as browsers send it, like https://app.example.com, not "*"',
        'config.json: resources.7.max_leases: must be an integer from 1 to 9007199254740991, not 0',
        `config.json: resources.7.cooldown: is not part of a policy (${POLICY_FIELDS.join(', ')})`,
        'config.json: resources.x: must have positive integers as keys, the ids of resources, not "x"',
      ]),
    );
  });

  it('are found in a value that another source overrides, too', () => {
    expect(problems({ argv: ['--port', '1'], env: { LEASEHOLD_PORT: 'x' } })).toEqual([
      'LEASEHOLD_PORT: must be an integer from 0 to 65535, not "x"',
    ]);
  });

  it('name what an unknown name may have meant', () => {
    const found = problems({
      argv: ['--prot', '7400', '--zzz=1'],
      env: { LEASEHOLD_DATADIR: 'x' },
      file: { pool_file: 'x', config: 'y' },
    });
    expect(found).toEqual([
      '--prot: unknown flag; did you mean --port?',
      '--zzz: unknown flag',
      'LEASEHOLD_DATADIR: unknown variable; did you mean LEASEHOLD_DATA_DIR?',
      'config.json: pool_file: unknown setting',
      'config.json: config: unknown setting',
    ]);
  });

  it.each([
    ['[]', 'config.json: must be an object of settings'],
    ['{"port": 1,}', 'config.json: line 1, column 12: expected a key in double quotes'],
    [' '.repeat(CONFIG_LENGTH_MAX + 1), `config.json: longer than ${CONFIG_LENGTH_MAX} characters`],
  ])('name a file that holds no settings', (file, expected) => {
    expect(problems({ file })).toEqual([expected]);
  });

  it('name a file that cannot be read by whoever named it', () => {
    expect(problems({ argv: ['--config', 'none.json'] })).toEqual([
      "--config: can't read none.json: ENOENT: no such file",
    ]);
    expect(problems({ env: { LEASEHOLD_CONFIG: 'none.json' } })[0]).toMatch(/^LEASEHOLD_CONFIG: can't read/);
  });

  it.each(['a b', '-x', 'x..y', '1.2.3', '256.1.1.1', 'a/b', ''])('refuse the host %j', (host) => {
    expect(problems({ argv: [`--host=${host}`] })).toEqual([
      `--host: must be an IP address or a host name, not ${JSON.stringify(host)}`,
    ]);
  });

  it('say where two listeners would share a port', () => {
    expect(problems({ argv: ['--port', '7401'] })).toEqual([
      '--admin-port: 7401 is the port of the WebSocket listener already',
    ]);
    expect(config({ argv: ['--port=0', '--admin-port=0'] })).toMatchObject({ port: 0, adminPort: 0 });
    expect(config({ argv: ['--port=9', '--admin-port=9', '--host=127.0.0.2'] })).toMatchObject({ port: 9 });
  });

  it('say where a certificate comes without its key, or a key without its certificate', () => {
    expect(problems({ argv: ['--tls-cert', 'a.crt'], env: { LEASEHOLD_ADMIN_TLS_KEY: 'a.key' } })).toEqual([
      '--tls-cert: needs --tls-key, too',
      'LEASEHOLD_ADMIN_TLS_KEY: needs --admin-tls-cert, too',
    ]);
    const together = { file: { tls_cert: 'a.crt' }, argv: ['--tls-key', 'a.key'] };
    expect(config(together)).toMatchObject({ tlsCert: 'a.crt', tlsKey: 'a.key' });
  });

  it('say where a limit is only half of one, or no number', () => {
    expect(problems({ env: { LEASEHOLD_RATE_CAPACITY: '5' } })).toEqual([
      'LEASEHOLD_RATE_CAPACITY: needs --rate-per-sec, too',
    ]);
    expect(problems({ argv: ['--rate-per-sec=5'] })).toEqual(['--rate-per-sec: needs --rate-capacity, too']);
    expect(problems({ argv: ['--rate-per-sec=-1', '--rate-capacity=1.5'] })).toEqual([
      '--rate-capacity: must be an integer from 1 to 1000000000, not "1.5"',
      '--rate-per-sec: must be a number from 0 to 1000000, not -1',
    ]);
    expect(problems({ file: { rate_capacity: 1, rate_per_sec: '1' } })).toEqual([
      'config.json: rate_per_sec: must be a number from 0 to 1000000, not "1"',
    ]);
    expect(config({ argv: ['--rate-per-sec=1e3', '--rate-capacity=1'] })).toMatchObject({ ratePerSec: 1_000 });
  });

  it('say where policies cannot be kept together', () => {
    expect(
      problems({ file: { resource_defaults: { ttl_max_ms: 1_000 }, resources: { 7: { ttl_min_ms: 5_000 } } } }),
    ).toEqual(['config.json: resources: 7: ttl_min_ms (5000) is above ttl_max_ms (1000)']);
    expect(problems({ argv: ['--resources-max=1'], file: { resources: { 7: {}, 8: {} } } })).toEqual([
      'config.json: resources: names 2 resources, --resources-max allows 1',
    ]);
  });

  it('bound the segment to whole sectors', () => {
    expect(problems({ argv: ['--segment-bytes=5000001'] })).toEqual([
      '--segment-bytes: must be a multiple of 512, not 5000001',
    ]);
  });
});

describe('policies', () => {
  const policy = {
    max_leases: 5,
    max_leases_per_client: 2,
    ttl_min_ms: 1_000,
    ttl_max_ms: 60_000,
    where: { or: [{ country: { in: ['US', 'CA'] } }, { not: { labels: { site: { exists: true } } } }] },
    strategy: 'two_choices',
    cooldown_ms: { released: 0, session_lost: 5_000 },
    handover: 'safe',
    ban_ms: 60_000,
    ban_max_ms: 3_600_000,
    ban_decay_ms: 7_200_000,
    ban_address_after: 3,
    slow_share: 0.5,
    slow_interval_ms: 250,
    revoke_deadline_ms: 10_000,
  };

  it('say all that can be said of a resource, and nothing that they were not told', () => {
    expect(new Set(Object.keys(policy))).toEqual(new Set(POLICY_FIELDS));
    expect(config({ file: { resource_defaults: policy } }).resourceDefaults).toEqual({
      maxLeases: 5,
      maxLeasesPerClient: 2,
      ttlMinMs: 1_000,
      ttlMaxMs: 60_000,
      where: policy.where,
      strategy: 'two_choices',
      cooldownMs: { released: 0, session_lost: 5_000 },
      handover: 'safe',
      banMs: 60_000,
      banMaxMs: 3_600_000,
      banDecayMs: 7_200_000,
      banAddressAfter: 3,
      slowShare: 0.5,
      slowIntervalMs: 250,
      revokeDeadlineMs: 10_000,
    });
    const { resources } = config({ argv: [`--resources=${JSON.stringify({ 7: policy, 8: {} })}`] });
    expect(resources.get(7)).toEqual(config({ file: { resource_defaults: policy } }).resourceDefaults);
    expect(resources.get(8)).toEqual({ ttlMinMs: 200, ttlMaxMs: 604_800_000 });
  });

  it('of one resource come over the defaults field by field, cool-downs kind by kind', () => {
    const { resources } = config({
      file: {
        resource_defaults: { where: { country: { eq: 'US' } }, strategy: 'random', cooldown_ms: 100, ban_ms: 1_000 },
        resources: {
          7: { where: {}, cooldown_ms: { revoked: 0, session_lost: 9_000 }, ban_max_ms: 5_000 },
          8: { strategy: 'sticky', cooldown_ms: 7 },
        },
      },
    });
    const usual = { ttlMinMs: 200, ttlMaxMs: 604_800_000, banMs: 1_000 };
    expect(resources.get(7)).toEqual({
      ...usual,
      where: {},
      strategy: 'random',
      cooldownMs: { released: 100, expired: 100, revoked: 0, session_lost: 9_000 },
      banMaxMs: 5_000,
    });
    expect(resources.get(8)).toEqual({
      ...usual,
      where: { country: { eq: 'US' } },
      strategy: 'sticky',
      cooldownMs: { released: 7, expired: 7, revoked: 7, session_lost: 7 },
    });
  });

  it.each([
    [{ where: { country: { in: 'US' } } }, 'where.country.in: Invalid type: Expected Array but received "US"'],
    [
      { where: { and: [{}, { rpw: { lt: '5' } }] } },
      'where.and[1].rpw.lt: Invalid type: Expected number but received "5"',
    ],
    [{ where: { were: 1 } }, 'where.were: unknown field'],
    [{ where: { and: [{ labels: [] }] } }, 'where.and[0].labels: labels are a map'],
    [{ where: [] }, 'where: a condition is a map'],
    [{ cooldown_ms: -1 }, 'cooldown_ms: must be an integer from 0 to 2592000000, not -1'],
    [
      { cooldown_ms: [] },
      'cooldown_ms: must be an integer from 0 to 2592000000, ' +
        'or an object of such by kind of end (released, expired, revoked, session_lost), not []',
    ],
    [{ cooldown_ms: { expired: 0.5 } }, 'cooldown_ms.expired: must be an integer from 0 to 2592000000, not 0.5'],
    [{ cooldown_ms: { lost: 1 } }, 'cooldown_ms.lost: is no kind of end (released, expired, revoked, session_lost)'],
    [{ handover: 'slow' }, 'handover: must be one of fast, safe, not "slow"'],
    [{ ban_ms: 0 }, 'ban_ms: must be an integer from 1 to 2592000000, not 0'],
    [{ ban_ms: 1, ban_max_ms: 1e12 }, 'ban_max_ms: must be an integer from 1 to 2592000000, not 1000000000000'],
    [{ ban_ms: 1, ban_decay_ms: 0 }, 'ban_decay_ms: must be an integer from 1 to 2592000000, not 0'],
    [{ ban_ms: 1, ban_address_after: 0 }, 'ban_address_after: must be an integer from 1 to 10000, not 0'],
    [{ slow_share: 0 }, 'slow_share: must be a number above 0 and below 1, not 0'],
    [{ slow_share: 1 }, 'slow_share: must be a number above 0 and below 1, not 1'],
    [{ slow_share: 0.5, slow_interval_ms: 0 }, 'slow_interval_ms: must be an integer from 1 to 3600000, not 0'],
    [{ revoke_deadline_ms: 604_800_001 }, 'revoke_deadline_ms: must be an integer from 0 to 604800000, not 604800001'],
  ])('with the fault %j say where it is', (own, expected) => {
    expect(problems({ env: { LEASEHOLD_RESOURCES: JSON.stringify({ 7: own }) } })).toEqual([
      `LEASEHOLD_RESOURCES: 7.${expected}`,
    ]);
    expect(problems({ file: { resource_defaults: own } })).toEqual([`config.json: resource_defaults.${expected}`]);
  });

  it('may have conditions as deep and as large as those of requests, and survive deeper ones', () => {
    const nested = (depth: number): object => (depth === 0 ? { rpw: { lt: 5 } } : { not: nested(depth - 1) });
    const problemOf = (where: string) => problems({ file: `{"resource_defaults": {"where": ${where}}}` });
    expect(config({ file: { resource_defaults: { where: nested(8) } } }).resourceDefaults.where).toEqual(nested(8));
    expect(problemOf(JSON.stringify(nested(9)))).toEqual([
      `config.json: resource_defaults.where${'.not'.repeat(9)}: nested deeper than 8`,
    ]);
    const abyss = `${'{"not":'.repeat(50_000)}{}${'}'.repeat(50_000)}`;
    expect(problemOf(abyss)).toEqual(['config.json: resource_defaults.where: nested deeper than 32']);
    const labels = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, { exists: true }]));
    expect(problemOf(JSON.stringify({ labels }))).toEqual([
      'config.json: resource_defaults.where: more than 64 operators',
    ]);
  });

  it.each([
    [{ ban_max_ms: 1 }, 'ban_max_ms means nothing without ban_ms'],
    [{ ban_decay_ms: 1 }, 'ban_decay_ms means nothing without ban_ms'],
    [{ ban_address_after: 1 }, 'ban_address_after means nothing without ban_ms'],
    [{ slow_interval_ms: 1 }, 'slow_interval_ms means nothing without slow_share'],
    [{ ban_ms: 2, ban_max_ms: 1 }, 'ban_ms (2) is above ban_max_ms (1)'],
    [{ ban_ms: BAN_MAX_MS + 1 }, `ban_ms (${BAN_MAX_MS + 1}) is above ban_max_ms (${BAN_MAX_MS}, its default)`],
  ])('whose fields %j do not fit together are refused', (own, expected) => {
    expect(problems({ file: { resources: { 7: own } } })).toEqual([`config.json: resources: 7: ${expected}`]);
    expect(problems({ file: { resource_defaults: own, resources: { 7: {} } } })).toEqual([
      `config.json: resource_defaults: ${expected}`,
    ]);
  });

  it.each([
    ['[]', 'resource_defaults', 'must be an object, not []'],
    ['[]', 'resources', 'must be an object from resource ids to policies, not []'],
    ['{"7": []}', 'resources', '7: must be an object, not []'],
  ])('are objects, which the list in %s for %s is not', (text, name, expected) => {
    const variable = `LEASEHOLD_${name.toUpperCase()}`;
    expect(problems({ env: { [variable]: text } })).toEqual([`${variable}: ${expected}`]);
  });
});

describe('the operator key', () => {
  it('is refused as a flag, and not repeated', () => {
    for (const argv of [['--admin-key', 'hunter2'], ['--admin-key=hunter2']]) {
      expect(problems({ argv })).toEqual([
        '--admin-key: not taken as a flag: a flag shows in the list of processes: ' +
          'set LEASEHOLD_ADMIN_KEY, or admin_key in the file',
      ]);
    }
  });

  it('is required once others than this machine can reach the API', () => {
    expect(problems({ argv: ['--admin-host', '0.0.0.0'] })).toEqual([
      'LEASEHOLD_ADMIN_KEY: must be set where --admin-host is 0.0.0.0, which others can reach',
    ]);
    const env = { LEASEHOLD_ADMIN_HOST: '::', LEASEHOLD_ADMIN_KEY: 'hunter2' };
    expect(config({ env }).adminKey).toBe('hunter2');
    expect(config({ file: { admin_key: 'hunter2' } }).adminKey).toBe('hunter2');
  });

  it('is required once others than this machine can reach the redirects, whose configurations are served there', () => {
    const open = ['--gateway-host', '0.0.0.0', '--redirect-port', '8080'];
    expect(problems({ argv: open })).toEqual([
      'LEASEHOLD_ADMIN_KEY: must be set where --redirect-port is and --gateway-host is 0.0.0.0, or others could change where redirects lead',
    ]);
    expect(config({ argv: open, env: { LEASEHOLD_ADMIN_KEY: 'hunter2' } }).redirectPort).toBe(8_080);
    expect(config({ argv: open.slice(0, 2) }).gatewayHost).toBe('0.0.0.0');
    expect(config({ argv: open.slice(2) }).redirectPort).toBe(8_080);
  });

  it('is not shown by a problem, which is not reported as a missing key as well', () => {
    expect(problems({ env: { LEASEHOLD_ADMIN_KEY: 'hunter2 ', LEASEHOLD_ADMIN_HOST: '0.0.0.0' } })).toEqual([
      'LEASEHOLD_ADMIN_KEY: must be 1 to 256 visible ASCII characters without spaces',
    ]);
  });

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['localhost', true],
    ['::1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['127.example.com', false],
    ['192.168.0.1', false],
  ])('knows %s as loopback: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe('the forward proxy', () => {
  const open = ['--gateway-host', '0.0.0.0', '--forward-port', '8080'];

  it('is no open proxy: where others can reach it, keys are needed', () => {
    expect(problems({ argv: open })).toEqual([
      '--forward-port: needs --api-keys where --gateway-host is 0.0.0.0, which others can reach: it would be an open proxy',
    ]);
    expect(config({ argv: [...open, '--api-keys'] }).forwardPort).toBe(8_080);
    expect(config({ argv: open.slice(2) }).forwardPort).toBe(8_080);
    expect(config({ argv: open.slice(0, 2) }).gatewayHost).toBe('0.0.0.0');
  });

  it('takes lists from flags and variables as from the file', () => {
    const lists = {
      forwardAllow: ['10.0.0.0/8', '::1', 'site.internal'],
      forwardDeniedPorts: [25, 465],
      forwardBanStatuses: [403],
    };
    const argv = ['--forward-allow', '10.0.0.0/8,::1,site.internal', '--forward-denied-ports', '25,465'];
    expect(config({ argv, env: { LEASEHOLD_FORWARD_BAN_STATUSES: '403' } })).toMatchObject(lists);
    const file = { forward_allow: lists.forwardAllow, forward_denied_ports: [25, 465], forward_ban_statuses: [403] };
    expect(config({ file })).toMatchObject(lists);
  });

  it.each([
    [['--forward-allow', '10.0.0.0/33'], 'must be an IP address, a range like 10.0.0.0/8, or a host name'],
    [['--forward-allow', '1.2.3'], 'must be an IP address'],
    [['--forward-denied-ports', '0'], 'must be an integer from 1 to 65535'],
    [['--forward-ban-statuses', '200'], 'must be an integer from 400 to 599'],
    [['--forward-resolve', 'there'], 'must be one of here, upstream'],
  ])('refuses %j', (argv, message) => {
    expect(problems({ argv })).toEqual([expect.stringContaining(message)]);
  });
});

describe('what is printed', () => {
  it('lists every setting with its default, within 120 columns', () => {
    for (const argv of [['--help'], ['-h'], ['--port', 'x', '--help']]) {
      const lines = printed({ argv }).split('\n');
      for (const name of SETTING_NAMES) {
        const flag = `--${name.replaceAll('_', '-')}`;
        const own = lines.filter((line) => line.includes(flag) || line.includes(flag.replace('--', '--[no-]')));
        expect(own.length > 0 || lines.some((line) => line.includes(variableOf(name))), name).toBe(true);
      }
      expect(lines.filter((line) => line.length > 120)).toEqual([]);
      expect(lines).toContainEqual(expect.stringMatching(/^ {2}--data-dir TEXT +Folder .* \(snapshots\)$/));
      expect(lines).toContainEqual(expect.stringMatching(/^ {2}--\[no-\]pool-replace /));
    }
  });

  it('says the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(VERSION).toBe(version);
    expect(printed({ argv: ['--version'] })).toBe(`leasehold ${version}\n`);
  });
});

describe('.env.example', () => {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
  const assignments = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

  it('lists every variable with its default and nothing else', () => {
    expect(assignments).toEqual(SETTING_NAMES.map((name) => `${variableOf(name)}=${defaultText(name)}`));
  });

  it('lists every field of a policy, and so does the README, whose example is taken', () => {
    const listed = [...text.matchAll(/^# {3}([a-z_]+) {2,}/gm)].map(([, field]) => field);
    expect(new Set(listed)).toEqual(new Set(POLICY_FIELDS));
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|/gm)].map(([, fields]) => fields!);
    const named = rows.flatMap((fields) => fields.split(', ').map((field) => field.slice(1, -1)));
    expect(new Set(named)).toEqual(new Set(POLICY_FIELDS));
    const example = /```json\n([^]*?)```/.exec(readme)![1]!;
    expect(config({ file: example }).resources.get(7)).toMatchObject({ maxLeases: 1, banMs: 60_000 });
  });

  it('lists every field of the health of addresses with its default', () => {
    const listed = [...text.matchAll(/^# {3}"([a-z_]+)"(?:: ([\d.]+))? {2,}/gm)];
    expect(listed.map(([, field]) => field)).toEqual(ADDRESS_HEALTH_FIELDS);
    const given = listed.flatMap(([, field, value]) => (value === undefined ? [] : [[field!, Number(value)]]));
    const file = { address_health: Object.fromEntries(given) as object };
    expect(config({ file }).addressHealth).toEqual(config({}).addressHealth);
    expect(given.length).toBe(Object.keys(config({}).addressHealth).length);
  });

  it('lists every field of a route', () => {
    const listed = [...text.matchAll(/^# {5}([a-z_]+) {2,}/gm)].map(([, field]) => field);
    expect(new Set(listed)).toEqual(new Set(ROUTE_POLICY_FIELDS));
  });

  it('changes nothing as it stands', () => {
    const env = Object.fromEntries(
      assignments.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    expect(config({ env })).toEqual(config({}));
  });
});

describe('policies all together', () => {
  it('are no longer than one commit takes, the condition of the defaults counted with each resource', () => {
    const where = { address: { nin: Array.from({ length: 100 }, (_, index) => `10.0.0.${index}:8080`) } };
    const resources = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [index + 1, { max_leases: 2 }]));
    const file = { resources_max: 300, resource_defaults: { where }, resources };
    expect(problems({ file })).toEqual([
      expect.stringMatching(
        new RegExp(`resources: \\d+ characters with the defaults put in, ${POLICIES_CHARACTERS_MAX} at most$`),
      ),
    ]);
  });

  it('are no longer than that either where there are only defaults', () => {
    const where = { address: { nin: Array.from({ length: 200 }, (_, index) => '代'.repeat(2_000) + index) } };
    expect(problems({ file: { resource_defaults: { where } } })).toEqual([
      expect.stringMatching(/resource_defaults: \d+ characters, \d+ at most$/),
    ]);
  });
});
