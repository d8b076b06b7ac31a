/**
 * The real `swanctl`, pointed at one daemon: charon or tsgw, it cannot tell.
 *
 * Runs with a configuration directory and a strongswan.conf of its own, so that nothing of the
 * host's /etc is read. Answers what `--raw` prints as values.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finished, run } from './command.ts';

/** What `--raw` prints: `name {key=value list=[a b] section {...}}`. */
export interface RawSection {
  readonly [key: string]: RawValue;
}
export type RawValue = string | readonly string[] | RawSection;

export interface ChildSaState {
  readonly name: string;
  readonly state: string;
  readonly encap: boolean;
  readonly encrAlg: string;
  readonly encrKeysize: string;
  readonly integAlg: string;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
  readonly raw: RawSection;
}

export interface IkeSaState {
  readonly name: string;
  readonly uniqueId: string;
  readonly state: string;
  readonly initiator: boolean;
  readonly localHost: string;
  readonly localPort: number;
  readonly remoteHost: string;
  readonly remotePort: number;
  readonly encrAlg: string;
  readonly encrKeysize: string;
  readonly integAlg: string;
  readonly prfAlg: string;
  readonly dhGroup: string;
  readonly children: readonly ChildSaState[];
  readonly raw: RawSection;
}

export class Swanctl {
  readonly uri: string;
  readonly #directory: string;

