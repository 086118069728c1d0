const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const AGO = /^-?(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)( ago)?$/;
/** In a query of a URL, a `+` of the zone comes as a blank. */
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[ +-]\d\d:?\d\d)?$/i;

/** What `parseTime` takes, for people. */
export const TIME_FORMATS = 'ISO 8601 (UTC where no zone is named), or -90s, -10m, -2h, -1d';

/** ms since 1970, of ISO 8601 (UTC where no zone is named) or of `-90s`, `90s ago`; undefined where it is neither. */
export function parseTime(text: string, nowMs: number): number | undefined {
  const ago = text.startsWith('-') !== text.endsWith(' ago') ? AGO.exec(text) : null;
  if (ago) return nowMs - Number(ago[1]) * UNITS_MS[ago[2]!]!;
  const iso = ISO.exec(text);
  if (!iso) return undefined;
  const [, day, minute = '00:00', second = '00', fraction = '0', zone = 'Z'] = iso;
  const localMs = Date.parse(`${day}T${minute}:${second}Z`);
  // The 30th of February would be taken for the 2nd of March, and 24:00 for the next day.
  if (Number.isNaN(localMs) || !new Date(localMs).toISOString().startsWith(`${day}T${minute}:${second}`))
    return undefined;
  return localMs + Math.floor(Number(`0.${fraction}`) * 1_000) - zoneMs(zone);
}

function zoneMs(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
