import { describe, expect, it } from 'vitest';
import { NewerDataError } from '../coordinator/domain.ts';
import { RedirectDriver } from '../testing/redirect-driver.ts';
import { REDIRECTS_MAX, VERSIONS_MAX } from './commands.ts';
import { describeEvent, describeRecord } from './described.ts';
import { redirectDomain } from './redirect-domain.ts';

function begun(): RedirectDriver {
  const driver = new RedirectDriver();
  driver.begin();
  return driver;
}

const update = { type: 'UpdateRedirect', id: 1 } as const;
const storageFull = { type: 'rejected', code: 'storage_full', retryAfterMs: 1_000 };

describe('the first configuration', () => {
  it('is what the settings say at the first start of all, and active', () => {
    const driver = new RedirectDriver();
    const { utcMs } = driver;
    const view = { id: 1, cdnHost: 'a.example', distributionRate: 3, createdUtcMs: utcMs, updatedUtcMs: utcMs };
    expect(driver.begin('a.example', 3)).toEqual({ ...view, version: 1 });
    expect(driver.state.activeId).toBe(1);
  });

  it('stays as it is whatever the settings say later', () => {
    const driver = begun();
    driver.execute({ ...update, cdnHost: 'b.example' });
    const written = driver.journal.length;
    driver.restart('journal');
    expect(driver.begin('c.example', 99)).toMatchObject({ cdnHost: 'b.example', distributionRate: 10, version: 2 });
    expect(driver.journal).toHaveLength(written);
  });

  it('is made even on a disk that is nearly full', () => {
    const driver = new RedirectDriver();
    driver.execute({ type: 'SetStorage', level: 'least' });
    expect(driver.begin()).toMatchObject({ id: 1 });
  });
});

describe('a change', () => {
  it('leaves what it doesn’t name, makes one version, and moves no creation', () => {
    const driver = begun();
    const createdUtcMs = driver.utcMs;
    driver.utcMs += 5;
    const patched = driver.execute({ ...update, cdnHost: 'b.example' });
    const view = { id: 1, cdnHost: 'b.example', distributionRate: 10, createdUtcMs, updatedUtcMs: createdUtcMs + 5 };
    expect(patched).toEqual({ type: 'redirect', redirect: { ...view, version: 2 } });
    driver.utcMs += 5;
    const rated = { ...view, distributionRate: 2, updatedUtcMs: createdUtcMs + 10, version: 3 };
    expect(driver.execute({ ...update, distributionRate: 2 })).toEqual({ type: 'redirect', redirect: rated });
  });

  it('that says what is so already makes no version', () => {
    const driver = begun();
    driver.utcMs += 5;
    const answer = driver.execute({ ...update, cdnHost: 'cdn.example', distributionRate: 10 });
    expect(answer).toMatchObject({ redirect: { version: 1, updatedUtcMs: driver.utcMs - 5 } });
    expect(driver.journal).toHaveLength(2);
  });

  it('follows the version that it names, or is stale', () => {
    const driver = begun();
    expect(driver.execute({ ...update, distributionRate: 5, version: 1 })).toMatchObject({ redirect: { version: 2 } });
    for (const version of [1, 3]) {
      expect(driver.execute({ ...update, distributionRate: 6, version })).toEqual({ type: 'stale', version: 2 });
    }
    expect(driver.execute({ ...update, distributionRate: 6 })).toMatchObject({ redirect: { version: 3 } });
  });

  it('is for a configuration that there is', () => {
    const driver = begun();
    const unknown = { type: 'unknown', what: 'id' };
    expect(driver.execute({ ...update, id: 2, distributionRate: 5, version: 9 })).toEqual(unknown);
    expect(driver.execute({ type: 'ActivateRedirect', id: 2 })).toEqual(unknown);
    expect(driver.execute({ type: 'RollBackRedirect', id: 2, version: 1 })).toEqual(unknown);
  });

  it('is told to whoever redirects when it is of the active configuration, and only then', () => {
    const driver = begun();
    driver.execute({ type: 'CreateRedirect', cdnHost: 'b.example', distributionRate: 2 });
    driver.execute({ ...update, id: 2, distributionRate: 3 });
    expect(driver.notices).toEqual([]);
    driver.execute({ ...update, distributionRate: 4 });
    driver.execute({ type: 'ActivateRedirect', id: 2 });
    driver.execute({ type: 'ActivateRedirect', id: 2 });
    driver.execute({ ...update, distributionRate: 5 });
    driver.execute({ type: 'RollBackRedirect', id: 2, version: 1 });
    expect(driver.notices.map(({ redirect }) => [redirect.id, redirect.version, redirect.distributionRate])).toEqual([
      [1, 2, 4],
      [2, 2, 3],
      [2, 3, 2],
    ]);
  });
});

describe('the history of a configuration', () => {
  it('is gone back in by a new version that says what an earlier one said', () => {
    const driver = begun();
    driver.execute({ ...update, cdnHost: 'b.example', distributionRate: 2 });
    driver.utcMs += 7;
    const rolledBack = driver.execute({ type: 'RollBackRedirect', id: 1, version: 1 });
    const view = { cdnHost: 'cdn.example', distributionRate: 10, version: 3, updatedUtcMs: driver.utcMs };
    expect(rolledBack).toMatchObject({ redirect: view });
    expect(driver.state.redirects.get(1)!.versions.map(({ version, restored }) => [version, restored])).toEqual([
      [1, undefined],
      [2, undefined],
      [3, 1],
    ]);
    expect(driver.execute({ type: 'RollBackRedirect', id: 1, version: 4 })).toEqual({
      type: 'unknown',
      what: 'version',
    });
  });

  it(`has the last ${VERSIONS_MAX} versions`, () => {
    const driver = begun();
    for (let rate = 11; rate < 11 + VERSIONS_MAX; rate += 1) driver.execute({ ...update, distributionRate: rate });
    const { versions } = driver.state.redirects.get(1)!;
    expect([versions.length, versions[0]!.version, versions.at(-1)!.version]).toEqual([
      VERSIONS_MAX,
      2,
      VERSIONS_MAX + 1,
    ]);
    expect(driver.execute({ type: 'RollBackRedirect', id: 1, version: 1 })).toMatchObject({ what: 'version' });
    const kept = driver.snapshot();
    driver.restart('journal');
    expect(driver.snapshot()).toEqual(kept);
  });
});

