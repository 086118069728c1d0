/** Counters over HTTP. */
import * as v from 'valibot';
import { countSchema } from '../../protocol/frames.ts';
import { type Operation, operation } from '../admin/operation.ts';
import {
  answerOf,
  idempotencyKey,
  json,
  keyHeader,
  lookAt,
  namePageQuery,
  pageOf,
  rejection,
  unknown,
} from '../admin/requests.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { CounterAnswers, CounterCommand } from './commands.ts';
import { type CounterState, countersAfter } from './state.ts';

export type CounterPort = DomainPort<CounterState, CounterCommand, CounterAnswers, never>;

/** As the frame `count`; the key that makes it idempotent is a header. */
const { counter: name, by } = countSchema.entries;
const params = { counter: name };
const counterShown = v.object({ counter: v.string(), value: v.number() });

export function counterRoutes(counters: CounterPort): Operation[] {
  return [
    operation({
      id: 'listCounters',
      tag: 'counters',
      method: 'get',
      path: '/v1/counters',
      role: 'operator',
      summary: 'Lists counters by name.',
      query: namePageQuery,
      answers: {
        200: {
          description: 'One page.',
          schema: v.object({
            counters: v.array(counterShown),
            next: v.exactOptional(v.pipe(v.string(), v.description('Ask for `after` this; absent: there is no more.'))),
          }),
        },
      },
      async handle({ query: { after = '', limit } }) {
        const { limit: most } = pageOf(limit === undefined ? {} : { limit });
        // One more than is shown says whether there is more.
        const found = await lookAt(counters, (state) => countersAfter(state, after, most + 1));
        const shown = found.slice(0, most);
        return json({ counters: shown, ...(found.length > most ? { next: shown.at(-1)!.counter } : {}) });
      },
    }),
    operation({
      id: 'getCounter',
      tag: 'counters',
      method: 'get',
      path: '/v1/counters/{counter}',
      role: 'collector',
      summary: 'Shows one counter.',
      params,
      answers: { 200: { description: 'The counter.', schema: counterShown } },
      problems: { 404: 'No such counter.' },
      async handle({ params: { counter } }) {
        const value = await lookAt(counters, ({ values }) => values.get(counter));
        return value === undefined ? unknownCounter() : json({ counter, value });
      },
    }),
    operation({
      id: 'addToCounter',
      tag: 'counters',
      method: 'post',
      path: '/v1/counters/{counter}',
      role: 'collector',
      summary: 'Adds to a counter, in one step; one that isn’t there begins at 0.',
      description: 'Names stand in the log of requests: put no secret into one.',
      params,
      headers: keyHeader,
      body: v.strictObject({ by: v.pipe(by, v.description('May be negative; 0 without a key only reads.')) }),
      answers: { 200: { description: 'What it came to.', schema: counterShown } },
      problems: { 429: 'There are as many counters as there may be.', 507: 'The disk is full.' },
      async handle({ params: { counter }, headers, body, caller }) {
        const { key, problem } = idempotencyKey(headers, caller);
        if (problem) return problem;
        const holder = `client ${caller.client}`;
        const answer = await answerOf(counters, { type: 'AddToCounter', holder, counter, by: body.by, key });
        return answer.type === 'rejected' ? rejection(answer) : json({ counter, value: answer.value });
      },
    }),
    operation({
      id: 'deleteCounter',
      tag: 'counters',
      method: 'delete',
      path: '/v1/counters/{counter}',
      role: 'operator',
      summary: 'Deletes a counter; counting in it again begins anew.',
      params,
      answers: { 204: { description: 'It is gone.' } },
      problems: { 404: 'No such counter.' },
      async handle({ params: { counter } }) {
        const { type } = await answerOf(counters, { type: 'DeleteCounter', counter });
        return type === 'deleted' ? new Response(null, { status: 204 }) : unknownCounter();
      },
    }),
  ];
}

function unknownCounter(): Response {
  return unknown('counter', 'there is none of that name', 'unknown_counter');
}
