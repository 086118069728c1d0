/** The page that every transport is held to; see sessions/socket.ts and transport.ts. */
import { describe } from 'vitest';
import { handshakeContract } from './handshake.contract.ts';
import { lifetimeContract } from './lifetime.contract.ts';
import { messageContract } from './message.contract.ts';
import { tlsContract } from './tls.contract.ts';
import type { OpenTransport } from './transport.ts';

export function transportContract(name: string, open: OpenTransport): void {
  describe(`transport ${name}`, () => {
    describe('listening and handshake', () => handshakeContract(open));
    describe('messages, pings and backpressure', () => messageContract(open));
    describe('closing', () => lifetimeContract(open));
    describe('TLS', () => tlsContract(open));
  });
}
