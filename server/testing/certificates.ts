/** Certificates that tests make for themselves: self-signed, for this machine's loopback, never kept. */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface TestCertificate {
  /** PEM. Also what a client trusts, to trust the certificate. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** SHA-256 in hexadecimal with colons, as Node says it of a peer. */
  readonly fingerprint: string;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

const DAY_MS = 86_400_000;

export function makeCertificate({
  name = 'test',
  endsMs = Date.now() + DAY_MS,
  hasSubject = true,
} = {}): TestCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(name)))));
  const loopback = Buffer.from([127, 0, 0, 1]);
  const extensions = sequence(
    extension('551d13', sequence(tagged(0x01, Buffer.from([0xff])))), // basicConstraints: CA
    extension('551d11', sequence(tagged(0x87, loopback), tagged(0x82, Buffer.from('localhost')))), // subjectAltName
  );
  const toBeSigned = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))), // version 3
    tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])), // serial number
    ECDSA_WITH_SHA256,
    issuer,
    sequence(time(endsMs - 2 * DAY_MS), time(endsMs)),
    hasSubject ? issuer : sequence(), // subjectAltName is enough
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, extensions),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', toBeSigned, privateKey)]);
  const certificate = new X509Certificate(sequence(toBeSigned, ECDSA_WITH_SHA256, tagged(0x03, signature)));
  return {
    cert: certificate.toString(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    fingerprint: certificate.fingerprint256,
  };
}

/** Into `folder`, over those of the same name; says where they are. */
export async function writeCertificate(
  folder: string,
  { cert, key }: Pick<TestCertificate, 'cert' | 'key'>,
  name = 'tls',
): Promise<CertificateFiles> {
  const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  await Promise.all([writeFile(files.certFile, cert), writeFile(files.keyFile, key, { mode: 0o600 })]);
  return files;
}

// ---- DER (X.690), as much of it as a certificate takes (RFC 5280)

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}

/** UTCTime, which is for years before 2050. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}
