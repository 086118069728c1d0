/** What the reverse proxy is told: which requests go to which targets, and how. */
import type { Strategy } from '../../protocol/codes.ts';
import type { HealthPolicy } from '../health/target-health.ts';

export interface TargetSettings {
  /** `http://host:port` or `https://host:port`, with nothing behind it. */
  readonly url: string;
  /** Share beside the others of its route, by `weighted`, `least_connections` and `sticky`. */
  readonly weight: number;
}

/** How a route treats requests and targets. Durations in ms. */
export interface RoutePolicy extends HealthPolicy {
  /** Absent: `weighted` where a target has a weight, `round_robin` otherwise. */
  readonly strategy?: Strategy;
  /** What `sticky` goes by; with neither of them the client's IP. */
  readonly stickyHeader?: string;
  readonly stickyCookie?: string;
  /** The target is called by its own name; otherwise it gets the `Host` of the request. */
  readonly rewriteHost: boolean;
  /** What is answered where no target is left. Without a text it is a problem. */
  readonly allDownStatus: number;
  readonly allDownText?: string;
  readonly connectTimeoutMs: number;
  /** From the last of the request to the head of the response: a target that takes longer is silent. */
  readonly responseTimeoutMs: number;
  /** A body on which nothing moves for so long is cut. */
  readonly idleTimeoutMs: number;
  /** The same of an upgraded connection. */
  readonly tunnelIdleMs: number;
  /** Requests under way at one time, upgraded connections among them; one more is answered 503. */
  readonly inFlightMax: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  /** Absent: a probe is a TCP connection. */
  readonly probePath?: string;
  /** That the probe of a path expects. */
  readonly probeStatus: number;
  /** Time over which a target that is back gets its share little by little; 0: all of it at once. */
  readonly slowStartMs: number;
}

export interface Route {
  /** For log and metrics: `api.example/v1`. */
  readonly name: string;
  /** In small letters, exact or `*.example.com`; absent: any. */
  readonly host?: string;
  /** Matches itself and what is below it: `/a` is `/a` and `/a/b`, and not `/ab`. */
  readonly path: string;
  readonly targets: readonly TargetSettings[];
  readonly policy: RoutePolicy;
}
