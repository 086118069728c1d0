import type { Gauge, Registry } from 'prom-client';
import type { Family } from './family.ts';
import { LoopDelay, type LoopMonitor } from './loop-delay.ts';

/**
 * Of prom-client's own about the process. Not among them: what lists every descriptor and handle (8 ms with 8,000 sockets
 * open), and its delay of the event loop, which counts the interval of its timer as delay.
 */
export const PROCESS_FAMILIES = [
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'process_virtual_memory_bytes',
  'process_heap_bytes',
  'process_max_fds',
  'nodejs_heap_size_total_bytes',
  'nodejs_heap_size_used_bytes',
  'nodejs_external_memory_bytes',
  'nodejs_gc_duration_seconds',
];
/** Its monitor of the event loop can't be left out: it fires once an hour. */
const UNUSED_MONITOR_MS = 3_600_000;

export interface Scraped {
  readonly contentType: string;
  readonly text: string;
}

/**
 * What a scrape is answered. prom-client and the monitor of the event loop are there from the first scrape on: a start, and a
 * coordinator that nobody scrapes, do without the 70 ms and the 50 timers a second that they take.
 */
export class Exposition {
  readonly #families: readonly Family[];
  readonly #startMonitor: () => LoopMonitor;
  #registry: Promise<Registry> | undefined;

  constructor(families: readonly Family[], startMonitor: () => LoopMonitor) {
    this.#families = families;
    this.#startMonitor = startMonitor;
  }

  /** All of our own families are read in one turn. */
  async scrape(): Promise<Scraped> {
    const registry = await this.registry();
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  /** Made once. */
  registry(): Promise<Registry> {
    this.#registry ??= this.#open();
    return this.#registry;
  }

  async #open(): Promise<Registry> {
    const { collectDefaultMetrics, Registry } = await import('prom-client');
    const registry = new Registry();
    for (const family of [...this.#families, new LoopDelay(this.#startMonitor()).family()]) {
      registry.registerMetric(asMetric(family));
    }
    const processes = new Registry();
    collectDefaultMetrics({ register: processes, eventLoopMonitoringPrecision: UNUSED_MONITOR_MS });
    for (const name of PROCESS_FAMILIES) {
      // Not every system has them all.
      const metric = processes.getSingleMetric(name);
      if (metric) registry.registerMetric(metric);
    }
    return registry;
  }
}

/** What the registry asks of a metric: its name, and `get`. A class of its own would count for itself, at ten times the cost. */
function asMetric({ name, type, help, samples }: Family): Gauge {
  const metric = {
    name,
    get: () => {
      const values = Array.from(samples(), ({ suffix = '', labels, value }) => ({
        metricName: name + suffix,
        labels,
        value,
      }));
      return Promise.resolve({ name, type, help, values, aggregator: 'sum' });
    },
  };
  return metric as unknown as Gauge;
}
