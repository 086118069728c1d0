/**
 * The house rules that matter, held by a test: who may import whom (the table below), who reads clock, randomness and
 * environment, and how long a file may get. Tests and contract suites may import what they like.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSource, type Source } from './testing/source.ts';

const ROOT = resolve(import.meta.dirname, '..');
const LINES_MAX = 400;

/** Composition roots: they import everything. */
const COMPOSITION_ROOTS = ['server/main.ts', 'server/replay.ts'];
/** Hand the routes of other folders to who serves them. */
const TAKE_ROUTES = [...COMPOSITION_ROOTS, 'server/open-gateway.ts'];
/** The only ones in server/ to read clock, chance and environment. */
const IMPURE = [...COMPOSITION_ROOTS, 'server/cli/'];
const DOMAINS = ['server/lease/', 'server/clients/', 'server/counters/', 'server/redirects/'];

/** Values of the protocol that are no behaviour of the wire: words, numbers, the end of an exhaustive switch. */
const PROTOCOL_CONSTANTS = ['protocol/codes.ts', 'protocol/limits.ts', 'protocol/assert.ts'];
const DOMAIN_IMPORTS = ['server/coordinator/domain.ts', 'type protocol/', ...PROTOCOL_CONSTANTS];
/** Beside the two ports proper: the clock, and the state that recovery rebuilds. */
const COORDINATOR_PORTS = ['domain', 'event-log', 'replica', 'scheduler'].map(
  (port) => `server/coordinator/${port}.ts`,
);
const COMMANDS_AND_TYPES = DOMAINS.flatMap((domain) => [`${domain}commands.ts`, `type ${domain}`]);
const SERVICE_IMPORTS = ['server/coordinator/', ...COMMANDS_AND_TYPES, 'protocol/', 'server/metrics/'];

/** What a folder serves over HTTP, and the parts of it where it is long. */
const ROUTES = ['server/*/routes.ts', 'server/*/*-routes.ts', 'server/*/http-*.ts'];
/** Policies as people write them: in settings, and over HTTP. */
const POLICY_SETTINGS = 'server/policy-settings.ts';
/** What the reverse proxy is told, as people write it. */
const ROUTE_SETTINGS = 'server/route-settings.ts';
const SETTINGS_TABLES = [
  POLICY_SETTINGS,
  ROUTE_SETTINGS,
  ...['address-health-settings', 'forward-settings', 'setting-schemas'].map((file) => `server/${file}.ts`),
];
const ROUTE = 'server/gateway/route.ts';
const POLICY = 'server/lease/policy.ts';
/** Has the bounds of what may be set. */
const LIMIT = 'server/clients/token-bucket.ts';
/** The same of where redirects lead to. */
const CDN_HOST = 'server/redirects/cdn-host.ts';
const PAST_TIME = 'server/past-time.ts';
/** What every HTTP listener stands on. */
const LISTENER = ['listener', 'connections', 'unreadable'].map((part) => `server/admin/${part}.ts`);
const FOR_ROUTES = ['server/admin/operation.ts', 'server/admin/requests.ts', POLICY_SETTINGS, PAST_TIME];

/**
 * A file or folder, and what it may import beside its own folder: folders end with `/`, `type` admits what vanishes at
 * compile time. The first row that fits a file counts.
 */
