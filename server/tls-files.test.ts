import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from './testing/certificates.ts';
import { readTlsFiles, TLS_FILE_LENGTH_MAX, untimely } from './tls-files.ts';

const HOUR_MS = 3_600_000;

/** As if these were the only files. */
function read(files: { readonly cert?: string; readonly key?: string }) {
  const texts: Record<string, string | undefined> = { 'a.crt': files.cert, 'a.key': files.key };
  return readTlsFiles({ certFile: 'a.crt', keyFile: 'a.key' }, async (path) => {
    const text = texts[path];
    if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
    return text;
  });
}

describe('certificate files', () => {
  const endsMs = Date.UTC(2030, 0, 1);
  const { cert, key, fingerprint } = makeCertificate({ name: 'proxy coordinator', endsMs });
  const other = makeCertificate();

  it('are read with what the certificate says', async () => {
    expect(await read({ cert, key })).toEqual({
      ok: true,
      tls: {
        certFile: 'a.crt',
        keyFile: 'a.key',
        cert,
        key,
        facts: {
          subject: 'CN=proxy coordinator',
          notBefore: '2029-12-30T00:00:00.000Z',
          notAfter: '2030-01-01T00:00:00.000Z',
          fingerprint,
        },
      },
    });
    expect(await read({ cert: `${cert}${other.cert}`, key })).toMatchObject({
      ok: true,
      tls: { facts: { fingerprint } },
    });
  });

  it('need no subject: the names may stand elsewhere', async () => {
    const nameless = makeCertificate({ hasSubject: false });
    expect(await read(nameless)).toMatchObject({ ok: true, tls: { facts: { subject: '' } } });
  });

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encrypted = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
  const damaged = cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA');

  it.each([
    ['no certificate file', { key }, /^can't read a\.crt: ENOENT/],
    ['no key file', { cert }, /^can't read a\.key: ENOENT/],
    ['a certificate file that is empty', { cert: '', key }, /^a\.crt: holds no certificate in PEM$/],
    ['a key in place of the certificate', { cert: key, key }, /^a\.crt: holds no certificate in PEM$/],
    ['a damaged certificate', { cert: damaged, key }, /^a\.crt: its first certificate is damaged$/],
    ['a damaged certificate further on', { cert: `${cert}${damaged}`, key }, /^a\.crt: can't be used: /],
    ['no key in the key file', { cert, key: 'none' }, /^a\.key: holds no private key in PEM$/],
    ['a certificate in place of the key', { cert, key: cert }, /^a\.key: holds no private key in PEM$/],
    ['an encrypted key', { cert, key: String(encrypted) }, /^a\.key: the key is encrypted/],
    ["another certificate's key", { cert, key: other.key }, /^a\.key: not the key of the certificate in a\.crt$/],
    ['a file too long', { cert: ' '.repeat(TLS_FILE_LENGTH_MAX + 1), key }, /^a\.crt: longer than/],
  ])('are refused with %s, by name', async (_what, files, problem) => {
    const result = await read(files);
    expect(result).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });

  it('say from when to when clients take them', async () => {
    const result = await read({ cert, key });
    if (!result.ok) throw new Error(result.problem);
    const { facts } = result.tls;
    expect(untimely(facts, endsMs - HOUR_MS)).toBeUndefined();
    expect(untimely(facts, endsMs + 1)).toBe('it has expired on 2030-01-01T00:00:00.000Z');
    expect(untimely(facts, endsMs - 100 * HOUR_MS)).toBe('it is not valid before 2029-12-30T00:00:00.000Z');
  });
});
