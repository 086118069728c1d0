import { describe, expect, it } from 'vitest';
import { type Grant, grantSchema } from '../../protocol/frames.ts';
import { acquireFrame } from './outgoing-frames.ts';

describe('acquireFrame', () => {
  const grant: Required<Grant> = {
    lease: 1,
    resource: 7,
    address: { address: '10.0.0.1:8080', country: 'US', rpw: 3, resource_ids: [7] },
    ttl_ms: 60_000,
    clamped: true,
    waited_ms: 20,
  };

  it('tells of one lease all that the grant says', () => {
    expect(Object.keys(grant).sort()).toEqual(Object.keys(grantSchema.entries).sort());
    const frame = acquireFrame(5, { type: 'granted', grants: [grant], isMany: false });
    expect(frame).toEqual({ type: 'granted', id: 5, ...grant });
  });

  it('leaves out what the grant does not say', () => {
    const { lease, resource, address, ttl_ms } = grant;
    const plain = { lease, resource, address, ttl_ms };
    const frame = acquireFrame(5, { type: 'granted', grants: [plain], isMany: false });
    expect(Object.keys(frame)).toEqual(['type', 'id', 'lease', 'resource', 'address', 'ttl_ms']);
  });
});
