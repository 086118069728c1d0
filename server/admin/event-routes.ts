/** The stream of everything that happens, as server-sent events. */
import * as v from 'valibot';
import { problemResponse } from '../../protocol/problems.ts';
import { EVENT_STREAMS_MAX, type EventFeed } from './event-feed.ts';
import { type Operation, operation } from './operation.ts';
import { idSchema } from './requests.ts';

const RETRY_S = 5;
/** Names in one filter. */
const NAMES_MAX = 100;
const HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // What nginx takes for: pass it on as it comes.
  'X-Accel-Buffering': 'no',
};

const lastPosition = v.exactOptional(
  v.pipe(
    v.number('expected a position: an integer from 0'),
    v.safeInteger('expected a position: an integer from 0'),
    v.minValue(0, 'expected a position: an integer from 0'),
    v.description('The last event seen: what follows it comes. 0: all that is kept.'),
  ),
);

export function eventRoutes(feed: EventFeed): Operation[] {
  return [
    operation({
      id: 'streamEvents',
      tag: 'events',
      method: 'get',
      path: '/v1/events',
      role: 'operator',
      summary: 'Streams everything that happens, each event once it is durable.',
      description:
        'Server-sent events: `id` is the position in the journal, `event` the name (`LeaseGranted`, …), `data` a line of ' +
        '`leasehold journal dump`, credentials masked. Without `Last-Event-ID` it begins now, with the event `hello`, which ' +
        'says where that is; with it, behind that position, without a gap and without repeating. Where what follows is no ' +
        'longer kept the event `gap` says from where on it goes on; where the position is yet to come (an older copy was ' +
        'restored) the event `reset` says where it is now. A filtered stream has an `id` without data from time to time, so ' +
        'that a reconnect goes on from there. A client that takes nothing for two minutes is cut off; a ' +
        'stream ends with the key that opened it, and one without a key where the first of an operator is made.',
      headers: { 'Last-Event-ID': lastPosition },
      query: {
        last_event_id: v.exactOptional(
          v.pipe(lastPosition.wrapped, v.description('For clients that set no headers; the header goes first.')),
        ),
        resource: v.exactOptional(
          v.pipe(
            idSchema,
            v.description(
              'Events that name this resource, and those of its leases and of waits for it; also of leases that ended so ' +
                'long ago that nobody knows their resource.',
            ),
          ),
        ),
        event: v.exactOptional(
          v.pipe(v.array(v.string()), v.maxLength(NAMES_MAX), v.description('Events of these names, with commas.')),
        ),
        domain: v.exactOptional(v.pipe(v.string(), v.description('`lease`, `coordinator`, …'))),
      },
      answers: {
        200: { description: 'Events without end.', contentType: 'text/event-stream' },
      },
      problems: { 503: `There are ${EVENT_STREAMS_MAX} streams already, or the coordinator is stopping.` },
      handle: ({ headers, query, request, recheck }) => {
        // Nobody would read it.
        if (request.method === 'HEAD') return new Response(null, { headers: HEADERS });
        const { last_event_id: asked, resource, event: events, domain } = query;
        const body = feed.subscribe({
          lastPosition: headers['Last-Event-ID'] ?? asked,
          filter: { resource, events, domain },
          isAllowed: () => recheck() === undefined,
        });
        if (body) return new Response(body, { headers: HEADERS });
        return problemResponse(503, 'there are as many streams of events as there may be', {
          reason: 'too_many',
          retryAfterS: RETRY_S,
        });
      },
    }),
  ];
}
