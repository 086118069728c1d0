import type { AddressRecord } from '../../protocol/frames.ts';
import { NAME_LENGTH_MAX, REQUESTS_MAX } from '../../protocol/limits.ts';

/**
 * One address as people write it: a JSON object.
 *
 *   address       `host:port`, or a URL; the whole string is the address's identity
 *   country       kept as written, compared without case
 *   resource_ids  what it may serve; the old spelling `resourse_ids` is taken too
 *   rpw           requests in the last 7 days, 0 where absent
 *   labels        optional, name → text
 *   weight        optional, a number from 0 on
 *
 * Whatever else a record carries is kept and returned as it is.
 *
 * Invariant: no problem shows a value that failed its check: it may hold credentials.
 */
export type PoolRecord = AddressRecord;

/** Takes what is wrong, one problem a call. */
export type Report = (message: string) => void;

/** One record as JSON in UTF-8. */
export const RECORD_BYTES_MAX = 65_536;
/** Maps and lists inside one another in a record; leaves room for the frame around it. */
export const RECORD_DEPTH_MAX = 16;
export const ADDRESS_LENGTH_MAX = 2_048;
export const COUNTRY_LENGTH_MAX = 64;
/** What a condition on labels can name: see `where`. */
export const LABEL_LENGTH_MAX = 2_048;

const KNOWN_FIELDS: ReadonlySet<string> = new Set(['address', 'country', 'rpw', 'resource_ids', 'resourse_ids']);

/** The record with its known fields first and checked; undefined, and every fault reported, where one is bad. */
export function parseRecord(value: unknown, report: Report): PoolRecord | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report('must be an object');
    return undefined;
  }
  // First, and alone: what follows may read any field and print the record.
  const shape = new Shape();
  const shapeFault = shape.faultOf(value, 1) ?? (shape.exceeds(value) ? TOO_LARGE : undefined);
  if (shapeFault !== undefined) {
    report(shapeFault);
    return undefined;
  }
  let good = true;
  const fault: Report = (message) => {
    good = false;
    report(message);
  };
  const fields = value as Readonly<Record<string, unknown>>;
  const { address, country, rpw = 0 } = fields;
  const addressProblem = addressFault(address);
  if (addressProblem !== undefined) fault(`address: ${addressProblem}`);
  if (typeof country !== 'string' || country.length > COUNTRY_LENGTH_MAX || country.trim() === '') {
    fault(`country: must be a text of 1 to ${COUNTRY_LENGTH_MAX} characters`);
  }
  if (!isNatural(rpw) || rpw > REQUESTS_MAX) fault(`rpw: must be an integer from 0 to ${REQUESTS_MAX}`);
  const resourceIds = parseResourceIds(fields, fault);
  if (fields.labels !== undefined) checkLabels(fields.labels, fault);
  if (fields.weight !== undefined && !(typeof fields.weight === 'number' && fields.weight >= 0)) {
    fault('weight: must be a number from 0 on');
  }
  if (!good) return undefined;
  // Records without further fields are all of one shape: a million of them take less memory and time.
  const record = { address, country, rpw, resource_ids: resourceIds } as PoolRecord;
  for (const field in fields) {
    if (!KNOWN_FIELDS.has(field)) record[field] = fields[field];
  }
  return record;
}

function parseResourceIds(fields: Readonly<Record<string, unknown>>, fault: Report): number[] {
  const { resource_ids, resourse_ids } = fields;
  const ids = resource_ids === undefined ? resourse_ids : resource_ids;
  if (resource_ids !== undefined && resourse_ids !== undefined) {
    fault('resource_ids: given twice, as resource_ids and as resourse_ids');
  } else if (!Array.isArray(ids) || !ids.every((id) => isNatural(id) && id > 0)) {
    fault('resource_ids: must be a list of positive integers');
  } else {
    return ids.length < 2 ? ids : [...new Set<number>(ids)];
  }
  return [];
}

/** Whether a value can be kept and given back the same: JSON, not too deep, and within the bound of bytes. */
class Shape {
  /** An upper bound of the bytes that the value takes as JSON, so that the ordinary record need not be printed. */
  #bytesAtMost = 0;

  faultOf(value: unknown, depth: number): string | undefined {
    switch (typeof value) {
      case 'string':
        return this.#textFault(value);
      case 'boolean':
        this.#bytesAtMost += PUNCTUATION_BYTES + 5;
        return undefined;
      case 'number':
        this.#bytesAtMost += PUNCTUATION_BYTES + NUMBER_BYTES_MAX;
        return Number.isFinite(value) ? undefined : 'holds a number that JSON has no way to write';
      case 'object':
        return this.#treeFault(value, depth);
      default:
        return `holds a value that is not JSON: ${typeof value}`;
    }
  }

