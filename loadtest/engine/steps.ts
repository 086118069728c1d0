/** The flow of a scenario: what stands there, checked, and turned into what a collector does. README.md lists the steps. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { type CollectorFrame, parseCollectorFrame } from '../../protocol/frames.ts';
import { PROTOCOL_VERSION } from '../../protocol/limits.ts';
import type { Collector } from './collector.ts';

/** Artillery's context of a virtual user. */
export interface Context {
  readonly vars: Record<string, unknown>;
}
type Callback = (error: unknown, context?: Context) => void;

/** The part of artillery's helpers that is used. */
export interface Helpers {
  /** `{{ name }}` in all texts within, replaced by variables. */
  template(value: unknown, context: Context): unknown;
  createThink(step: object, defaults: object): (context: Context, callback: Callback) => void;
}

/** A virtual user on its way through the flow. */
export interface Run {
  readonly collector: Collector;
  readonly context: Context;
  /** Of its next beat, by performance.now(). */
  paceAtMs: number | undefined;
}
export type Step = (run: Run) => Promise<void>;

/** Something is wrong with the scenario itself; the message says where. */
export class ScenarioError extends Error {}

/** The name of a lease that was given none. */
const LEASE = 'lease';

const millis = v.pipe(v.number(), v.minValue(0));
const holdSchema = v.strictObject({
  lease: v.optional(v.string(), LEASE),
  for_ms: millis,
  renew_every_ms: v.exactOptional(v.pipe(v.number(), v.minValue(1))),
});
const paceSchema = v.strictObject({ every_ms: v.pipe(v.number(), v.minValue(1)) });
const countSchema = v.pipe(v.number(), v.integer(), v.minValue(1));
const secondsSchema = v.pipe(v.number(), v.minValue(0));

type Body = Readonly<Record<string, unknown>>;

const STEPS: Readonly<Record<string, (run: Run, body: Body) => Promise<unknown>>> = {
  hello: ({ collector }, body) => collector.hello(optionsOf('hello', { ...body, protocol: PROTOCOL_VERSION })),
  acquire: ({ collector }, { as = LEASE, ...body }) => collector.acquire(nameOf(as), optionsOf('acquire', body)),
  hold({ collector }, body) {
    const { lease, for_ms: forMs, renew_every_ms: renewEveryMs } = checked('hold', holdSchema, body);
    return collector.hold(lease, forMs, renewEveryMs);
  },
  renew: ({ collector }, { lease = LEASE, ...body }) =>
    collector.renew(nameOf(lease), optionsOf('renew', { ...body, lease: ANY_TOKEN }).ttl_ms),
  report: ({ collector }, { lease = LEASE, ...body }) =>
    collector.report(nameOf(lease), optionsOf('report', { ...body, lease: ANY_TOKEN })),
  release: ({ collector }, { lease = LEASE, ...body }) =>
    collector.release(nameOf(lease), optionsOf('release', { ...body, lease: ANY_TOKEN })),
  count: ({ collector }, body) => collector.count(optionsOf('count', body)),
  drop: ({ collector }) => collector.drop(),
  bye: ({ collector }) => collector.bye(),
  async pace(run, body) {
    const { every_ms: everyMs } = checked('pace', paceSchema, body);
    const nowMs = performance.now();
    run.paceAtMs = (run.paceAtMs ?? nowMs) + everyMs;
    // A beat that has passed is made up for: the rate is that of the beats, however slow the answers.
    if (run.paceAtMs > nowMs) await sleep(run.paceAtMs - nowMs);
  },
};

/** Stands in a frame for the lease that a scenario names by a word. */
const ANY_TOKEN = 1;

/** Throws a ScenarioError where a step is none. */
export function readFlow(flow: unknown, helpers: Helpers, defaults: object = {}): Step {
  if (!Array.isArray(flow)) throw new ScenarioError('flow: expected a list of steps');
  const steps = flow.map((item: unknown) => readStep(item, helpers, defaults));
  return async (run) => {
    for (const step of steps) await step(run);
  };
}

function readStep(item: unknown, helpers: Helpers, defaults: object): Step {
  const step: Body = typeof item === 'string' ? { [item]: {} } : ((item ?? {}) as Body);
  if (step['loop'] !== undefined) return readLoop(step, helpers, defaults);
  if (step['think'] !== undefined) {
    const think = helpers.createThink(step, defaults);
    return ({ context }) =>
      new Promise((done, fail) => {
        think(context, (error) => (error ? fail(error as Error) : done()));
      });
  }
  const [name = '', ...more] = Object.keys(step);
  const act = STEPS[name];
  if (!act || more.length > 0) {
    const known = [...Object.keys(STEPS), 'loop', 'think'].join(', ');
    throw new ScenarioError(`${JSON.stringify(item)}: expected one of ${known}`);
  }
  return async (run) => {
    await act(run, typed(helpers.template(step[name] ?? {}, run.context) as Body));
  };
}

/** `count` times, or for so many seconds; `$loopCount` counts from 0. */
function readLoop({ loop, ...terms }: Body, helpers: Helpers, defaults: object): Step {
  const flow = readFlow(loop, helpers, defaults);
  const unknown = Object.keys(terms).filter((name) => name !== 'count' && name !== 'for_seconds');
  if (unknown.length > 0 || Object.keys(terms).length !== 1) {
    throw new ScenarioError('loop: expected either count or for_seconds beside it');
  }
  return async (run) => {
    const { count, for_seconds: seconds } = typed(helpers.template(terms, run.context) as Body);
    const times = count === undefined ? Number.POSITIVE_INFINITY : checked('loop: count', countSchema, count);
    const forMs = seconds === undefined ? Number.POSITIVE_INFINITY : checkedMs(seconds);
    const endMs = performance.now() + forMs;
    for (let index = 0; index < times && performance.now() < endMs; index += 1) {
      run.context.vars['$loopCount'] = index;
      await flow(run);
    }
  };
}

const checkedMs = (seconds: unknown) => checked('loop: for_seconds', secondsSchema, seconds) * 1_000;

/** What a template leaves behind is text or a number as it happens: a field has the type that its name says. */
const NUMERIC = /^(?:resource|count|requests|by|for_seconds|\w+_ms)$/;
const TEXTUAL = /^(?:key|sticky|counter|client|as|lease)$/;

function typed(body: Body): Body {
  const entries = Object.entries(body).map(([name, value]) => {
    const isNumber = NUMERIC.test(name) && typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value);
    const isText = TEXTUAL.test(name) && typeof value === 'number';
    return [name, isNumber ? Number(value) : isText ? String(value) : value] as const;
  });
  return Object.fromEntries(entries);
}

function nameOf(value: unknown): string {
  return checked('the name of a lease', v.string(), value);
}

/** Checked as the frame that it becomes: a step has the fields of its frame, and no others. */
function optionsOf<Type extends CollectorFrame['type']>(type: Type, body: Body) {
  const parsed = parseCollectorFrame({ ...body, type, id: 0 });
  if (!parsed.ok) throw new ScenarioError(`${type}: ${parsed.fault.message}`);
  return parsed.frame as Extract<CollectorFrame, { type: Type }>;
}

function checked<Output>(what: string, schema: v.GenericSchema<unknown, Output>, value: unknown): Output {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [{ message, path }] = result.issues;
  const field = path?.map(({ key }) => String(key)).join('.');
  throw new ScenarioError([what, field, message].filter(Boolean).join(': '));
}
