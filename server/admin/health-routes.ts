/** Whether the process lives, and whether it serves: for whatever watches it. Asked for without a key. */
import * as v from 'valibot';
import { problemResponse } from '../../protocol/problems.ts';
import { type Operation, operation } from './operation.ts';
import { json } from './requests.ts';

export interface Health {
  /** `starting`: the state is being recovered; `draining`: it stops, and takes no new sessions. */
  readonly status: 'starting' | 'ready' | 'draining';
  readonly epoch?: number;
  /** The last event that is durable. */
  readonly position?: number;
}

const healthFields = { epoch: v.exactOptional(v.number()), position: v.exactOptional(v.number()) };

export function healthRoutes(health: () => Health): Operation[] {
  return [
    operation({
      id: 'getHealth',
      tag: 'health',
      method: 'get',
      path: '/healthz',
      role: 'anyone',
      summary: 'Says that the process lives, also while it starts and while it drains.',
      answers: {
        200: {
          description: 'It lives.',
          schema: v.object({ status: v.literal('ok'), ...healthFields, draining: v.boolean() }),
        },
      },
      handle() {
        const { status, ...rest } = health();
        return json({ status: 'ok', ...rest, draining: status === 'draining' });
      },
    }),
    operation({
      id: 'getReadiness',
      tag: 'health',
      method: 'get',
      path: '/readyz',
      role: 'anyone',
      summary: 'Says whether requests are served: only after recovery, and not while draining.',
      answers: {
        200: { description: 'It serves.', schema: v.object({ status: v.literal('ready'), ...healthFields }) },
      },
      problems: { 503: 'It does not serve: `reason` is `starting` or `draining`.' },
      handle() {
        const { status, ...rest } = health();
        if (status === 'ready') return json({ status, ...rest });
        return problemResponse(503, `the coordinator is ${status}`, { reason: status, retryAfterS: 1 });
      },
    }),
  ];
}
