import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

export interface LoggerOptions {
  /** One of pino's: trace, debug, info, warn, error, fatal, silent. */
  readonly level: string;
  /** Standard output where none is given, written synchronously: a line is out before the process can die. */
  readonly destination?: DestinationStream;
}

/** Fields that may hold a credential, in the spellings of the wire, of our code and of HTTP headers. */
const SECRET_FIELDS = [
  'api_key',
  'apiKey',
  'admin_key',
  'adminKey',
  'secret',
  'password',
  'authorization',
  '["proxy-authorization"]',
  'cookie',
  '["set-cookie"]',
];
/** The fields themselves, and those of objects inside: `hello.resume.secret`, `req.headers.authorization`. */
const LEVELS = ['', '*', '*.*'];

/**
 * One JSON object per line, with `level` as a word and `time` in ISO 8601.
 *
 * What happens to single leases is logged at debug: a line at info costs as much as a decision. Addresses go through
 * `maskAddress` first, since no redaction knows which part of a text is a credential.
 */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: LEVELS.flatMap(fieldsAt), censor: '***' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/**
 * For lines by the thousand a second whose fields are named in code and hold no objects: only the fields themselves are
 * looked at, not whatever may be inside them, which takes longer than all the rest of a line.
 */
export function flatLogger(log: Logger): Logger {
  return log.child({}, { redact: { paths: fieldsAt(''), censor: '***' } });
}

function fieldsAt(prefix: string): string[] {
  return SECRET_FIELDS.map((field) =>
    prefix === '' || field.startsWith('[') ? `${prefix}${field}` : `${prefix}.${field}`,
  );
}