  /** Of the value that faultOf has been through. */
  exceeds(value: unknown): boolean {
    return this.#bytesAtMost > RECORD_BYTES_MAX && Buffer.byteLength(JSON.stringify(value)) > RECORD_BYTES_MAX;
  }

  #treeFault(value: object | null, depth: number): string | undefined {
    this.#bytesAtMost += PUNCTUATION_BYTES + 4;
    if (value === null) return undefined;
    if (depth > RECORD_DEPTH_MAX) return `nested deeper than ${RECORD_DEPTH_MAX}`;
    if (Array.isArray(value)) {
      for (const item of value) {
        const fault = this.faultOf(item, depth + 1);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    for (const key in value) {
      if (key === '__proto__') return 'the key __proto__ is not taken';
      const fault = this.#textFault(key) ?? this.faultOf((value as Record<string, unknown>)[key], depth + 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #textFault(text: string): string | undefined {
    this.#bytesAtMost += PUNCTUATION_BYTES + text.length * ESCAPE_BYTES_MAX;
    // Standard since ES2024 and in Node since 20; the compiler's library of ES2023 doesn't name it.
    const wellFormed = (text as string & { isWellFormed(): boolean }).isWellFormed();
    return wellFormed ? undefined : 'holds half of a surrogate pair, which no encoding keeps';
  }
}

/** What surrounds a value in JSON: its quotes, brackets, comma, colon. */
const PUNCTUATION_BYTES = 4;
/** `\u001f` */
const ESCAPE_BYTES_MAX = 6;
/** `-1.2345678901234567e-123`, rounded up. */
const NUMBER_BYTES_MAX = 26;
const TOO_LARGE = `takes more than ${RECORD_BYTES_MAX} bytes`;

function checkLabels(labels: unknown, fault: Report): void {
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    fault('labels: must be an object of texts');
    return;
  }
  for (const [name, text] of Object.entries(labels)) {
    if (name === '' || name.length > NAME_LENGTH_MAX) fault(`labels: a name has 1 to ${NAME_LENGTH_MAX} characters`);
    else if (typeof text !== 'string' || text.length > LABEL_LENGTH_MAX) {
      fault(`labels.${name}: must be a text of at most ${LABEL_LENGTH_MAX} characters`);
    }
  }
}

const SCHEMES = /^(?:https?|socks4a?|socks5h?):\/\//i;
const HOST_AND_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?):(\d{1,5})$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for.
const SPACE_OR_CONTROL = /[\s\u0000-\u001f\u007f]/;
const HOST_LENGTH_MAX = 253;
const PORT_FAULT = 'must have a port from 1 to 65535';
const IPV4_FAULT = 'must have a valid IPv4 address';

function addressFault(address: unknown): string | undefined {
  if (typeof address !== 'string') return 'must be a text';
  if (address.length > ADDRESS_LENGTH_MAX) return `must have at most ${ADDRESS_LENGTH_MAX} characters`;
  if (SPACE_OR_CONTROL.test(address)) return 'must not hold spaces or control characters';
  if (SCHEMES.test(address)) return urlFault(address);
  const [, host, port] = HOST_AND_PORT.exec(address) ?? [];
  if (host === undefined || port === undefined || host.length > HOST_LENGTH_MAX) {
    return 'must be host:port or a URL (http, https, socks4, socks4a, socks5, socks5h); credentials need the URL form';
  }
  if (Number(port) < 1 || Number(port) > 65_535) return PORT_FAULT;
  if (host.startsWith('[')) return URL.canParse(`http://${host}/`) ? undefined : 'must have a valid IPv6 address';
  return looksLikeIpv4(host) && !IPV4.test(host) ? IPV4_FAULT : undefined;
}

function urlFault(address: string): string | undefined {
  if (/[?#]/.test(address)) return 'must not have a query or a fragment; in a password write %3F and %23';
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return 'must be a valid URL';
  }
  if (url.hostname === '') return 'must name a host';
  // The parser knows hosts of http and https only; those of the other schemes it takes as they stand.
  if (looksLikeIpv4(url.hostname) && !IPV4.test(url.hostname)) return IPV4_FAULT;
  return url.port === '0' ? PORT_FAULT : undefined;
}

function looksLikeIpv4(host: string): boolean {
  return /^[\d.]+$/.test(host);
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
