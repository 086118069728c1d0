/**
 * An engine of artillery that speaks Leasehold: each virtual user is a collector with one session on one WebSocket, by way of
 * the project's own client library, msgpack frames and all. README.md has its steps, options and metrics.
 */
import * as v from 'valibot';
import { Collector, type CollectorOptions } from './collector.ts';
import { type MetricEvents, Metrics } from './metrics.ts';
import { PairWatch } from './pair-watch.ts';
import { type Context, type Helpers, type Run, readFlow, ScenarioError } from './steps.ts';
import { openTimeline } from './timeline.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const RECONNECT_MAX_MS = 2_000;

const milliseconds = v.pipe(v.number(), v.integer(), v.minValue(0));
/** `config.engines.leasehold`. */
const optionsSchema = v.strictObject({
  client: v.exactOptional(v.string()),
  api_key: v.exactOptional(v.string()),
  resume_window_ms: v.exactOptional(milliseconds),
  notice_ms: v.exactOptional(milliseconds),
  request_timeout_ms: v.optional(milliseconds, REQUEST_TIMEOUT_MS),
  reconnect_max_ms: v.optional(milliseconds, RECONNECT_MAX_MS),
});

export interface Script {
  readonly config: {
    readonly target: string;
    readonly engines?: { readonly leasehold?: unknown };
    readonly defaults?: { readonly think?: object };
  };
}

export type Scenario = (context: Context, done: (error: unknown, context: Context) => void) => void;

export class LeaseholdEngine {
  readonly #options: CollectorOptions;
  readonly #thinkDefaults: object;
  readonly #helpers: Helpers;
  /** One for all virtual users of this worker. */
  readonly #pairs = new PairWatch();

  /** Throws where an option is wrong. The second parameter, of artillery, is of no use here. */
  constructor(script: Script, _events: unknown, helpers: Helpers) {
    const { target, engines, defaults } = script.config;
    const parsed = v.safeParse(optionsSchema, engines?.leasehold ?? {});
    if (!parsed.success) {
      const [{ message, path }] = parsed.issues;
      throw new ScenarioError(`engines.leasehold.${path?.map(({ key }) => String(key)).join('.')}: ${message}`);
    }
    const { request_timeout_ms: requestTimeoutMs, reconnect_max_ms: reconnectMaxMs, ...hello } = parsed.output;
    this.#options = { url: target, hello, requestTimeoutMs, reconnectMaxMs };
    this.#thinkDefaults = defaults?.think ?? {};
    this.#helpers = helpers;
  }

  createScenario(scenario: { readonly flow?: unknown }, events: MetricEvents): Scenario {
    const flow = readFlow(scenario.flow, this.#helpers, this.#thinkDefaults);
    const metrics = new Metrics(events, openTimeline());
    const play = async (context: Context) => {
      const collector = new Collector(this.#options, metrics, this.#pairs);
      const run: Run = { collector, context, paceAtMs: undefined };
      events.emit('started');
      metrics.begin();
      try {
        await flow(run);
      } finally {
        await collector.bye();
      }
    };
    return (context, done) => {
      play(context).then(
        () => done(null, context),
        (error: unknown) => {
          // Short, for artillery counts errors by it.
          events.emit('error', (error as { code?: string }).code ?? (error as Error).message);
          done(error, context);
        },
      );
    };
  }
}
