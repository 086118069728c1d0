/** The certificates that the listeners serve with: read at the start, and anew on SIGHUP. Who is connected notices nothing. */
import {
  type CertificateFacts,
  type ReadFile,
  readTlsFiles,
  type TlsFiles,
  type TlsPaths,
  untimely,
} from './tls-files.ts';

export const TLS_LISTENERS = ['websocket', 'http'] as const;
export type TlsListener = (typeof TLS_LISTENERS)[number];

/** What listens. Without `reloadTls` it has no TLS. */
export interface TlsServer {
  /** Throws where they can't be used, and serves on with the ones before. */
  reloadTls?(tls: TlsFiles): void;
}

export interface CertificatesLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface CertificatesOptions {
  readonly readFile: ReadFile;
  readonly utcMs: () => number;
  readonly log: CertificatesLog;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  /** As served with, or to be served with. */
  readonly #files = new Map<TlsListener, TlsFiles>();
  /** Undefined until the coordinator serves. */
  #servers: Readonly<Record<TlsListener, TlsServer>> | undefined;
  /** Asked for and not begun yet: the files may have changed since they were last read. */
  #isAsked = false;
  #isRunning = false;

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** Returns what is wrong with them. */
  async read(paths: Readonly<Record<TlsListener, TlsPaths | undefined>>): Promise<string[]> {
    // Both listeners may have the same files, and what is wrong with these is said once.
    const problems = new Set<string>();
    for (const listener of TLS_LISTENERS) {
      const files = paths[listener];
      if (files === undefined) continue;
      const read = await readTlsFiles(files, this.#options.readFile);
      if (read.ok) this.#files.set(listener, read.tls);
      else problems.add(read.problem);
    }
    return [...problems];
  }

  /** Undefined: no TLS. */
  of(listener: TlsListener): TlsFiles | undefined {
    return this.#files.get(listener);
  }

  /** A reload that was asked for during the start is made up for. */
  serving(servers: Readonly<Record<TlsListener, TlsServer>>): void {
    this.#servers = servers;
    for (const [listener, { certFile, facts }] of this.#files) {
      this.#say({ listener, certFile }, facts, 'serving with TLS');
    }
    if (this.#isAsked) void this.#run();
  }

  /** Asked for while it runs, it runs once more. */
  reload(): void {
    this.#isAsked = true;
    if (this.#servers !== undefined && !this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isAsked) {
      this.#isAsked = false;
      if (this.#files.size === 0) this.#options.log.info({}, 'nothing to reload: no listener has TLS');
      for (const [listener, files] of this.#files) await this.#reload(listener, files);
    }
    this.#isRunning = false;
  }

  async #reload(listener: TlsListener, served: TlsFiles): Promise<void> {
    const { readFile, log } = this.#options;
    const { certFile } = served;
    const read = await readTlsFiles(served, readFile).catch((error: Error) => ({
      ok: false as const,
      problem: `${certFile}: ${error.message}`,
    }));
    if (!read.ok) {
      log.error({ listener }, `serving on with the certificate as it was: ${read.problem}`);
      return;
    }
    const { tls } = read;
    // Its key is the same then, too. A library may keep what it was given for good: see transports/uws.ts.
    if (tls.cert === served.cert) {
      this.#say({ listener, certFile }, tls.facts, 'certificate unchanged');
      return;
    }
    try {
      this.#servers?.[listener].reloadTls?.(tls);
    } catch (error) {
      log.error({ listener }, `serving on with the certificate as it was: ${(error as Error).message}`);
      return;
    }
    this.#files.set(listener, tls);
    this.#say({ listener, certFile }, tls.facts, 'certificate reloaded');
  }

  #say(
    fields: { readonly listener: TlsListener; readonly certFile: string },
    facts: CertificateFacts,
    message: string,
  ) {
    const { log, utcMs } = this.#options;
    log.info({ ...fields, ...facts }, message);
    const fault = untimely(facts, utcMs());
    if (fault !== undefined) log.warn(fields, `clients will refuse the certificate: ${fault}`);
  }
}
