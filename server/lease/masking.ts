export const MASKED = '***';

/**
 * An address as people may see it: `http://***@host:1` for `http://user:password@host:1`. Safe on any text: it hides
 * everything between the scheme, if any, and the last `@`.
 */
export function maskAddress(address: string): string {
  const at = address.lastIndexOf('@');
  if (at === -1) return address;
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(address)?.[0] ?? '';
  return `${scheme}***${address.slice(at)}`;
}

/** Names under which pool records carry what isn't for everybody's eyes. */
const SECRET_NAME = /passw|secret|token|credential|api_?key|^(auth|authorization|pass|pwd)$/i;

/**
 * A text as people may see it: what could be credentials before an `@`, in a URL or without a scheme, is hidden. It hides
 * too much rather than too little.
 */
export function maskText(text: string): string {
  const at = text.lastIndexOf('@');
  return at > 0 && text.lastIndexOf(':', at) >= 0 ? maskAddress(text) : text;
}

/** The value with every text in it masked, and whatever stands under a name that speaks of a secret. */
export function maskValue(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(maskValue);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      maskText(name),
      SECRET_NAME.test(name) && inner !== null ? MASKED : maskValue(inner),
    ]),
  );
}
