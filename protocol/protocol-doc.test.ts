/** Holds PROTOCOL.md to the code: its examples, its bytes, its types, its tables. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { POLICY_FIELDS } from '../server/policy-settings.ts';
import { msgpackCodec } from './codec.ts';
import {
  CLOSE,
  ERROR_CODES,
  LEASE_ENDS,
  OUTCOMES,
  PAIR_STATES,
  REFUSED_REASONS,
  REVOKE_REASONS,
  STRATEGIES,
} from './codes.ts';
import * as frames from './frames.ts';
import { parseCollectorFrame, parseCoordinatorFrame } from './frames.ts';
import * as limits from './limits.ts';
import { whereFault, whereSchema } from './where.ts';

const page = readFileSync(new URL('PROTOCOL.md', import.meta.url), 'utf8');
const blocks = Array.from(page.matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, language, text]) => ({
  language: language!,
  text: text!,
}));

/**
 * A frame begins with an arrow: `→` from the collector, `↛` likewise but faulty, `←` from the coordinator. Lines indented
 * behind it go on with it, or are its bytes behind a `#`.
 */
const examples = blocks
  .filter(({ language }) => language === 'text')
  .flatMap(({ text }) => {
    const found: { arrow: string; json: string; hex: string }[] = [];
    for (const line of text.split('\n')) {
      const start = /^([→↛←]) (.*)$/.exec(line);
      if (start) found.push({ arrow: start[1]!, json: start[2]!, hex: '' });
      else if (line.startsWith('  # ')) found.at(-1)!.hex += line.slice(4).replaceAll(' ', '');
      else if (line.startsWith('  ')) found.at(-1)!.json += line.slice(2);
    }
    return found;
  });
const framesOf = (json: string): unknown[] => [JSON.parse(json) as unknown].flat();
const ofArrow = (arrow: string) =>
  examples.filter((example) => example.arrow === arrow).map(({ json, hex }): [string, string] => [json, hex]);

describe('examples', () => {
  test.each(ofArrow('→'))('a collector may send %s', (json) => {
    for (const frame of framesOf(json)) expect(parseCollectorFrame(frame)).toEqual({ ok: true, frame });
  });

  test.each(ofArrow('←'))('the coordinator may send %s', (json) => {
    for (const frame of framesOf(json)) expect(parseCoordinatorFrame(frame)).toEqual({ ok: true, frame });
  });

  const faulty = examples.flatMap((example, index): [string, string][] =>
    example.arrow === '↛' ? [[example.json, examples[index + 1]!.json]] : [],
  );
  test.each(faulty)('%s is answered with the error that stands below', (json, error) => {
    const parsed = parseCollectorFrame(JSON.parse(json));
    expect({ type: 'error', ...(!parsed.ok && parsed.fault) }).toEqual(JSON.parse(error));
  });

  const withBytes = examples.filter(({ hex }) => hex !== '').map(({ json, hex }): [string, string] => [json, hex]);
  test.each(withBytes)('the bytes below %s are that frame', (json, hex) => {
    const frame = JSON.parse(json) as frames.CollectorFrame | frames.CoordinatorFrame;
    expect(msgpackCodec.decode(Buffer.from(hex, 'hex'))).toEqual({ ok: true, value: frame });
    expect(Buffer.from(msgpackCodec.encode(frame) as Uint8Array).toString('hex')).toBe(hex);
  });

  test.each(blocks.filter(({ language }) => language === 'json').map(({ text }) => [text.trim()]))(
    '%s is a condition',
    (text) => {
      const where = v.parse(whereSchema, JSON.parse(text));
      expect(where).toEqual(JSON.parse(text));
      expect(whereFault(where)).toBeUndefined();
    },
  );

  test('are as many as the page has, so that none is overlooked', () => {
    expect(examples).toHaveLength(page.match(/^[→↛←] /gm)!.length);
    expect(withBytes.length).toBeGreaterThanOrEqual(9);
    expect(faulty.length).toBeGreaterThanOrEqual(9);
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['text', 'ts', 'json', 'python']));
  });
});