  /** `directory` is made and holds swanctl.conf; `uri` is the daemon's vici socket. */
  constructor(directory: string, uri: string) {
    this.uri = uri;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'strongswan.conf'), quietSwanctl);
    writeFileSync(join(directory, 'swanctl.conf'), '');
  }

  /** Runs one verb, which may fail: `call(['--initiate', '--child', 'net'])`. */
  call(argv: readonly string[], timeout = 30_000): Promise<Finished> {
    const [verb = '', ...rest] = argv;
    return run(['swanctl', verb, ...rest, '--uri', this.uri], {
      env: {
        SWANCTL_DIR: this.#directory,
        STRONGSWAN_CONF: join(this.#directory, 'strongswan.conf'),
      },
      timeout,
      mayFail: true,
    });
  }

  /** Runs one verb that must succeed. */
  async must(argv: readonly string[], timeout = 30_000): Promise<string> {
    const { status, stdout, stderr } = await this.call(argv, timeout);
    if (status !== 0) {
      throw new Error(`swanctl ${argv.join(' ')}: ended with ${status}\n${stdout}${stderr}`);
    }
    return stdout;
  }

  /** Makes `text` the daemon's whole configuration: connections and secrets. */
  async load(text: string): Promise<string> {
    writeFileSync(join(this.#directory, 'swanctl.conf'), text);
    return this.must(['--load-all', '--clear', '--noprompt']);
  }

  /** True when a request is answered; a socket that is only there does not count. */
  async answers(): Promise<boolean> {
    const { status } = await this.call(['--version', '--daemon'], 2_000);
    return status === 0;
  }

  /** What the daemon counted for a connection, under strongSwan's names. */
  async counters(connection: string): Promise<Readonly<Record<string, number>>> {
    const text = await this.must(['--counters', '--name', connection, '--raw']);
    const all = parseRaw(text.slice(text.indexOf('{'))).counters;
    const [own] = isSection(all) ? Object.values(all) : [];
    if (!isSection(own)) return {};
    return Object.fromEntries(Object.entries(own).map(([key, count]) => [key, Number(count)]));
  }

  async sas(): Promise<readonly IkeSaState[]> {
    const text = await this.must(['--list-sas', '--raw']);
    return events(text, 'list-sa').flatMap((event) =>
      Object.entries(event).flatMap(([name, sa]) => (isSection(sa) ? [ikeSaState(name, sa)] : [])),
    );
  }
}

/** The events of one kind in what a `--raw` listing printed. */
export function events(text: string, kind: string): readonly RawSection[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${kind} event {`))
    .map((line) => parseRaw(line.slice(`${kind} event `.length)));
}

function ikeSaState(name: string, sa: RawSection): IkeSaState {
  const children = sa['child-sas'];
  return {
    name,
    uniqueId: word(sa, 'uniqueid'),
    state: word(sa, 'state'),
    initiator: word(sa, 'initiator') === 'yes',
    localHost: word(sa, 'local-host'),
    localPort: Number(word(sa, 'local-port')),
    remoteHost: word(sa, 'remote-host'),
    remotePort: Number(word(sa, 'remote-port')),
    encrAlg: word(sa, 'encr-alg'),
    encrKeysize: word(sa, 'encr-keysize'),
    integAlg: word(sa, 'integ-alg'),
    prfAlg: word(sa, 'prf-alg'),
    dhGroup: word(sa, 'dh-group'),
    children: isSection(children)
      ? Object.values(children).flatMap((child) => (isSection(child) ? [childSaState(child)] : []))
      : [],
    raw: sa,
  };
}

function childSaState(child: RawSection): ChildSaState {
  return {
    name: word(child, 'name'),
    state: word(child, 'state'),
    encap: word(child, 'encap') === 'yes',
    encrAlg: word(child, 'encr-alg'),
    encrKeysize: word(child, 'encr-keysize'),
    integAlg: word(child, 'integ-alg'),
    packetsIn: Number(word(child, 'packets-in')),
    packetsOut: Number(word(child, 'packets-out')),
    localTs: list(child, 'local-ts'),
    remoteTs: list(child, 'remote-ts'),
    raw: child,
  };
}

function word(section: RawSection, key: string): string {
  const value = section[key];
  return typeof value === 'string' ? value : '';
}

function list(section: RawSection, key: string): readonly string[] {
  const value = section[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function isSection(value: RawValue | undefined): value is RawSection {
  return typeof value === 'object' && !Array.isArray(value);
}

/** Parses `{...}` as swanctl prints it; values end where the next key, `}` or `]` begins. */
export function parseRaw(text: string): RawSection {
  const tokens = text.match(/[{}[\]]|[^\s{}[\]=]+=|[^\s{}[\]]+(?:\[[^\s\]]*\])?/g) ?? [];
  return readSection({ tokens, next: tokens[0] === '{' ? 1 : 0 });
}

interface TokenReader {
  readonly tokens: readonly string[];
  next: number;
}

function readSection(reader: TokenReader): RawSection {
  const { tokens } = reader;
  const entries: Record<string, RawValue> = {};
  while (reader.next < tokens.length && tokens[reader.next] !== '}') {
    const token = tokens[reader.next] ?? '';
    reader.next += 1;
    const opens = tokens[reader.next];
    if (token.endsWith('=') && opens === '[') {
      entries[token.slice(0, -1)] = readList(reader);
    } else if (token.endsWith('=')) {
      entries[token.slice(0, -1)] = readWords(reader);
    } else if (opens === '{') {
      reader.next += 1;
      entries[token] = readSection(reader);
    }
  }
  reader.next += 1;
  return entries;
}

function readList(reader: TokenReader): readonly string[] {
  const close = reader.tokens.indexOf(']', reader.next);
  const items = reader.tokens.slice(reader.next + 1, close);
  reader.next = close + 1;
  return items;
}

/** A value may hold spaces: words follow until one that opens something. */
function readWords(reader: TokenReader): string {
  const words: string[] = [];
  for (;;) {
    const token = reader.tokens[reader.next];
    if (token === undefined || /^[{}[\]]$|=$/.test(token)) {
      return words.join(' ');
    }
    if (reader.tokens[reader.next + 1] === '{') {
      return words.join(' ');
    }
    words.push(token);
    reader.next += 1;
  }
}

const quietSwanctl = `swanctl {
  load = random pem pkcs1 openssl pubkey x509
}
`;
