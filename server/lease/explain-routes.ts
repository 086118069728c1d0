/** What an acquire would be answered, and why. */
import * as v from 'valibot';
import { acquireFields, STICKY_MESSAGE, stickyAgrees, whySchema } from '../../protocol/frames.ts';
import { wholeWhereSchema } from '../../protocol/where.ts';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, json, rejection } from '../admin/requests.ts';
import type { LeasePort } from './http-answers.ts';

/** As the frame `explain`; the key that makes an acquire idempotent has no part in it. */
const { id: _id, key: _key, ...wishFields } = acquireFields;
const explainBody = v.pipe(
  v.strictObject({ ...wishFields, where: v.exactOptional(wholeWhereSchema) }),
  v.forward(
    v.check((wish) => stickyAgrees(wish), STICKY_MESSAGE),
    ['sticky'],
  ),
);

export function explainRoutes(leases: LeasePort): Operation[] {
  return [
    operation({
      id: 'explain',
      tag: 'leases',
      method: 'post',
      path: '/v1/explain',
      role: 'operator',
      summary: 'Says what a collector would be answered now, and why; changes nothing.',
      body: explainBody,
      answers: {
        200: {
          description: 'The answer.',
          schema: v.object({ would: v.picklist(['grant', 'queue', 'refuse']), why: whySchema }),
        },
      },
      problems: { 404: 'No such resource.' },
      async handle({ body: { ttl_ms: ttlMs, wait_ms: waitMs, ...wish } }) {
        const answer = await answerOf(leases, {
          type: 'ExplainAcquire',
          // As a collector would be answered: nobody else may wait.
          holder: { kind: 'session', session: '' },
          ttlMs,
          ...(waitMs === undefined ? {} : { waitMs }),
          ...wish,
        });
        return answer.type === 'rejected' ? rejection(answer) : json({ would: answer.would, why: answer.why });
      },
    }),
  ];
}