const TABLE: readonly (readonly [part: string, mayImport: readonly string[]])[] = [
  ...COMPOSITION_ROOTS.map((root) => [root, ['protocol/', 'server/']] as const),
  [
    'server/config.ts',
    [...SETTINGS_TABLES, 'server/settings.ts', 'server/lease/parse-json.ts', POLICY, 'protocol/frame-fault.ts'],
  ],
  ['server/settings.ts', [...SETTINGS_TABLES, POLICY, LIMIT, CDN_HOST, `type ${ROUTE}`, 'protocol/']],
  [ROUTE_SETTINGS, ['server/setting-schemas.ts', `type ${ROUTE}`, 'protocol/']],
  ['server/policy-settings.ts', ['server/setting-schemas.ts', POLICY, 'protocol/']],
  ['server/forward-settings.ts', ['server/setting-schemas.ts']],
  ['server/address-health-settings.ts', ['server/setting-schemas.ts']],
  ['server/setting-schemas.ts', []],
  ['server/logger.ts', []],
  ['server/exit.ts', []],
  ['server/kill-if-hung.ts', []],
  ['server/tls-files.ts', []],
  ['server/certificates.ts', ['server/tls-files.ts']],
  // A part of main's start.
  [
    'server/pool-at-start.ts',
    ['server/config.ts', 'server/coordinator/', 'server/exit.ts', 'server/lease/', 'server/logger.ts'],
  ],
  // Parts of main, too: how it ends, and who asks.
  [
    'server/process-end.ts',
    ['server/coordinator/', 'server/exit.ts', 'server/kill-if-hung.ts', 'server/logger.ts', 'server/replay.ts'],
  ],
  ['server/open-clients.ts', ['server/config.ts', 'server/clients/', 'server/coordinator/', 'server/level-keeper.ts']],
  [
    'server/open-gateway.ts',
    [
      ...['config', 'logger', 'route-settings'].map((file) => `server/${file}.ts`),
      ...['admin', 'clients', 'coordinator', 'gateway', 'health', 'lease', 'metrics', 'redirects'].map(
        (part) => `server/${part}/`,
      ),
    ],
  ],
  // When levels are kept.
  ['server/level-keeper.ts', ['server/clients/', 'server/coordinator/scheduler.ts']],
  // A part of replay.
  ['server/past-leases.ts', ['server/coordinator/', 'server/journal/', 'server/lease/']],
  // What the command line and a query both take.
  [PAST_TIME, []],
  // What main puts around the parts, to measure them.
  [
    'server/measured.ts',
    [
      'protocol/codes.ts',
      ...['coordinator', 'journal', 'lease', 'metrics', 'sessions'].map((part) => `server/${part}/`),
    ],
  ],
  ['server/testing/', ['protocol/', 'server/']],
  ...ROUTES.map((routes) => [routes, [...SERVICE_IMPORTS, ...FOR_ROUTES]] as const),
  ...DOMAINS.map((domain) => [domain, DOMAIN_IMPORTS] as const),
  ['server/coordinator/', []],
  ['server/journal/', COORDINATOR_PORTS],
  ['server/sessions/', SERVICE_IMPORTS],
  ['server/transports/', ['server/sessions/socket.ts', 'protocol/problems.ts', 'server/metrics/']],
  ['server/health/', SERVICE_IMPORTS],
  // The node server below a listener is admin's.
  ['server/gateway/', [...SERVICE_IMPORTS, 'server/health/', ...LISTENER]],
  // Holds what the routes.ts files share; the routes themselves are handed in by main.
  ['server/admin/', SERVICE_IMPORTS],
  ['server/metrics/', []],
  ['server/cli/', ['protocol/', 'server/replay.ts', 'server/config.ts', 'server/exit.ts', PAST_TIME]],
  ['protocol/', []],
  ['examples/', ['examples/', 'protocol/']],
  ['loadtest/', ['loadtest/', 'protocol/']],
];

/** Packages that only these may import, beside tests. */
const RESERVED_PACKAGES: readonly (readonly [name: RegExp, mayImport: readonly string[]])[] = [
  [/^(ws|uWebSockets\.js)$/, ['server/transports/', 'server/gateway/', 'protocol/', 'examples/', 'loadtest/']],
  [/^\(computed\)$/, []],
];
/** A domain is a pure function, and so is the loop around it: neither reads nor writes anything outside. */
const PURE = [...DOMAINS, 'server/coordinator/'];
const IO_MODULE = /^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|readline)(\/.*)?$/;

function isTest(path: string): boolean {
  return /\.(test|contract)\.ts$/.test(path);
}

