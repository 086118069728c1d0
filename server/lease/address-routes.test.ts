import { expect, it } from 'vitest';
import { serveHttp } from '../testing/http-client.ts';
import { WireClient } from '../testing/wire-client.ts';

it('takes away by null only what the request names', async () => {
  const record = { address: '10.0.0.1:80', country: 'US', rpw: 0, resource_ids: [7], provider: null, weight: 2 };
  const { coordinator, send } = await serveHttp({}, [record]);
  expect((await send('PATCH', '/v1/addresses/1', { country: 'DE', weight: null })).status).toBe(200);
  const { client } = await WireClient.hello(coordinator.port);
  const granted = await client.request({ type: 'acquire', resource: 7, ttl_ms: 60_000 }, 'granted');
  const { address } = granted as { address: object };
  expect(address).toMatchObject({ country: 'DE', provider: null });
  expect(address).not.toHaveProperty('weight');
});
