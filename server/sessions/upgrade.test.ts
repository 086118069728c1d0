import { describe, expect, it } from 'vitest';
import { ClientsRun } from '../testing/clients-run.ts';
import type { UpgradeRequest } from './socket.ts';
import { decideUpgrade } from './upgrade.ts';

function start() {
  const run = new ClientsRun();
  const { text, key } = run.issue('user1');
  const { text: other } = run.issue('user2');
  const decide = (fields: Partial<UpgradeRequest>) =>
    decideUpgrade(
      {
        remoteAddress: '10.0.0.1',
        origin: undefined,
        host: '127.0.0.1:7400',
        subprotocols: [],
        authorization: undefined,
        ...fields,
      },
      { allowedOrigins: ['https://app.example'], access: run.access },
    );
  return { text, key, other, decide };
}

const JSON_PROTOCOL = 'leasehold.v1.json';

describe('an upgrade', () => {
  it('with a key in the header or among the subprotocols is its client’s, and the key is never agreed on', () => {
    const { text, key, decide } = start();
    const caller = { client: 'user1', isAuthenticated: true, role: 'collector', key };
    const item = `leasehold.key.${text}`;
    expect(decide({ authorization: `Bearer ${text}` })).toEqual({ accept: true, subprotocol: '', caller });
    expect(decide({ authorization: `bearer  ${text} ` })).toMatchObject({ caller });
    expect(decide({ subprotocols: [item, JSON_PROTOCOL] })).toEqual({
      accept: true,
      subprotocol: JSON_PROTOCOL,
      caller,
    });
    expect(decide({ subprotocols: [item] })).toEqual({ accept: true, subprotocol: '', caller });
    expect(decide({ subprotocols: [item, item], authorization: `Bearer ${text}` })).toMatchObject({ caller });
  });

  it('without a key is for hello to say who it is', () => {
    const { decide } = start();
    expect(decide({})).toEqual({ accept: true, subprotocol: '', caller: undefined });
    expect(decide({ authorization: 'Basic dXNlcjpwYXNz' })).toMatchObject({ accept: true, caller: undefined });
  });

  it('is refused alike, be it the key or the origin that is wrong', () => {
    const { text, other, decide } = start();
    const refused = decide({ origin: 'https://evil.example' });
    expect(refused).toEqual({ accept: false, status: 403, message: 'not allowed to connect' });
    for (const fields of [
      { authorization: 'Bearer wrong' },
      { authorization: 'Bearer ' },
      { subprotocols: ['leasehold.key.', JSON_PROTOCOL] },
      { subprotocols: [`leasehold.key.${text}x`, 'unknown'] },
      { subprotocols: [`leasehold.key.${text}`], authorization: `Bearer ${other}` },
      { subprotocols: [`leasehold.key.${text}`], origin: 'https://evil.example' },
    ]) {
      expect(decide(fields)).toEqual(refused);
    }
    expect(decide({ authorization: `Bearer ${text}`, origin: 'https://app.example' })).toMatchObject({ accept: true });
  });

  it('is refused for subprotocols that nobody speaks', () => {
    const { text, decide } = start();
    expect(decide({ subprotocols: [`leasehold.key.${text}`, 'chat'] })).toMatchObject({ accept: false, status: 400 });
  });
});
