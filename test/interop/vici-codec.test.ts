/**
 * What the real swanctl sends, against our codec and our reading of the same file.
 *
 * A unix socket in the test plays the daemon: it records each request and answers success. Needs
 * strongSwan's swanctl; touches nothing but a temporary directory.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parseSelector, protocolNumber } from '../../src/config/addresses.ts';
import { loadConfig } from '../../src/config/config.ts';
import { connectionFromSettings, readConnection } from '../../src/config/connection.ts';
import { Findings } from '../../src/config/findings.ts';
import { parseSettings, type ReadFiles, type SourceFile } from '../../src/config/grammar.ts';
import { resolveReferences } from '../../src/config/references.ts';
import { ConfigError, type Section } from '../../src/config/section.ts';
import {
  encodeViciMessage,
  viciOctets,
  viciSection,
  viciSubsection,
  viciText,
  viciTexts,
} from '../../src/vici/message.ts';
import {
  decodePacket,
  encodePacket,
  encodeSegment,
  type Packet,
  SegmentReader,
} from '../../src/vici/packet.ts';
import { sectionFromVici } from '../../src/vici/settings.ts';

const SWANCTL = '/usr/sbin/swanctl';
const MANUAL = '/usr/share/man/man5/swanctl.conf.5.gz';

const SITE_TO_SITE = `connections { peer { version = 2
    local_addrs = 192.0.2.1
    remote_addrs = 192.0.2.2
    proposals = aes256-sha256-x25519,aes256-sha256-ecp256,aes256-sha256-modp2048
    local { auth = psk
      id = a.lab }
    remote { auth = psk
      id = b.lab }
    children { net { local_ts = 10.1.0.0/16
        remote_ts = 10.2.0.0/16
        esp_proposals = aes128gcm16,aes256gcm16,chacha20poly1305,aes256-sha256 } } } }
secrets { ike-1 { id-a = a.lab
    id-b = b.lab
    secret = "test-pre-shared-key" } }
`;

/** Connections with most of what the grammar has: templates, includes, lists, quotes, unset keys. */
const MANY = `psk {
  local { auth = psk
    id = "gw.example.org" }
  remote { auth = psk }
  encap = yes
  dpd_delay = 30s
}
include conf.d/*.conf
connections {
  a : psk { remote_addrs = 192.0.2.2, 192.0.2.3-192.0.2.9 , peer.example.org
    encap =
    remote { id = *@example.org } }
  b : connections.a, child { dpd_delay = 1m # comment
    local { id = 192.0.2.7 } }
}
`;

const INCLUDED = `child { children { web { local_ts = 10.1.0.0/16[tcp/80], dynamic[udp/1000-2000]
  remote_ts = fec0::/64[ipv6-icmp/128]
  dpd_action = restart
  close_action = start
  life_time = 2h } } }
secrets { ike-hex { secret = 0x616263 } ike-base64 { id = %any
  secret = 0sYWJjZA== } }
`;