type Entries = Readonly<Record<string, { readonly type: string }>>;
interface AnySchema {
  readonly entries?: Entries;
  readonly options?: readonly AnySchema[];
  readonly wrapped?: AnySchema;
  readonly value?: AnySchema;
}

/** Fields of a map's schema, those that may be absent with a `?` behind. */
function fieldsOf(schema: AnySchema): string[] {
  return Object.entries(schema.entries!).map(([key, { type }]) => (type === 'exact_optional' ? `${key}?` : key));
}

describe('types', () => {
  const documented = new Map(
    blocks
      .filter(({ language }) => language === 'ts')
      .flatMap(({ text }) => Array.from(text.matchAll(/^interface (\w+) \{\n(.*?)^\}$/gms)))
      .map(([, name, body]) => [name!, Array.from(body!.matchAll(/^ {2}(\w+\??):/gm), ([, field]) => field!)]),
  );

  const where = whereSchema as AnySchema;
  const operators = (field: string) => (where.entries![field] as AnySchema).wrapped!;
  const [granted, grantedMany] = (frames.grantedSchema as AnySchema).options!;
  const [renewed, renewedMany] = (frames.renewedSchema as AnySchema).options!;
  const [renewedLease, lostLease] = (frames.renewalSchema as AnySchema).options!;
  const schemas: Readonly<Record<string, AnySchema | undefined>> = {
    Hello: frames.helloSchema,
    Acquire: frames.acquireSchema,
    Renew: frames.renewSchema,
    Release: frames.releaseSchema,
    Report: frames.reportSchema,
    Ping: frames.pingSchema,
    Bye: frames.byeSchema,
    Cancel: frames.cancelSchema,
    Count: frames.countSchema,
    Welcome: frames.welcomeSchema,
    Held: frames.heldSchema,
    Waiting: frames.waitingSchema,
    Ended: frames.endedSchema,
    SessionLimits: frames.sessionLimitsSchema,
    Granted: granted,
    GrantedMany: grantedMany,
    Grant: frames.grantSchema,
    AddressRecord: frames.addressRecordSchema,
    Refused: frames.refusedSchema,
    Why: frames.whySchema,
    Renewed: renewed,
    RenewedMany: renewedMany,
    RenewedLease: renewedLease,
    LostLease: lostLease,
    Released: frames.releasedSchema,
    Reported: frames.reportedSchema,
    Pong: frames.pongSchema,
    Expiring: frames.expiringSchema,
    Expired: frames.expiredSchema,
    Revoked: frames.revokedSchema,
    Revoking: frames.revokingSchema,
    Goaway: frames.goawaySchema,
    Error: frames.errorSchema,
    Queued: frames.queuedSchema,
    Explained: frames.explainedSchema,
    Cancelled: frames.cancelledSchema,
    Counted: frames.countedSchema,
    Where: where,
    TextOperators: operators('country'),
    IntegerOperators: operators('rpw'),
    SetOperators: operators('resource_ids'),
    LabelOperators: operators('labels').value,
  };

  test.each(Object.keys(schemas))('%s has the fields of its schema', (name) => {
    expect(documented.get(name)).toEqual(fieldsOf(schemas[name]!));
  });

  test('none is there that no schema stands behind', () => {
    expect([...documented.keys()].sort()).toEqual(Object.keys(schemas).sort());
  });

  test('explain has the fields of acquire, as the page says', () => {
    expect(fieldsOf(frames.explainSchema)).toEqual(fieldsOf(frames.acquireSchema));
  });

  test.each([
    ['strategies', STRATEGIES],
    ['outcomes', OUTCOMES],
    ['ends', LEASE_ENDS],
    ['reasons of a refusal', REFUSED_REASONS],
  ])('%s are listed in full', (_, words) => {
    expect(page.replaceAll(/\s+/g, ' ')).toContain(words.map((word) => `'${word}'`).join(' | '));
  });

  test('pair states are listed in full', () => {
    expect(page.replaceAll(/\s+/g, ' ')).toContain(PAIR_STATES.map((state) => `${state}?: number;`).join(' '));
  });

  test('every type of frame has a section of its own', () => {
    const sections = Array.from(page.matchAll(/^### (\w+)$/gm), ([, name]) => name!);
    const types = Object.values(frames)
      .filter((value): value is never => typeof value === 'object' && 'type' in (value as object))
      .flatMap((schema: AnySchema) => [schema, ...(schema.options ?? [])])
      .flatMap(({ entries }) => (entries?.type as { literal?: string } | undefined)?.literal ?? []);
    expect(new Set(types).size).toBe(27);
    expect(sections.filter((name) => /^[a-z]/.test(name)).sort()).toEqual([...new Set(types)].sort());
  });
});

/** As the page writes a number. */
function grouped(value: number): string {
  return value.toLocaleString('en');
}

describe('tables', () => {
  /** Cells of the rows of the first table below a heading. */
  function rows(heading: string): string[][] {
    const section = page.split(new RegExp(`\n##+ ${heading}\n`))[1]!.split('\n## ')[0]!;
    const table = /(^\|.*\n)+/m.exec(section)![0];
    return table
      .trim()
      .split('\n')
      .slice(2)
      .map((row) => row.split(' | ').map((cell) => cell.replaceAll(/^\| ?|\|$|`/g, '').trim()));
  }

  test('states of a pair', () => {
    expect(rows('Nomenclature').map(([state]) => state)).toEqual([...PAIR_STATES]);
  });

  test('strategies', () => {
    expect(rows('Strategies').map(([strategy]) => strategy)).toEqual([...STRATEGIES]);
  });

  test('fields of a policy', () => {
    const fields = rows('Policies').flatMap(([names]) => names!.split(', '));
    expect(fields.sort()).toEqual([...POLICY_FIELDS].sort());
  });

  test('error codes', () => {
    expect(rows('Errors').map(([code]) => code)).toEqual([...ERROR_CODES]);
  });

  test('reasons of a refusal', () => {
    expect(rows('Refusals').map(([reason]) => reason)).toEqual([...REFUSED_REASONS]);
  });

  test('close codes', () => {
    const named = rows('Close codes').filter(([, name]) => name !== "(WebSocket's own)");
    expect(Object.fromEntries(named.map(([code, name]) => [name, Number(code)]))).toEqual(CLOSE);
  });

  test('reasons of a revocation', () => {
    const section = page.split('\n### revoked\n')[1]!;
    expect(Array.from(section.matchAll(/`(\w+)`/g), ([, word]) => word!).slice(0, REVOKE_REASONS.length)).toEqual([
      ...REVOKE_REASONS,
    ]);
  });

  test('bounds', () => {
    const bounds = new Map(rows('Bounds').map(([what, bound]) => [what, bound]));
    const number = (what: string) => Number(/[\d,]+(?=\D*$)/.exec(bounds.get(what)!)![0].replaceAll(',', ''));
    expect(number('one frame alone in its message')).toBe(limits.FRAME_BYTES_MAX);
    expect(number('one message')).toBe(limits.MESSAGE_BYTES_MAX);
    expect(number('frames in one message, see [batch](#batches)')).toBe(limits.BATCH_FRAMES_MAX);
    expect(number('maps and arrays inside one another')).toBe(limits.NESTING_DEPTH_MAX);
    expect(number('keys, values and elements in one message to the coordinator')).toBe(limits.MESSAGE_VALUES_MAX);
    expect(
      number("characters in client, api_key, sticky, key, counter, a label's name, a session's id and secret"),
    ).toBe(limits.NAME_LENGTH_MAX);
    expect(number('characters in a text of a condition')).toBe(limits.WHERE_TEXT_LENGTH_MAX);
    expect(number('values in one list of a condition')).toBe(limits.WHERE_LIST_MAX);
    expect(number('values in all lists of one condition, parts of and and or among them')).toBe(
      limits.WHERE_VALUES_MAX,
    );
    expect(number('operators in one condition')).toBe(limits.WHERE_OPERATORS_MAX);
    expect(number('and, or, not inside one another')).toBe(limits.WHERE_DEPTH_MAX);
    expect(number('leases in one renew')).toBe(limits.RENEW_LEASES_MAX);
    expect(number('count of an acquire')).toBe(limits.COUNT_MAX);
    expect(number('characters of a condition as JSON, times the count of its acquire')).toBe(
      limits.COUNT_WHERE_CHARACTERS_MAX,
    );
    expect(number('waiting requests of a session')).toBe(limits.WAITERS_PER_SESSION_MAX);
    expect(number('waiting requests for a resource')).toBe(limits.WAITERS_PER_RESOURCE_MAX);
    expect(number('of them, with a count')).toBe(limits.WAITING_COUNTS_MAX);
    expect(number('of them, different conditions')).toBe(limits.WAITING_CONDITIONS_MAX);
    expect(number('requests on one connection that wait by one key')).toBe(limits.WAITER_REQUESTS_MAX);
    expect(bounds.get('wait_ms')).toBe(`0 to ${grouped(limits.WAIT_MS_MAX)} (a day)`);
    expect(bounds.get('keys of a session whose leases have ended')).toBe(
      `${grouped(limits.ENDED_KEYS_MAX)}, for ${grouped(limits.ENDED_KEYS_MS)} ms (10 minutes)`,
    );
    expect(number('counters')).toBe(limits.COUNTERS_MAX);
    expect(bounds.get('keys of counts of a session')).toBe(
      `${grouped(limits.COUNT_KEYS_PER_HOLDER_MAX)}, for ${grouped(limits.COUNT_KEYS_MS)} ms (10 minutes)`,
    );
    expect(number('keys of counts of all sessions')).toBe(limits.COUNT_KEYS_MAX);
    expect(number('characters in error.message and in error.path')).toBe(limits.ERROR_TEXT_MAX);
    expect(bounds.get('ttl_ms')).toContain(`${limits.TTL_MIN_MS} to ${grouped(limits.TTL_MAX_MS)} `);
    expect(1 - limits.CLOCK_RATE_MARGIN).toBe(0.999);
  });

  test('bounds, where the text says them again', () => {
    const text = page.replaceAll(/\s+/g, ' ');
    expect(text).toContain(`only to the foremost ${grouped(limits.QUEUE_NOTICES_MAX)} of the resource`);
    expect(text).toContain(
      `at most ${grouped(limits.WAITERS_PER_SESSION_MAX)} requests waiting, and a resource at most ` +
        `${grouped(limits.WAITERS_PER_RESOURCE_MAX)}, of at most ${limits.WAITING_CONDITIONS_MAX} different conditions; ` +
        `${limits.WAITING_COUNTS_MAX} of them`,
    );
    expect(text).toContain(`the last ${grouped(limits.ENDED_KEYS_MAX)} ended ones of a session`);
    expect(text).toContain(
      `the last ${grouped(limits.COUNT_KEYS_PER_HOLDER_MAX)} of a session, ` +
        `the last ${grouped(limits.COUNT_KEYS_MAX)} of all`,
    );
    expect(text).toContain(`beyond ±${grouped(Number.MAX_SAFE_INTEGER)} (2⁵³ − 1)`);
    expect(text).toContain(`A refusal looks at ${grouped(limits.WHY_EXACT_MAX)} addresses`);
  });
});

test('every link within the page leads somewhere', () => {
  const anchors = Array.from(page.matchAll(/^#+ (.+)$/gm), ([, title]) => title!.toLowerCase().replaceAll(' ', '-'));
  const targets = Array.from(page.matchAll(/\]\(#([^)]+)\)/g), ([, anchor]) => anchor!);
  expect(targets.length).toBeGreaterThan(20);
  expect(targets.filter((target) => !anchors.includes(target))).toEqual([]);
});
