import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  dataFolder,
  reusablePort,
  runCoordinator,
  samplePool,
  startCoordinator,
} from '../../server/testing/coordinator-process.ts';
import { LeaseholdEngine } from './leasehold-engine.ts';
import { answerName, COUNTERS, counterName, lateName, PUSHES, pushedName, VERBS } from './metrics.ts';
import type { Context, Helpers } from './steps.ts';

/** The least of artillery's: one variable that is a whole text, and pauses in milliseconds. */
const helpers: Helpers = {
  template(value, { vars }) {
    const replaced = (part: unknown) => {
      const name = typeof part === 'string' ? /^\{\{ (.*) \}\}$/.exec(part)?.[1] : undefined;
      return name === undefined ? part : vars[name];
    };
    if (typeof value !== 'object' || value === null) return replaced(value);
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, replaced(part)]));
  },
  createThink: (step) => (context, callback) => {
    setTimeout(callback, Number.parseInt((step as { think: string }).think, 10), null, context);
  },
};

interface Played {
  readonly counters: Record<string, number>;
  readonly histograms: Record<string, number[]>;
  readonly errors: string[];
  /** Of the virtual users that failed. */
  readonly failures: string[];
}

function events(): Played & { readonly emitter: EventEmitter } {
  const played = { counters: {}, histograms: {}, errors: [], failures: [] } as Played;
  const emitter = new EventEmitter()
    .on('counter', (name: string, value: number) => {
      played.counters[name] = (played.counters[name] ?? 0) + value;
    })
    .on('histogram', (name: string, value: number) => (played.histograms[name] ??= []).push(value))
    .on('error', (code: string) => played.errors.push(code));
  return { ...played, emitter };
}

/** Plays the flow with so many virtual users, and resolves once all are through. */
async function play(
  target: string,
  flow: unknown,
  options: { readonly users?: number; readonly leasehold?: object; readonly vars?: Record<string, unknown> } = {},
): Promise<Played> {
  const { emitter, ...played } = events();
  const script = { config: { target, engines: { leasehold: options.leasehold ?? {} } } };
  const scenario = new LeaseholdEngine(script, undefined, helpers).createScenario({ flow }, emitter);
  const users = Array.from({ length: options.users ?? 1 }, () => {
    return new Promise<void>((done) => {
      const context: Context = { vars: { ...options.vars } };
      scenario(context, (error) => {
        if (error) played.failures.push((error as Error).message);
        done();
      });
    });
  });
  await Promise.all(users);
  return played;
}

async function serve(addresses: number): Promise<string> {
  const { dir, poolFile } = await dataFolder(samplePool(addresses));
  const { port } = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
  return `ws://127.0.0.1:${port}`;
}