class StubDaemon {
  readonly directory = mkdtempSync(join(tmpdir(), 'tsgw-vici-'));
  readonly packets: { readonly octets: Uint8Array; readonly packet: Packet }[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      const reader = new SegmentReader();
      socket.on('data', (data) => {
        const segments = reader.push(data);
        assert.ok(segments.kind === 'segments');
        for (const octets of segments.packets) {
          this.packets.push({ octets, packet: decodePacket(octets) });
          const message = viciSection([['success', true]]);
          socket.write(encodeSegment({ kind: 'response', message }));
        }
      });
      socket.on('error', () => socket.destroy());
    });
  }

  get socket(): string {
    return join(this.directory, 'vici');
  }

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.socket, done));
    mkdirSync(join(this.directory, 'conf.d'));
    writeFileSync(join(this.directory, 'strongswan.conf'), 'swanctl { plugins { } }\n');
  }

  /** Lets swanctl load the text; answers the requests it made. */
  async load(text: string, verb = '--load-all'): Promise<readonly Packet[]> {
    this.packets.length = 0;
    writeFileSync(this.file, text);
    await new Promise<void>((done) => {
      const environment = {
        ...process.env,
        SWANCTL_DIR: this.directory,
        STRONGSWAN_CONF: join(this.directory, 'strongswan.conf'),
      };
      execFile(SWANCTL, [verb, '--uri', `unix://${this.socket}`], { env: environment }, () =>
        done(),
      );
    });
    return this.packets.map(({ packet }) => packet);
  }

  get file(): string {
    return join(this.directory, 'swanctl.conf');
  }

  async close(): Promise<void> {
    await new Promise<void>((done) => this.#server.close(() => done()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** `directory/*.conf` and plain names: all that the configurations here include. */
const readFiles: ReadFiles = (glob, from) => {
  const path = resolve(dirname(from), glob);
  const files = path.endsWith('/*.conf')
    ? readdirSync(dirname(path))
        .filter((name) => name.endsWith('.conf'))
        .sort()
        .map((name) => join(dirname(path), name))
    : [path].filter((one) => existsSync(one));
  return files.map((file): SourceFile => ({ file, text: readFileSync(file, 'utf8') }));
};

/** The name and settings of each `load-conn` among the requests. */
function loadedConnections(packets: readonly Packet[]): ReadonlyMap<string, Section> {
  const connections = new Map<string, Section>();
  for (const packet of packets) {
    if (packet.kind !== 'request' || packet.name !== 'load-conn') continue;
    for (const [name, value] of packet.message) {
      if (value.kind === 'section') connections.set(name, sectionFromVici(value.section));
    }
  }
  return connections;
}

/** Keys, then sections, in their order, without positions; lists of a message joined as in a file. */
function content(section: Section): unknown {
  return [
    [...section.entries].map(([key, entry]) => {
      if (entry.kind === 'list') return [key, entry.items.map(({ text }) => text)];
      return [key, LISTS.includes(key) ? items(entry.value.text) : entry.value.text];
    }),
    [...section.sections].map(([name, inner]) => [name, content(inner)]),
  ];
}

const LISTS = [
  'local_addrs',
  'remote_addrs',
  'proposals',
  'esp_proposals',
  'local_ts',
  'remote_ts',
];

function items(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

describe('vici codec and swanctl.conf against swanctl', function () {
  this.timeout(60_000);
  const daemon = new StubDaemon();

  before(async () => {
    assert.ok(existsSync(SWANCTL), `${SWANCTL} is missing: install strongswan-swanctl`);
    await daemon.listen();
    writeFileSync(join(daemon.directory, 'conf.d', 'child.conf'), INCLUDED);
  });

  after(() => daemon.close());

  for (const [name, text] of [
    ['the site-to-site configuration', SITE_TO_SITE],
    ['a configuration with templates and includes', MANY],
  ] as const) {
    it(`encodes what swanctl sent for ${name} to the same octets`, async () => {
      const packets = await daemon.load(text);
      assert.ok(packets.some((packet) => packet.kind === 'request' && packet.name === 'load-conn'));
      for (const { octets, packet } of daemon.packets) {
        assert.deepEqual(encodePacket(packet), octets);
        if ('message' in packet) {
          const message = encodeViciMessage(packet.message);
          assert.deepEqual(message, octets.slice(octets.length - message.length));
        }
      }
    });

    it(`makes of ${name} the same connections and secrets by file and by message`, async () => {
      const packets = await daemon.load(text);
      const config = loadConfig(text, daemon.file, readFiles);
      const connections = [...loadedConnections(packets)].map(
        ([one, section]) => connectionFromSettings(one, section).connection,
      );
      assert.deepEqual(connections, config.connections);
      const secrets = packets.flatMap((packet) =>
        packet.kind === 'request' && packet.name === 'load-shared'
          ? [
              {
                id: viciText(packet.message, 'id'),
                type: viciText(packet.message, 'type'),
                octets: viciOctets(packet.message, 'data'),
                owners: viciTexts(packet.message, 'owners'),
              },
            ]
          : [],
      );
      assert.deepEqual(
        secrets,
        config.secrets.map(({ id, type, secret, owners }) => ({
          id,
          type,
          octets: secret.reveal(),
          owners: owners.map((owner) => owner.text),
        })),
      );
    });
  }

  const grammar: readonly string[] = [
    'connections { a { x = foo"b  ar" baz   qux } }',
    String.raw`connections { a { x = "a\nb\tc\"d\\e\qf" } }`,
    'connections { a { x = "multi\nline \\\ncontinued" } }',
    'connections { a { x = b#c\n y = a=b,c{d:e\n z = {\n } }',
    'connections { a { x = \n y = ""\n z = "" b\n } }',
    'connections\n{\n a \n { \r\n x = 1; y = 2\r\n }\n}',
    'connections { a { x = 1\n y = 2\n }\n a { y = \n z = 4\n x = 5\n } }',
    'd { x = 1\n s { u = 1\n v = 2 } t { w = 1 } }\nconnections { a : d { s { u = 3 } x = \n q = 1 } }',
    'd { x = 1 \n y = 2 }\ne { x = 2\n z = 3 }\nconnections { a : d,\n e\n { } }',
    'd : e { x = 1 }\ne { y = 2 }\nconnections { a : d { } b : connections.a { } }',
    'd { s { x = 1 } }\nconnections { a { local : d.s { y = 1 } } }',
    'connections { a : d { y = 1 } \n a : e { x = 1 } }\n d { z = 2 }\n e { z = 3\n w = 4 }',
    'd { s { x = 1 } s2 { y = 1 } }\nconnections { a : d { s2 { z = 1 } s { q = 1 } } }',
    'c { s { x = 1\n} }\nd : c { }\nconnections { a : d.s { } }',
    'connections { a { x\n = 1 } }',
    'connections { a { local_addrs = a,,b , c\n include conf.d/none.conf\n inc = 1\n include = 2\n } }',
  ];
  for (const text of grammar) {
    it(`reads ${JSON.stringify(text)} as swanctl does`, async () => {
      const sent = loadedConnections(await daemon.load(text, '--load-conns'));
      const { root } = resolveReferences(parseSettings({ file: daemon.file, text }, readFiles));
      const read = root.sections.get('connections')?.sections ?? new Map<string, Section>();
      assert.ok(sent.size > 0);
      assert.deepEqual(
        [...sent].map(([name, section]) => [name, content(section)]),
        [...read].map(([name, section]) => [name, content(section)]),
      );
    });
  }

  const faults: readonly string[] = [
    'connections { a { x\n } }',
    'connections { a.b { x = 1 } }',
    'connections { a { "x" = 1 } }',
    'connections { a { x = "open\n } }',
    'connections { a { x = 1 } } }',
    'connections { a { x = 1 }',
    'connections { a { , = 1 } }',
    'connections { a : { x = 1 } }',
    'connections { a : b. { x = 1 } }',
    'connections { a { x = c\n { } } }',
  ];
  for (const text of faults) {
    it(`refuses ${JSON.stringify(text)} as swanctl does`, async () => {
      const sent = loadedConnections(await daemon.load(text, '--load-conns'));
      assert.equal(sent.size, 0);
      assert.throws(() => parseSettings({ file: daemon.file, text }, readFiles), ConfigError);
    });
  }

  it('reads any printed section as swanctl does', async () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,7}$/).filter((one) => one !== 'include');
    const value = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
    const entries = fc.uniqueArray(fc.tuple(name, value), {
      minLength: 1,
      maxLength: 6,
      selector: ([key]) => key,
    });
    await fc.assert(
      fc.asyncProperty(entries, async (pairs) => {
        const lines = pairs.map(([key, one]) => `${key} = "${one.replace(/[\\"]/g, '\\$&')}"\n`);
        const text = `connections { a {\n${lines.join('')}} }`;
        const sent = loadedConnections(await daemon.load(text, '--load-conns')).get('a');
        const { root } = resolveReferences(parseSettings({ file: daemon.file, text }, readFiles));
        const read = root.sections.get('connections')?.sections.get('a');
        assert.deepEqual(sent && content(sent), read && content(read));
      }),
      { numRuns: 30 },
    );
  });

  it('knows a connection inside its message by one name', async () => {
    const packets = await daemon.load(SITE_TO_SITE);
    const request = packets.find(
      (packet) => packet.kind === 'request' && packet.name === 'load-conn',
    );
    assert.ok(request?.kind === 'request');
    assert.deepEqual([...request.message.keys()], ['peer']);
    assert.ok(viciSubsection(request.message, 'peer') !== undefined);
  });
});