it(`there are ${REDIRECTS_MAX} configurations at most`, () => {
  const driver = begun();
  const create = { type: 'CreateRedirect', cdnHost: 'b.example', distributionRate: 2 } as const;
  for (let id = 2; id <= REDIRECTS_MAX; id += 1) expect(driver.execute(create)).toMatchObject({ redirect: { id } });
  expect(driver.execute(create)).toMatchObject({ type: 'rejected', code: 'too_many' });
});

describe('on a disk that is nearly full', () => {
  it.each(['low', 'least'] as const)('nothing changes while there is %s room', (level) => {
    const driver = begun();
    driver.execute({ type: 'CreateRedirect', cdnHost: 'b.example', distributionRate: 2 });
    const written = driver.journal.length;
    driver.execute({ type: 'SetStorage', level });
    expect(driver.execute({ ...update, distributionRate: 5 })).toMatchObject(storageFull);
    expect(driver.execute({ type: 'CreateRedirect', cdnHost: 'c', distributionRate: 1 })).toMatchObject(storageFull);
    expect(driver.execute({ type: 'ActivateRedirect', id: 2 })).toMatchObject(storageFull);
    expect(driver.execute({ type: 'RollBackRedirect', id: 1, version: 1 })).toMatchObject(storageFull);
    // What would write nothing is answered.
    expect(driver.execute({ ...update, distributionRate: 10 })).toMatchObject({ type: 'redirect' });
    expect(driver.execute({ type: 'ActivateRedirect', id: 1 })).toMatchObject({ type: 'redirect' });
    expect(driver.journal).toHaveLength(written);
    driver.execute({ type: 'SetStorage', level: 'ample' });
    expect(driver.execute({ ...update, distributionRate: 5 })).toMatchObject({ redirect: { version: 2 } });
  });
});

describe('the records of redirects', () => {
  it.each([
    ['redirects', 'RedirectActivated', 2, 1],
    ['redirects', 'RedirectActivated', 1, 1, 'more'],
    ['redirects', 'RedirectDeleted', 1, 1],
    ['redirects', 'toString', 1],
    ['counters', 'RedirectActivated', 1, 1],
  ] as const)('of a newer version are refused by name: %j', (...record) => {
    expect(() => redirectDomain.decodeEvent(record)).toThrow(NewerDataError);
  });

  it.each([[['redirect', 2, 1, 1]], [['version', 0]], [['rule', 1]], [['toString', 1]]])(
    'of a newer snapshot are refused by name: %j',
    (record) => {
      expect(() => redirectDomain.restore(redirectDomain.create(), record)).toThrow(NewerDataError);
      expect(() => describeRecord(record)).toThrow(NewerDataError);
    },
  );

  it('that don’t fit the state are damage', () => {
    const driver = begun();
    const apply = (event: Parameters<typeof redirectDomain.apply>[1]) => () =>
      redirectDomain.apply(driver.state, event);
    const rule = { cdnHost: 'b', distributionRate: 1, utcMs: 0 };
    expect(apply({ type: 'RedirectCreated', id: 3, ...rule })).toThrow('not the next one');
    expect(apply({ type: 'RedirectChanged', id: 2, version: 2, ...rule })).toThrow('no redirect 2');
    expect(apply({ type: 'RedirectChanged', id: 1, version: 3, ...rule })).toThrow("doesn't follow");
    expect(apply({ type: 'RedirectActivated', id: 2 })).toThrow('no redirect 2');
  });

  it('are described by the names of their fields', () => {
    const driver = begun();
    const { utcMs } = driver;
    driver.execute({ type: 'RollBackRedirect', id: 1, version: 1 });
    const rule = { cdn_host: 'cdn.example', distribution_rate: 10, utc_ms: utcMs };
    const events = [
      { type: 'RedirectCreated', id: 1, cdnHost: 'cdn.example', distributionRate: 10, utcMs },
      { type: 'RedirectChanged', id: 1, version: 2, cdnHost: 'cdn.example', distributionRate: 10, utcMs, restored: 1 },
      { type: 'RedirectActivated', id: 1 },
    ] as const;
    expect(events.map((event) => describeEvent(redirectDomain.encodeEvent(event)))).toEqual([
      { id: 1, ...rule },
      { id: 1, version: 2, ...rule, restored: 1 },
      { id: 1 },
    ]);
    expect(driver.snapshot().flatMap(describeRecord)).toEqual([
      { kind: 'redirect', version: 1, fields: { id: 1, created_utc_ms: utcMs } },
      { kind: 'version', version: 1, fields: { id: 1, version: 1, ...rule } },
      { kind: 'version', version: 1, fields: { id: 1, version: 2, ...rule, restored: 1 } },
      { kind: 'active', version: 1, fields: { id: 1 } },
    ]);
  });
});
