/** What artillery's own HTTP engine calls after each response: for the curves, and for where redirects lead to. */
import type { MetricEvents } from './metrics.ts';
import { openTimeline } from './timeline.ts';

interface HttpResponse {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly timings?: { readonly phases: { readonly firstByte?: number } };
}

export function recordResponse(
  _request: unknown,
  response: HttpResponse,
  _context: unknown,
  _events: MetricEvents,
  next: () => void,
): void {
  openTimeline()?.record('http', response.timings?.phases.firstByte ?? 0);
  next();
}

/** `redirect.cdn` and `redirect.origin`, by the host that `location` names. */
export function countRedirect(
  _request: unknown,
  { headers }: HttpResponse,
  _context: unknown,
  events: MetricEvents,
  next: () => void,
): void {
  const host = URL.canParse(headers['location'] ?? '') ? new URL(headers['location']!).hostname : 'nowhere';
  const isOrigin = host.endsWith('.origin.example');
  events.emit('counter', 'redirect.origin', isOrigin ? 1 : 0);
  events.emit('counter', 'redirect.cdn', isOrigin || host === 'nowhere' ? 0 : 1);
  next();
}
