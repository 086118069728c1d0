import { expect, it } from 'vitest';
import { ClientsRun } from '../testing/clients-run.ts';
import { admit } from './guard.ts';

it('knows an operator without a key by the same name as anybody else from that IP', () => {
  const { access } = new ClientsRun();
  const clientAt = (role: 'collector' | 'operator', remoteAddress: string) => {
    const admission = admit(access, { role, isCharged: false }, { authorization: undefined, remoteAddress });
    return admission.ok && admission.caller.client;
  };
  for (const [ip, client] of [
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['2001:db8:1:2::7', '2001:db8:1:2::/64'],
  ] as const) {
    expect([clientAt('operator', ip), clientAt('collector', ip)]).toEqual([client, client]);
  }
});
