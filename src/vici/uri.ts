/**
 * Where a vici server listens: `unix:///run/tsgw.vici` or `tcp://127.0.0.1:4502`.
 */
export type ViciAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const DEFAULT_VICI_URI = 'unix:///run/tsgw.vici';

/** The longest path a unix socket address holds (`sun_path` without its final zero). */
const LONGEST_PATH = 107;

/** The address, or a sentence that says what to write instead. */
export function parseViciUri(text: string): ViciAddress | string {
  const [, path] = /^unix:\/\/(.+)$/.exec(text) ?? [];
  if (path !== undefined) {
    if (path.includes('\0')) return `${JSON.stringify(text)}: a path holds no zero octet`;
    const octets = new TextEncoder().encode(path).length;
    return octets <= LONGEST_PATH
      ? { kind: 'unix', path }
      : `${text}: a socket's path has at most ${LONGEST_PATH} octets, this one ${octets}`;
  }
  const [, six, four, digits] = /^tcp:\/\/(?:\[([^\]]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four;
  const port = Number(digits);
  if (host !== undefined && port <= 0xffff) return { kind: 'tcp', host, port };
  return `${text}: write unix:///PATH or tcp://HOST:PORT`;
}
