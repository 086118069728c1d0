/**
 * What the load generator can do where nothing else takes time: a server that grants whatever it is asked, at once, and keeps
 * nothing. It speaks as the coordinator does. Its argument is the port.
 */
import { createRequire } from 'node:module';
import { msgpackCodec } from '../../../protocol/codec.ts';
import { MESSAGE_BYTES_MAX, SUBPROTOCOL_MSGPACK } from '../../../protocol/limits.ts';
import { GrantReader } from '../generator/grant-reader.ts';
import { RESOURCE } from '../generator/request-writer.ts';

/** As much of uWebSockets.js as is needed here: it may not be installed, so its types aren't. */
interface Uws {
  App(): UwsApp;
}
interface UwsApp {
  ws(pattern: string, behavior: object): UwsApp;
  listen(host: string, port: number, listening: (socket: unknown) => void): UwsApp;
}
interface UwsSocket {
  send(message: Uint8Array, isBinary: boolean): number;
}

const ID_PLACE = 0xffff_ffff;
const ID_HEAD = Uint8Array.of(0xce, 0xff, 0xff, 0xff, 0xff);
const address = { address: '10.0.0.1:8080', country: 'US', rpw: 0, resource_ids: [RESOURCE] };
const GRANTED = template({
  type: 'granted',
  id: ID_PLACE,
  lease: 2 ** 52,
  resource: RESOURCE,
  address,
  ttl_ms: 60_000,
});
const RELEASED = template({ type: 'released', id: ID_PLACE });
const WELCOME = msgpackCodec.encode({
  type: 'welcome',
  id: 0,
  session: 'null',
  secret: 'null',
  epoch: 1,
  heartbeat_ms: 10_000,
  resumed: false,
  leases: [],
  waiting: [],
  ended: [],
  limits: {
    frame_bytes_max: 65_536,
    message_bytes_max: MESSAGE_BYTES_MAX,
    ttl_min_ms: 200,
    ttl_max_ms: 604_800_000,
    resume_window_ms: 0,
  },
}) as Uint8Array;

function template(frame: Parameters<typeof msgpackCodec.encode>[0]): { bytes: Buffer; idAt: number } {
  const bytes = Buffer.from(msgpackCodec.encode(frame) as Uint8Array);
  return { bytes, idAt: bytes.indexOf(ID_HEAD) + 1 };
}

const reader = new GrantReader();
const out = Buffer.alloc(64 * 1024);

function answer(message: Buffer): Uint8Array {
  const isBatch = message[0]! >>> 4 === 9 || message[0] === 0xdc;
  if (!isBatch) {
    reader.read(message, 0, false);
    return reader.id === 0 ? WELCOME : out.subarray(0, write(0));
  }
  const isLong = message[0] === 0xdc;
  const count = isLong ? message.readUInt16BE(1) : message[0]! & 0x0f;
  // The answer is as many frames, under the same head.
  let at = isLong ? 3 : 1;
  let end = message.copy(out, 0, 0, at);
  for (let frame = 0; frame < count; frame += 1) {
    at = reader.read(message, at, false);
    end = write(end);
  }
  return out.subarray(0, end);
}

/** The answer to what was read last: only a release names a lease. */
function write(at: number): number {
  const { bytes, idAt } = reader.leaseAt < 0 ? GRANTED : RELEASED;
  out.set(bytes, at);
  out.writeUInt32BE(reader.id, at + idAt);
  return at + bytes.length;
}

const uws = createRequire(import.meta.url)('uWebSockets.js') as Uws;
uws
  .App()
  .ws('/*', {
    maxPayloadLength: MESSAGE_BYTES_MAX,
    upgrade: (
      response: { upgrade: (...values: unknown[]) => void },
      request: { getHeader: (name: string) => string },
      context: unknown,
    ) => response.upgrade({}, request.getHeader('sec-websocket-key'), SUBPROTOCOL_MSGPACK, '', context),
    message: (socket: UwsSocket, message: ArrayBuffer) => socket.send(answer(Buffer.from(message)), true),
  })
  .listen('127.0.0.1', Number(process.argv[2]), (socket) => {
    if (!socket) throw new Error(`can't listen on ${process.argv[2]}`);
  });
