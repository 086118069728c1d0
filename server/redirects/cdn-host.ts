const HOST_LENGTH_MAX = 253;
const LABELS = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/;
const WITH_PORT = /^(?<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?<port>\d{1,5}))?$/;
const PORT_MAX = 65_535;

export const CDN_HOST_EXPECTED = 'a host name or an IP address (of IPv6 in brackets), with :port where it is not 80';

/** Whether `text` may stand between `http://` and a path, and means what it seems to: no `1` for 0.0.0.1. */
export function isCdnHost(text: string): boolean {
  const lower = text.toLowerCase();
  const { host = '', port } = WITH_PORT.exec(lower)?.groups ?? {};
  const isPort = port === undefined || (Number(port) >= 1 && Number(port) <= PORT_MAX);
  if (!isPort || host.length > HOST_LENGTH_MAX || !URL.canParse(`http://${lower}/`)) return false;
  if (host.startsWith('[')) return true;
  // What URL makes of a name that ends in a number is an address, however it was written.
  return LABELS.test(host) && new URL(`http://${host}/`).hostname === host;
}
