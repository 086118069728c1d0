import { describe, expect, it } from 'vitest';
import { handshake, listening, RawPeer } from './harness.contract.ts';
import { openTransport, type TransportKind } from './open.ts';
import { certificate } from './tls.contract.ts';
import { transportContract } from './transport.contract.ts';
import type { OpenTransport } from './transport.ts';
import { openUws } from './uws.ts';
import { loadUws, type UwsModule } from './uws-module.ts';
import { openWs, PENDING_HANDSHAKES_MAX } from './ws.ts';

const whyNoUws = ((): string | undefined => {
  try {
    loadUws();
  } catch (error) {
    return (error as Error).message;
  }
})();

transportContract('ws', openWs);
if (whyNoUws === undefined) transportContract('uws', openUws);
else it.skip(`transport uws: uWebSockets.js can't be loaded here: ${whyNoUws}`, () => {});

describe('openTransport', () => {
  const missing = (): UwsModule => {
    throw new Error("Cannot find module 'uWebSockets.js'\nRequire stack:\n- somewhere.js");
  };

  const opener = (kind: TransportKind, warnings: unknown[][], load?: () => UwsModule): OpenTransport => {
    return (options) =>
      openTransport(kind, options, { warn: (...line) => void warnings.push(line), info: () => {} }, load);
  };

  it.skipIf(whyNoUws !== undefined)('prefers uWebSockets.js, without a word', async () => {
    const warnings: unknown[][] = [];
    expect((await listening(opener('auto', warnings))).transport.name).toBe('uws');
    expect((await listening(opener('uws', warnings))).transport.name).toBe('uws');
    expect(warnings).toEqual([]);
  });

  it('falls back to ws with one line that says why', async () => {
    const warnings: unknown[][] = [];
    const server = await listening(opener('auto', warnings, missing));
    expect(server.transport.name).toBe('ws');
    expect(warnings).toEqual([
      [{ reason: "Cannot find module 'uWebSockets.js'" }, "uWebSockets.js can't be loaded, serving with ws instead"],
    ]);
    await server.pair();
  });

  it.skipIf(whyNoUws !== undefined)('takes ws for TLS with one line that says why, and uws by name', async () => {
    const { tls } = await certificate();
    const lines: unknown[][] = [];
    const log = {
      warn: (...line: unknown[]) => void lines.push(line),
      info: (...line: unknown[]) => void lines.push(line),
    };
    const open = (kind: TransportKind) => listening((options) => openTransport(kind, options, log), { tls });
    expect((await open('uws')).transport.name).toBe('uws');
    expect(lines).toEqual([]);
    expect((await open('auto')).transport.name).toBe('ws');
    expect(lines).toEqual([[{}, expect.stringMatching(/^serving with ws: uWebSockets\.js may break TLS/)]]);
  });

  it('does not fall back where uws was asked for by name', async () => {
    const warnings: unknown[][] = [];
    await expect(listening(opener('uws', warnings, missing))).rejects.toThrow(
      "transport uws: uWebSockets.js can't be loaded: Cannot find module 'uWebSockets.js'",
    );
    expect(warnings).toEqual([]);
  });

  it('takes ws by name without loading anything else', async () => {
    const warnings: unknown[][] = [];
    expect((await listening(opener('ws', warnings, missing))).transport.name).toBe('ws');
    expect(warnings).toEqual([]);
  });

  it.skipIf(whyNoUws !== undefined)('does not fall back to another library where the port is in use', async () => {
    const warnings: unknown[][] = [];
    const { port } = await listening(opener('ws', warnings));
    await expect(listening(opener('auto', warnings), { port })).rejects.toThrow(/EADDRINUSE/);
    expect(warnings).toEqual([]);
  });
});

describe('ws', () => {
  it('lets only so many handshakes pend, and takes peers again when these are over', async () => {
    const server = await listening(openWs);
    const pending: RawPeer[] = [];
    // A few at a time, as the kernel's own queue of connections to be accepted is short.
    while (pending.length < PENDING_HANDSHAKES_MAX) {
      pending.push(...(await Promise.all(Array.from({ length: 128 }, () => RawPeer.connect(server.port)))));
    }
    const tooMany = await RawPeer.connect(server.port);
    await tooMany.closed();
    expect(pending.filter(({ isClosed }) => isClosed)).toEqual([]);
    pending[0]!.write(handshake(server.port));
    await server.accepted();
    await server.pair();
  });
});