describe('the engine', () => {
  it('plays a flow of all that a collector does, and measures each answer', async () => {
    const flow = [
      'hello',
      { acquire: { resource: '{{ wanted }}', ttl_ms: 30_000, as: 'one' } },
      { hold: { lease: 'one', for_ms: 60, renew_every_ms: 25 } },
      { renew: { lease: 'one', ttl_ms: 40_000 } },
      { report: { lease: 'one', outcome: 'ok', requests: 3 } },
      { loop: [{ count: { counter: 'pages', by: 2 } }, { pace: { every_ms: 20 } }], count: 3 },
      { think: '10ms' },
      { release: { lease: 'one' } },
      'bye',
    ];
    const { counters, histograms, failures } = await play(await serve(1), flow, { vars: { wanted: '7' } });
    expect(failures).toEqual([]);
    expect(counters).toMatchObject({ 'leasehold.opened': 1, 'leasehold.granted': 1, 'leasehold.failures': 0 });
    const counts = Object.fromEntries(Object.entries(histograms).map(([name, values]) => [name, values.length]));
    expect(counts).toMatchObject({
      'leasehold.connect.ms': 1,
      'leasehold.acquire.ms': 1,
      'leasehold.report.ms': 1,
      'leasehold.count.ms': 3,
      'leasehold.release.ms': 1,
    });
    expect(counts['leasehold.renew.ms']).toBeGreaterThanOrEqual(2);
  });

  it('counts refusals by reason and goes on without the lease', async () => {
    const flow = [
      { acquire: { resource: 7, ttl_ms: 30_000, as: 'one' } },
      { acquire: { resource: 7, ttl_ms: 30_000, as: 'other' } },
      { release: { lease: 'other' } },
      { acquire: { resource: 8, ttl_ms: 30_000 } },
    ];
    const { counters, failures } = await play(await serve(1), flow);
    expect(failures).toEqual([]);
    expect(counters).toMatchObject({
      'leasehold.granted': 1,
      'leasehold.refusals': 1,
      'leasehold.refused.none_available': 1,
      'leasehold.skipped': 1,
      'leasehold.failures': 1,
      'leasehold.failed.unknown_resource': 1,
    });
  });

  it('tells who stood in line from who did not, and finds no overlap among them', async () => {
    const flow = [{ acquire: { resource: 7, ttl_ms: 30_000, wait_ms: 20_000 } }, { think: '10ms' }, 'release'];
    const { counters, histograms } = await play(await serve(2), flow, { users: 10 });
    expect(counters).toMatchObject({ 'leasehold.granted': 10, 'leasehold.queued': 8, 'leasehold.overlaps': 0 });
    expect(histograms['leasehold.wait.ms']).toHaveLength(8);
    expect(histograms['leasehold.acquire.ms']).toHaveLength(2);
  });

  it('says how late the pushes about the end of a lease come, by its own time', async () => {
    const flow = [
      { hello: { notice_ms: 200 } },
      { acquire: { resource: 7, ttl_ms: 400 } },
      { hold: { for_ms: 5_000 } },
      { think: '300ms' },
    ];
    const { counters, histograms } = await play(await serve(1), flow);
    expect(counters).toMatchObject({
      'leasehold.pushed.expired': 1,
      'leasehold.pushed.expiring': 1,
      'leasehold.ended_early': 1,
    });
    for (const push of ['expired', 'expiring'] as const) {
      // Counted from the sending of the request, so never early; how late is for a measurement, not for a test.
      expect(histograms[lateName(push)]?.[0]).toBeGreaterThanOrEqual(-1);
      expect(histograms[lateName(push)]?.[0]).toBeLessThan(300);
    }
  });

  it('drops a session without a word, and its address is free at once', async () => {
    const flow = [{ acquire: { resource: 7, ttl_ms: 600_000, wait_ms: 10_000 } }, 'drop'];
    const { counters, histograms } = await play(await serve(1), [{ loop: flow, count: 5 }]);
    expect(counters).toMatchObject({
      'leasehold.opened': 5,
      'leasehold.granted': 5,
      'leasehold.dropped': 5,
      'leasehold.overlaps': 0,
      // The scenario's own doing.
      'leasehold.disconnected': 0,
      'leasehold.lost_leases': 0,
    });
    expect(histograms['leasehold.connect.ms']).toHaveLength(5);
  });

  it.each([
    ['resumes where the coordinator was killed', true, { 'leasehold.resumed': 1, 'leasehold.lost_leases': 0 }],
    ['says what was lost where its data is gone', false, { 'leasehold.replaced': 1, 'leasehold.lost_leases': 1 }],
  ])('%s', async (_, keepsData, expected) => {
    const port = await reusablePort();
    const [first, other] = [await dataFolder(samplePool(1)), await dataFolder()];
    const flags = (dir: string) => ['--data-dir', dir, '--pool', first.poolFile, '--port', String(port)];
    const before = await startCoordinator(flags(first.dir));
    const leasehold = { resume_window_ms: 20_000, reconnect_max_ms: 100 };
    const flow = [{ acquire: { resource: 7, ttl_ms: 60_000 } }, { hold: { for_ms: 4_000, renew_every_ms: 500 } }];
    const playing = play(`ws://127.0.0.1:${port}`, flow, { leasehold });
    await new Promise((done) => setTimeout(done, 300));
    await before.kill('SIGKILL');
    runCoordinator(flags(keepsData ? first.dir : other.dir));
    const { counters } = await playing;
    expect(counters).toMatchObject({ 'leasehold.granted': 1, 'leasehold.disconnected': 1, ...expected });
  });

  it('fails the virtual user where nobody is there', async () => {
    const url = `ws://127.0.0.1:${await reusablePort()}`;
    const { failures, errors } = await play(url, ['hello'], { leasehold: { request_timeout_ms: 300 } });
    expect(failures).toHaveLength(1);
    expect(errors).toEqual(['aborted']);
  });

  it.each<[what: string, flow: unknown]>([
    ['expected a list', undefined],
    ['"aquire":{}}: expected one of hello, acquire', [{ aquire: {} }]],
    ['either count or for_seconds', [{ loop: [] }]],
  ])('says %s before anything is played', (what, flow) => {
    expect(() => {
      const script = { config: { target: 'ws://127.0.0.1:1' } };
      new LeaseholdEngine(script, undefined, helpers).createScenario({ flow }, new EventEmitter());
    }).toThrow(what);
  });

  it.each<[what: string, step: unknown]>([
    ['acquire: ttl: ', { acquire: { resource: 7, ttl_ms: 1, ttl: 1 } }],
    ['hold: for_ms: ', { hold: {} }],
    ['pace: every_ms: ', { pace: { every_ms: 'soon' } }],
    ['loop: count: ', { loop: [], count: 'many' }],
  ])('says %s where a step has a wrong field', async (what, step) => {
    const { failures, errors } = await play('ws://127.0.0.1:1', [step]);
    expect(failures).toEqual([expect.stringContaining(what)]);
    expect(errors).toHaveLength(1);
  });

  it('says which of its options is wrong', () => {
    const script = { config: { target: 'ws://127.0.0.1:1', engines: { leasehold: { resume: 1 } } } };
    expect(() => new LeaseholdEngine(script, undefined, helpers)).toThrow('engines.leasehold.resume');
  });
});

describe('the names of metrics', () => {
  const names = [
    ...VERBS.map(answerName),
    ...COUNTERS.map(counterName),
    ...PUSHES.map(pushedName),
    ...(['expired', 'expiring'] as const).map(lateName),
  ];

  it.each(names)('%s begins no other one', (name) => {
    expect(names.filter((other) => other.startsWith(name))).toEqual([name]);
  });
});
