/**
 * Certificates of the listeners: read from their files and checked before anything is served with them, at the start and
 * on SIGHUP. What is wrong is said with the file's name; no message shows what a file holds.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** PEM files. The certificate's comes first in its file, those that lead to its authority follow. */
export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TlsFiles extends TlsPaths {
  /** PEM. */
  readonly cert: string;
  /** PEM: a secret. */
  readonly key: string;
  readonly facts: CertificateFacts;
}

/** What a log line says of a certificate. */
export interface CertificateFacts {
  readonly subject: string;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** SHA-256. */
  readonly fingerprint: string;
}

export type ReadTlsFiles =
  | { readonly ok: true; readonly tls: TlsFiles }
  | { readonly ok: false; readonly problem: string };

/** The text of a file; rejects where it can't be read. */
export type ReadFile = (path: string) => Promise<string>;

/** A longer file is no chain of certificates and no key. */
export const TLS_FILE_LENGTH_MAX = 1_048_576;

export async function readTlsFiles({ certFile, keyFile }: TlsPaths, readFile: ReadFile): Promise<ReadTlsFiles> {
  const texts: string[] = [];
  for (const file of [certFile, keyFile]) {
    try {
      texts.push(await readFile(file));
    } catch (error) {
      return { ok: false, problem: `can't read ${file}: ${(error as Error).message}` };
    }
    if (texts.at(-1)!.length > TLS_FILE_LENGTH_MAX) {
      return { ok: false, problem: `${file}: longer than ${TLS_FILE_LENGTH_MAX} characters` };
    }
  }
  const [cert = '', key = ''] = texts;
  const checked = check({ certFile, keyFile }, cert, key);
  if (typeof checked === 'string') return { ok: false, problem: checked };
  return { ok: true, tls: { certFile, keyFile, cert, key, facts: checked } };
}

/** Whether a client would refuse the certificate now, for its time, and why. */
export function untimely({ notBefore, notAfter }: CertificateFacts, utcMs: number): string | undefined {
  if (utcMs > Date.parse(notAfter)) return `it has expired on ${notAfter}`;
  return utcMs < Date.parse(notBefore) ? `it is not valid before ${notBefore}` : undefined;
}

/** A problem, or what the certificate says. */
function check({ certFile, keyFile }: TlsPaths, cert: string, key: string): string | CertificateFacts {
  if (!cert.includes('-----BEGIN CERTIFICATE-----')) return `${certFile}: holds no certificate in PEM`;
  const certificate = attempt(() => new X509Certificate(cert));
  if (certificate === undefined) return `${certFile}: its first certificate is damaged`;
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key)) {
    return `${keyFile}: the key is encrypted; only one without a passphrase is taken`;
  }
  const privateKey = attempt(() => createPrivateKey(key));
  if (privateKey === undefined) return `${keyFile}: holds no private key in PEM`;
  if (!certificate.checkPrivateKey(privateKey)) return `${keyFile}: not the key of the certificate in ${certFile}`;
  try {
    // The rest of the chain, and whether the key is strong enough.
    createSecureContext({ cert, key });
  } catch (error) {
    return `${certFile}: can't be used: ${(error as Error).message}`;
  }
  return {
    // One that only has names in subjectAltName has none, whatever the types say.
    subject: ((certificate.subject as string | undefined) ?? '').replaceAll('\n', ', '),
    notBefore: new Date(certificate.validFrom).toISOString(),
    notAfter: new Date(certificate.validTo).toISOString(),
    fingerprint: certificate.fingerprint256,
  };
}

function attempt<Result>(make: () => Result): Result | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
