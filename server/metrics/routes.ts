/** The figures of this run, for Prometheus. */
import { type Operation, operation } from '../admin/operation.ts';
import type { Exposition } from './exposition.ts';

export function metricsRoutes(exposition: Exposition): Operation[] {
  return [
    operation({
      id: 'getMetrics',
      tag: 'metrics',
      method: 'get',
      path: '/metrics',
      role: 'operator',
      summary: 'The figures of this run, in the text format of Prometheus.',
      description:
        'Counts begin anew with each run. They do not wait for the disk, so that they can be had while it hangs.',
      answers: { 200: { description: 'All of them.', contentType: 'text/plain' } },
      async handle() {
        const { contentType, text } = await exposition.scrape();
        return new Response(text, { headers: { 'Content-Type': contentType, 'Cache-Control': 'no-store' } });
      },
    }),
  ];
}
