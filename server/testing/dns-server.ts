/** A DNS server (RFC 1035) that knows a few A records, says of others that there is none, and is silent about the rest. */
import { createSocket } from 'node:dgram';

const HEADER_BYTES = 12;
const TYPE_A = 1;

export interface DnsServer {
  /** `ip:port`. */
  readonly server: string;
  /** Names that were asked for, once for each question. */
  readonly asked: readonly string[];
  close(): void;
}

/** `records`: by name; undefined: silence. */
export async function openDnsServer(records: (name: string) => string | null | undefined): Promise<DnsServer> {
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (question, { port, address }) => {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (; question[at] !== 0; at += question[at]! + 1)
      labels.push(question.toString('latin1', at + 1, at + 1 + question[at]!));
    const name = labels.join('.').toLowerCase();
    asked.push(name);
    const record = records(name);
    if (record === undefined) return;
    const isFound = record !== null && question.readUInt16BE(at + 1) === TYPE_A;
    const header = Buffer.from(question.subarray(0, HEADER_BYTES));
    // An answer, of a server that asks others; 3: there is no such name.
    header.writeUInt16BE(record === null ? 0x81_83 : 0x81_80, 2);
    for (const [count, offset] of [
      [1, 4],
      [isFound ? 1 : 0, 6],
      [0, 8],
      [0, 10],
    ] as const)
      header.writeUInt16BE(count, offset);
    const answer = isFound
      ? Buffer.from([0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...record.split('.').map(Number)])
      : Buffer.alloc(0);
    socket.send(Buffer.concat([header, question.subarray(HEADER_BYTES, at + 5), answer]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { server: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() };
}