describe('names of protocols and services', () => {
  it('have the numbers of /etc/protocols and /etc/services where we know them', () => {
    for (const file of ['/etc/protocols', '/etc/services']) {
      assert.ok(existsSync(file), `${file} is missing: install netbase`);
    }
    const lines = (file: string) => readFileSync(file, 'utf8').split('\n');
    const known: string[] = [];
    for (const line of lines('/etc/protocols')) {
      const [, name = '', number] = /^(\S+)\s+(\d+)/.exec(line) ?? [];
      // ip is 0, which selectors call any.
      if (name.startsWith('#') || protocolNumber(name) === undefined) continue;
      assert.equal(protocolNumber(name), Number(number), name);
      known.push(name);
    }
    assert.ok(known.length >= 20, known.join());
    const services: string[] = [];
    for (const line of lines('/etc/services')) {
      const [, name = '', port, protocol] = /^([^\s#]+)\s+(\d+)\/(tcp|udp)/.exec(line) ?? [];
      const text = `dynamic[${protocol}/${name}]`;
      const findings = new Findings();
      const selector = findings.attempt(() =>
        parseSelector({ path: 'local_ts', text, at: { file: 'services', line: 0 } }),
      );
      if (name === '' || selector?.kind !== 'dynamic') continue;
      assert.equal(selector.startPort, Number(port), name);
      services.push(name);
    }
    assert.ok(services.length >= 20, services.join());
  });
});

describe('swanctl.conf rules against the manual of swanctl', () => {
  it('has a rule for each key of a connection that swanctl.conf(5) documents', () => {
    assert.ok(
      existsSync(MANUAL),
      `${MANUAL} is missing: install strongswan-swanctl with its manual`,
    );
    const manual = gunzipSync(readFileSync(MANUAL)).toString();
    const keys = [...manual.matchAll(/^\.BR? connections\.<conn>\.(\S+)/gm)].map(([, key = '']) =>
      key.replace('<child>', 'net').replaceAll('<suffix>', '').split('.'),
    );
    assert.ok(keys.length > 90, `${keys.length} keys`);
    for (const path of keys) {
      const findings = new Findings();
      readConnection('a', sectionWith(path), findings);
      const unknown = findings.errors.filter(({ what }) => what.includes('unknown'));
      assert.deepEqual(unknown, [], path.join('.'));
    }
  });
});

/** A section that holds one key, at the end of the path. */
function sectionWith(path: readonly string[]): Section {
  const at = { file: 'manual', line: 0 };
  const [name = '', ...rest] = path;
  if (rest.length === 0 && !/^(local|remote|children|cert|cacert|net)$/.test(name)) {
    const value = { text: '1', at };
    return { at, entries: new Map([[name, { kind: 'value', value }]]), sections: new Map() };
  }
  const inner =
    rest.length === 0 ? { at, entries: new Map(), sections: new Map() } : sectionWith(rest);
  return { at, entries: new Map(), sections: new Map([[name, inner]]) };
}