/** Whether `path` is, or lies in, `part`; a `*` stands for a name or a part of one. */
function isWithin(path: string, part: string): boolean {
  if (part.endsWith('/')) return path.startsWith(part);
  return part.includes('*') ? new RegExp(`^${part.replaceAll('*', '[^/]+')}$`).test(path) : path === part;
}

function isAllowed(target: string, isTypeOnly: boolean, mayImport: readonly string[]): boolean {
  return mayImport.some((entry) => {
    if (!entry.startsWith('type ')) return isWithin(target, entry);
    return isTypeOnly && isWithin(target, entry.slice('type '.length));
  });
}

function isRoutes(path: string): boolean {
  return ROUTES.some((routes) => isWithin(path, routes));
}

function importFaults({ path, imports }: Source): string[] {
  if (isTest(path)) return [];
  const row = TABLE.find(([part]) => isWithin(path, part));
  if (!row) return [`${path}: no row of the import table is about it`];
  // `server/lease/` for its files and routes; the files of server/ itself have no folder of their own.
  const ownFolder = path.replace(/[^/]+$/, '');
  const mayImport = ownFolder === 'server/' ? row[1] : [ownFolder, ...row[1]];
  return imports.flatMap(({ target, isOurs, isTypeOnly }) => {
    const fault = `${path}: must not import ${isTypeOnly ? 'type ' : ''}${target}`;
    if (!isOurs) {
      const reserved = RESERVED_PACKAGES.find(([name]) => name.test(target));
      const isReserved = reserved !== undefined && !isAllowed(path, true, ['server/testing/', ...reserved[1]]);
      const isIo = IO_MODULE.test(target) && PURE.some((part) => isWithin(path, part)) && !isRoutes(path);
      return isReserved || (isIo && !isTypeOnly) ? [fault] : [];
    }
    const isTesting = isWithin(target, 'server/testing/') && !isWithin(path, 'server/testing/');
    // Nobody takes routes but main and its part for the gateway, and a folder's routes.ts the parts of its own.
    const isPart = isRoutes(path) && !target.endsWith('/routes.ts') && isWithin(target, ownFolder);
    const isForOthers = isRoutes(target) && !isPart && !TAKE_ROUTES.includes(path);
    return isTest(target) || isTesting || isForOthers || !isAllowed(target, isTypeOnly, mayImport) ? [fault] : [];
  });
}

function impurityFaults({ path, impurities }: Source): string[] {
  const isExempt = isTest(path) || [...IMPURE, 'server/testing/'].some((part) => isWithin(path, part));
  if (isExempt || !isWithin(path, 'server/')) return [];
  return impurities.map((impurity) => `${path}: must be given ${impurity}, not take it`);
}

function lengthFaults({ path, lineCount }: Source): string[] {
  if (isTest(path) || lineCount <= LINES_MAX) return [];
  return [`${path}: ${lineCount} lines are more than ${LINES_MAX}: look for the second noun in it`];
}

describe('our sources', () => {
  const sources = ['protocol', 'server', 'examples', 'loadtest']
    .flatMap(pathsIn)
    .map((path) => readSource(path, readFileSync(resolve(ROOT, path), 'utf8')));

  it('are all looked at', () => {
    expect(sources.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['protocol/frames.ts', 'server/config.ts', 'server/lease/pool-file.ts']),
    );
  });

  it('import only what the table of the architecture allows', () => {
    expect(sources.flatMap(importFaults)).toEqual([]);
  });

  it('are given clock, randomness and environment by a composition root', () => {
    expect(sources.flatMap(impurityFaults)).toEqual([]);
  });

  it(`stay within ${LINES_MAX} lines`, () => {
    expect(sources.flatMap(lengthFaults)).toEqual([]);
  });
});

function pathsIn(folder: string): string[] {
  if (!existsSync(resolve(ROOT, folder))) return [];
  const entries = readdirSync(resolve(ROOT, folder), { withFileTypes: true });
  const paths = entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    // What is installed is not gone through at all: half a gigabyte in loadtest/.
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === 'dist' ? [] : pathsIn(path);
    return path.endsWith('.ts') ? [path] : [];
  });
  return paths.sort();
}

describe('the import rule', () => {
  it.each([
    ['server/lease/decide.ts', `import type { Why } from '../../protocol/frames.ts';`],
    ['server/lease/decide.ts', `import { type Why } from '../../protocol/frames.ts';`],
    ['server/lease/decide.ts', `import { LEASE_ENDS } from '../../protocol/codes.ts';`],
    ['server/lease/decide.ts', `import { select } from './select.ts';`],
    ['server/lease/decide.ts', `// import { a } from '../clients/a.ts';\nconst text = "import '../clients/a.ts'";`],
    ['server/lease/decide.test.ts', `import { a } from '../clients/decide.ts';`],
    ['server/lease/routes.ts', `import { maskAddress } from './masking.ts';`],
    ['server/lease/routes.ts', `import { addressRoutes } from './address-routes.ts';`],
    ['server/lease/address-routes.ts', `import { json } from '../admin/requests.ts';`],
    ['server/lease/address-routes.ts', `import { ownPolicy } from '../policy-settings.ts';`],
    ['server/sessions/hub.ts', `import type { LeaseState } from '../lease/state.ts';`],
    ['server/sessions/hub.ts', `import { rejected } from '../lease/commands.ts';`],
    ['server/transports/ws.ts', `import { WebSocketServer } from 'ws';`],
    ['server/main.ts', `import { leaseRoutes } from './lease/routes.ts';`],
    ['server/journal/journal.test.ts', `import { run } from '../testing/run.ts';`],
    ['server/transports/t.contract.ts', `import { run } from '../testing/run.ts';`],
    ['examples/a.ts', `export { connect } from '../protocol/client.ts';`],
  ])('lets %s say %s', (path, text) => {
    expect(importFaults(readSource(path, text))).toEqual([]);
  });

  it.each([
    ['server/lease/decide.ts', `import { parseFrame } from '../../protocol/frames.ts';`],
    ['server/lease/decide.ts', `import { parseFrame, type Why } from '../../protocol/frames.ts';`],
    ['server/lease/decide.ts', `import '../../protocol/frames.ts';`],
    ['server/lease/decide.ts', `import type { Bucket } from '../clients/state.ts';`],
    ['server/lease/decide.ts', `let bucket: import('../clients/state.ts').Bucket;`],
    ['server/lease/decide.ts', `export * from '../clients/state.ts';`],
    ['server/lease/decide.ts', `const late = await import('../clients/state.ts');`],
    ['server/lease/decide.ts', `const late = await import(name);`],
    ['server/lease/decide.ts', `import type { Coordinator } from '../coordinator/coordinator.ts';`],
    ['server/lease/decide.ts', `import { leaseRoutes } from './routes.ts';`],
    ['server/lease/decide.ts', `import { addressRoutes } from './address-routes.ts';`],
    ['server/counters/routes.ts', `import { addressRoutes } from '../lease/address-routes.ts';`],
    ['server/lease/routes.ts', `import { openAdmin } from '../admin/admin-server.ts';`],
    ['server/lease/decide.ts', `import { json } from '../admin/requests.ts';`],
    ['server/lease/decide.ts', `import { readFile } from 'node:fs/promises';`],
    ['server/coordinator/coordinator.ts', `import type { LeaseState } from '../lease/state.ts';`],
    ['server/coordinator/coordinator.ts', `import { connect } from 'net';`],
    ['server/journal/journal.ts', `import { Coordinator } from '../coordinator/coordinator.ts';`],
    ['server/journal/journal.ts', `import { run } from '../testing/run.ts';`],
    ['server/sessions/hub.ts', `import { policyOf } from '../lease/state.ts';`],
    ['server/sessions/hub.ts', `import { WebSocket } from 'ws';`],
    ['server/transports/ws.ts', `import { FRAME_BYTES_MAX } from '../../protocol/limits.ts';`],
    ['server/transports/ws.ts', `import { transportContract } from './transport.contract.ts';`],
    ['server/admin/admin-server.ts', `import { leaseRoutes } from '../lease/routes.ts';`],
    ['server/main.ts', `import { run } from './testing/run.ts';`],
    ['server/config.ts', `import { createLogger } from './logger.ts';`],
    ['server/surprise/a.ts', ''],
    ['protocol/client.ts', `import type { Config } from '../server/config.ts';`],
    ['examples/a.ts', `import { loadConfig } from '../server/config.ts';`],
  ])('stops %s from saying %s', (path, text) => {
    expect(importFaults(readSource(path, text))).toHaveLength(1);
  });
});

describe('the rule on clock, randomness and environment', () => {
  it.each([
    ['Date.now();', 'Date.now'],
    ['Date["now"]();', 'Date.now'],
    ['const now = Date.now;', 'Date.now'],
    ['new Date().toISOString();', 'new Date()'],
    ['Date();', 'Date()'],
    ['performance.now();', 'performance.now'],
    ['globalThis.performance.now();', 'globalThis.performance'],
    ['Math.random();', 'Math.random'],
    ['crypto.randomUUID();', 'crypto.randomUUID'],
    [`import { randomBytes } from 'node:crypto';`, 'randomBytes of crypto'],
    [`import * as all from 'crypto';`, 'default of crypto'],
    [`import { performance as clock } from 'node:perf_hooks';`, 'performance of perf_hooks'],
    [`import { setTimeout as sleep } from 'node:timers/promises';`, 'setTimeout of timers/promises'],
    [`import { env } from 'node:process';`, 'env of process'],
    ['process.env.HOME;', 'process.env'],
    ['const { env } = process;', 'process as a value'],
    ['process.argv.slice(2);', 'process.argv'],
    ['process.hrtime.bigint();', 'process.hrtime'],
    ['setTimeout(run, 1);', 'setTimeout'],
    ['const later = setInterval;', 'setInterval'],
    ['const timers = { setImmediate };', 'setImmediate'],
    ['const text = `${setTimeout(run, 1)}`;', 'setTimeout'],
  ])('sees %s', (text, impurity) => {
    expect(readSource('server/lease/a.ts', text).impurities).toEqual([impurity]);
  });

  it.each([
    'new Date(utcMs).toISOString();',
    'Date.UTC(2025, 0, 1);',
    'scheduler.setTimeout(run, 1);',
    'const fake = { setTimeout: run, performance: 1 };',
    'let timer: ReturnType<typeof setTimeout>; let clock: Date; let p: typeof performance;',
    `import { createHash, timingSafeEqual } from 'node:crypto';`,
    `import type { randomBytes } from 'node:crypto';`,
    '// Date.now()\nconst text = "Math.random()";',
    'process.platform; process.exit(1);',
    'Math.max(1, 2);',
  ])('passes over %s', (text) => {
    expect(readSource('server/lease/a.ts', text).impurities).toEqual([]);
  });

  it('holds within server/, composition roots and tests apart', () => {
    const faults = (path: string) => impurityFaults(readSource(path, 'Date.now();'));
    expect(faults('server/lease/a.ts')).toEqual(['server/lease/a.ts: must be given Date.now, not take it']);
    for (const path of [
      'server/main.ts',
      'server/replay.ts',
      'server/cli/a.ts',
      'server/lease/a.test.ts',
      'protocol/client.ts',
    ]) {
      expect(faults(path)).toEqual([]);
    }
  });
});

describe('the rule on length', () => {
  it('counts lines, tests apart', () => {
    const lines = (count: number) => 'a;\n'.repeat(count);
    expect(lengthFaults(readSource('server/lease/a.ts', lines(LINES_MAX)))).toEqual([]);
    expect(lengthFaults(readSource('server/lease/a.ts', lines(LINES_MAX + 1)))).toHaveLength(1);
    expect(lengthFaults(readSource('server/lease/a.test.ts', lines(LINES_MAX + 1)))).toEqual([]);
  });
});
