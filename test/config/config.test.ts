import assert from 'node:assert/strict';
import fc from 'fast-check';
import { loadConfig } from '../../src/config/config.ts';
import { connectionFromSettings } from '../../src/config/connection.ts';
import { ConfigErrors } from '../../src/config/findings.ts';
import { DEFAULT_GATEWAY_SETTINGS } from '../../src/config/gateway-settings.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { fault, faults, filesOf, load, NO_FILES, parse } from './reading.ts';

/** The smallest configuration that strongswan-peer interop runs with. */
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

/** A connection with `lines` of its own, line 2 on, and `childLines` in its only child. */
function withLines(lines: string, childLines = '', auth = 'auth = psk'): string {
  const sides = `local { ${auth}\n }\nremote { auth = psk\n }`;
  return `connections { peer {\n${lines}\n${sides}\nchildren { net {\n${childLines}\n} } } }`;
}

function connection(lines: string, childLines = ''): Connection {
  const [only] = load(withLines(lines, childLines)).connections;
  assert.ok(only !== undefined);
  return only;
}

function child(lines: string): Connection['children'][number] {
  const [only] = connection('', lines).children;
  assert.ok(only !== undefined);
  return only;
}

function warnings(text: string): readonly string[] {
  return load(text).warnings.map(({ at, what }) => `${at.line}: ${what}`);
}

describe('swanctl.conf configuration', () => {
  it('reads a site-to-site configuration', () => {
    const config = load(SITE_TO_SITE);
    assert.deepEqual(config.warnings, []);
    assert.deepEqual(config.gateway, DEFAULT_GATEWAY_SETTINGS);
    const [peer] = config.connections;
    assert.equal(peer?.name, 'peer');
    assert.equal(peer.proposals.length, 3);
    assert.equal(peer.local.id?.text, 'a.lab');
    assert.equal(peer.remote.id?.identity?.type, 2);
    assert.deepEqual(peer.localAddresses, [
      { kind: 'address', address: { family: 4, octets: Uint8Array.of(192, 0, 2, 1) } },
    ]);
    assert.equal(peer.children[0]?.proposals.length, 4);
    const [secret] = config.secrets;
    assert.equal(secret?.id, 'ike-1');
    assert.deepEqual(
      secret.owners.map(({ text }) => text),
      ['a.lab', 'b.lab'],
    );
    assert.equal(Buffer.from(secret.secret.reveal()).toString(), 'test-pre-shared-key');
  });

  it('starts from the defaults of strongSwan, with a window of 1024', () => {
    const { children, proposals, ...rest } = connection('');
    assert.deepEqual(rest, {
      name: 'peer',
      localAddresses: [{ kind: 'any' }],
      remoteAddresses: [{ kind: 'any' }],
      localPort: 500,
      remotePort: 500,
      local: { method: 'psk' },
      remote: { method: 'psk' },
      encap: false,
      dpdDelaySeconds: 0,
      keyingTries: 1,
      unique: 'no',
      lifetime: { rekey: 14_400, reauth: 0, over: 1440, random: 1440 },
      mobike: true,
      fragmentation: 'yes',
      childless: 'allow',
      vips: [],
      pools: [],
    });
    assert.equal(proposals.length, 2);
    const dynamic = [{ kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 }];
    assert.equal(children.length, 1);
    const { proposals: espProposals, ...policy } = child('');
    assert.equal(espProposals.length, 2);
    assert.deepEqual(policy, {
      name: 'net',
      mode: 'tunnel',
      localTs: dynamic,
      remoteTs: dynamic,
      startAction: 'none',
      closeAction: 'none',
      dpdAction: 'clear',
      replayWindow: 1024,
      copyDf: true,
      copyEcn: true,
      copyDscp: 'out',
      icmpErrors: true,
      nonFirstFragments: 'accept',
      tfcPadding: 0,
      dummyPackets: 0,
      priority: 0,
      reqid: 0,
      lifetime: {
        seconds: { rekey: 3600, life: 3960, random: 360 },
        octets: { rekey: 0, life: 0, random: 0 },
        packets: { rekey: 0, life: 0, random: 0 },
      },
      inactivitySeconds: 0,
    });
  });

  it('freezes what it answers', () => {
    const frozenThrough = (value: unknown): boolean =>
      typeof value !== 'object' ||
      value === null ||
      ArrayBuffer.isView(value) ||
      (Object.isFrozen(value) && Object.values(value).every(frozenThrough));
    const config = load(SITE_TO_SITE);
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.secrets));
    assert.ok(frozenThrough(config.connections) && frozenThrough(config.gateway));
    assert.ok(frozenThrough(config.warnings));
  });

  it('derives lifetimes as strongSwan does', () => {
    const times = (lines: string): readonly number[] => {
      const { rekey, life } = child(lines).lifetime.seconds;
      return [rekey, life];
    };
    assert.deepEqual(times('rekey_time = 30m'), [1800, 1980]);
    assert.deepEqual(times('rekey_time = 16'), [16, 17]);
    assert.deepEqual(times('rekey_time = 0'), [0, 0]);
    assert.deepEqual(times('life_time = 2h'), [6480, 7200]);
    assert.deepEqual(times('rekey_time = 0\nlife_time = 1h'), [0, 3600]);
    assert.deepEqual(times('life_time = 0'), [3600, 0]);
    const ike = (lines: string): readonly number[] => {
      const { rekey, reauth, over, random } = connection(lines).lifetime;
      return [rekey, reauth, over, random];
    };
    assert.deepEqual(ike('reauth_time = 1h'), [0, 3600, 360, 360]);
    assert.deepEqual(ike('reauth_time = 1h\nrekey_time = 2h'), [7200, 3600, 720, 720]);
    assert.deepEqual(ike('rekey_time = 0'), [0, 0, 0, 0]);
    assert.deepEqual(ike('over_time = 5m'), [14_400, 0, 300, 300]);
    assert.deepEqual(ike('over_time = 0\nrand_time = 10'), [14_400, 0, 0, 10]);
    const { seconds, octets, packets } = child(
      'rekey_bytes = 500m\nlife_packets = 1000\nrand_packets = 5\nrand_time = 1m',
    ).lifetime;
    assert.deepEqual(seconds, { rekey: 3600, life: 3960, random: 60 });
    assert.deepEqual(octets, { rekey: 524_288_000, life: 576_716_800, random: 52_428_800 });
    assert.deepEqual(packets, { rekey: 900, life: 1000, random: 5 });
    assert.equal(child('inactivity = 5m').inactivitySeconds, 300);
    assert.match(faults(withLines('', 'rekey_bytes = 1.5m')).join(), /write a number of octets/);
    assert.match(
      faults(withLines('', 'rekey_packets = 100\nlife_packets = 100')).join(),
      /the SA would end before it is rekeyed: write more than 100$/,
    );
    assert.deepEqual(faults(withLines('', 'rekey_time = 10m\nlife_time = 5m')), [
      'swanctl.conf:9: connections.peer.children.net.life_time = 5m: the SA would end before it is rekeyed: write more than 600',
    ]);
  });

  it('reads the actions by all their names', () => {
    const start = {
      none: 'none',
      clear: 'none',
      start: 'start',
      restart: 'start',
      trap: 'trap',
      route: 'trap',
      hold: 'trap',
      'trap|start': 'trap|start',
      'start | trap': 'trap|start',
    };
    for (const [word, action] of Object.entries(start)) {
      assert.equal(child(`start_action = ${word}`).startAction, action, word);
      assert.equal(child(`close_action = ${word}`).closeAction, action, word);
    }
    const dpd = {
      clear: 'clear',
      none: 'clear',
      trap: 'trap',
      hold: 'trap',
      restart: 'restart',
      start: 'restart',
    };
    for (const [word, action] of Object.entries(dpd)) {
      assert.equal(child(`dpd_action = ${word}`).dpdAction, action, word);
    }
    assert.match(
      faults(withLines('', 'start_action = trapp')).join(),
      /write one of none, clear, trap, route, hold, start, restart; did you mean trap\?$/,
    );
    assert.match(faults(withLines('', 'dpd_action = trap|start')).join(), /write one of clear/);
  });

  it('reads modes and shunts and says why other modes are not had', () => {
    for (const mode of ['tunnel', 'transport', 'beet', 'pass', 'drop']) {
      assert.equal(child(`mode = ${mode}`).mode, mode);
    }
    assert.equal(child('mode = DROP').mode, 'drop');
    const refused: Readonly<Record<string, RegExp>> = {
      transport_proxy: /belongs to Mobile IPv6, which is not implemented: write tunnel$/,
      iptfs: /\(RFC 9347\) are not implemented yet: write tunnel$/,
      tunel: /write one of tunnel, transport, beet, pass, drop; did you mean tunnel\?$/,
    };
    for (const [mode, what] of Object.entries(refused)) {
      assert.match(faults(withLines('', `mode = ${mode}`)).join(), what);
    }
  });

  it('reads what an IKE SA does besides its children', () => {
    for (const fragmentation of ['yes', 'accept', 'force', 'no']) {
      assert.equal(connection(`fragmentation = ${fragmentation}`).fragmentation, fragmentation);
    }
    assert.equal(connection('fragmentation = true').fragmentation, 'yes');
    for (const childless of ['allow', 'prefer', 'force', 'never']) {
      assert.equal(connection(`childless = ${childless}`).childless, childless);
    }
    assert.match(faults(withLines('childless = yes')).join(), /write one of allow, prefer, force/);
    assert.equal(connection('mobike = no').mobike, false);
    assert.deepEqual(connection('vips = 0.0.0.0, ::').vips, [
      { family: 4, octets: new Uint8Array(4) },
      { family: 6, octets: new Uint8Array(16) },
    ]);
    assert.deepEqual(faults(withLines('vips = 10.3.0.0/24')), [
      'swanctl.conf:2: connections.peer.vips = 10.3.0.0/24: write an address, 0.0.0.0 or ::',
    ]);
    assert.deepEqual(connection('pools = rw4, rw6').pools, ['rw4', 'rw6']);
  });

  it('rounds the replay window up to whole words and says so', () => {
    assert.equal(child('replay_window = 64').replayWindow, 64);
    assert.equal(child('replay_window = 100').replayWindow, 128);
    assert.deepEqual(warnings(withLines('', 'replay_window = 100')), [
      '8: connections.peer.children.net.replay_window = 100: the window holds 128 packets, a multiple of 32',
    ]);
    assert.equal(child('replay_window = 65536').replayWindow, 65_536);
    assert.match(faults(withLines('', 'replay_window = 65537')).join(), /from 0 to 65536$/);
  });

  it('takes a replay window of 0 for none, as strongSwan does, and says what that means', () => {
    assert.equal(child('replay_window = 0').replayWindow, 0);
    assert.deepEqual(warnings(withLines('', 'replay_window = 0')), [
      '8: connections.peer.children.net.replay_window = 0: a packet that comes again is delivered again',
    ]);
  });

  it('bounds numbers', () => {
    assert.equal(connection('local_port = 1\nremote_port = 65535').localPort, 1);
    assert.match(faults(withLines('local_port = 0')).join(), /from 1 to 65535$/);
    assert.equal(connection('keyingtries = 0').keyingTries, 0);
    assert.equal(child('reqid = 0\npriority = 4294967295').priority, 0xffffffff);
    assert.match(faults(withLines('', 'priority = 4294967296')).join(), /from 0 to 4294967295$/);
    assert.match(faults(withLines('version = 3')).join(), /from 0 to 2$/);
  });

  it('accepts IKEv2 only', () => {
    assert.equal(connection('version = 0').name, 'peer');
    assert.deepEqual(faults(withLines('version = 1')), [
      'swanctl.conf:2: connections.peer.version = 1: IKEv1 is deprecated (RFC 9395): write version = 2',
    ]);
  });

  it('wants authentication by shared key on both sides', () => {
    const text = 'connections {\npeer {\nlocal { auth = pubkey\n }\n} }';
    assert.deepEqual(faults(text), [
      'swanctl.conf:2: connections.peer.remote: auth is not set, and its default pubkey is not implemented yet: write auth = psk',
      'swanctl.conf:3: connections.peer.local.auth = pubkey: not implemented yet: write auth = psk',
    ]);
    for (const auth of ['eap-mschapv2', 'rsa-2048-sha256', 'ike:rsa', 'ecdsa']) {
      assert.match(
        faults(withLines('', '', `auth = ${auth}`)).join(),
        /not implemented yet: write auth = psk$/,
      );
    }
    assert.match(faults(withLines('', '', 'auth = xauth')).join(), /belongs to IKEv1/);
    assert.match(faults(withLines('', '', 'auth = pks')).join(), /did you mean psk\?$/);
    assert.match(
      faults(`${withLines('local-2 { auth = psk\n }')}`).join(),
      /^swanctl\.conf:4: connections\.peer\.local: a second round/,
    );
  });

  it('reads identities, with wildcards for the peer only', () => {
    const remote = (id: string) =>
      load(`connections { a { local { auth = psk\n }\nremote { auth = psk\nid = ${id}\n } } }`)
        .connections[0]?.remote.id;
    assert.equal(remote('%any'), undefined);
    assert.deepEqual(remote('*@example.org'), { text: '*@example.org' });
    assert.equal(remote('192.0.2.1')?.identity?.type, 1);
    assert.match(
      faults(
        'connections { a { local { auth = psk\nid = *.lab\n }\nremote { auth = psk\n } } }',
      ).join(),
      /^swanctl\.conf:2: connections\.a\.local\.id = \*\.lab: our own identity has no wildcards/,
    );
  });

  it('takes templates and included files', () => {
    const files = filesOf({
      'conf.d/b.conf': 'connections {\n b : defaults { remote_addrs = 192.0.2.3\n } }',
    });
    const text = `defaults { encap = yes
      local { auth = psk
      }
      remote { auth = psk
      } }
      connections { a : defaults { remote_addrs = 192.0.2.2
      } }
      include conf.d/*.conf`;
    const { connections } = load(text, files);
    assert.deepEqual(
      connections.map(({ name, encap }) => [name, encap]),
      [
        ['a', true],
        ['b', true],
      ],
    );
  });

  it('names a fault of a template once, where it stands', () => {
    const text =
      'd {\nencpa = yes\nlocal { auth = psk\n}\nremote { auth = psk\n} }\nconnections { a : d { }\nb : d { } }';
    assert.deepEqual(faults(text), [
      'swanctl.conf:2: connections.a.encpa: unknown key; did you mean encap?',
      'swanctl.conf:2: connections.b.encpa: unknown key; did you mean encap?',
    ]);
  });

  it('warns of a start without a peer to start with', () => {
    assert.deepEqual(warnings(withLines('', 'start_action = start')), [
      '1: connections.peer.children.net: remote_addrs names no single address: nothing can be started',
    ]);
    assert.deepEqual(warnings(withLines('remote_addrs = 192.0.2.2', 'start_action = start')), []);
    assert.equal(warnings(withLines('', 'start_action = trap|start')).length, 1);
    assert.equal(warnings(withLines('', 'start_action = trap')).length, 1);
    assert.deepEqual(warnings(withLines('', 'mode = pass\nstart_action = trap')), []);
  });

  it('answers a connection of a message like one of a file', () => {
    const section = parse(SITE_TO_SITE).sections.get('connections')?.sections.get('peer');
    assert.ok(section !== undefined);
    const { connection: one, warnings: found } = connectionFromSettings('peer', section);
    assert.deepEqual(one, load(SITE_TO_SITE).connections[0]);
    assert.deepEqual(found, []);
  });

  it('throws the first fault of a single connection', () => {
    const section = parse('a { local_port = 70000\nfoo = 1 }').sections.get('a');
    assert.ok(section !== undefined);
    assert.match(
      fault(() => connectionFromSettings('a', section)),
      /^swanctl\.conf:1: connections\.a: |^swanctl\.conf:1: connections\.a\./,
    );
  });

  it('answers any text with a Config or ConfigErrors', () => {
    const words = SITE_TO_SITE.split(/(?<=\s)/);
    const other = [
      // Not the secret: where another value stands, it may be quoted.
      ...words.filter((word) => !word.includes('test-pre-shared-key')),
      'yes',
      '0',
      '%any',
      'trap',
      '-1',
      '"',
      '{',
      '}',
      '\n',
      'x = 1\n',
      '[tcp/80]',
      ':',
    ];
    const mutated = fc
      .array(fc.tuple(fc.nat({ max: words.length - 1 }), fc.constantFrom(...other)), {
        minLength: 1,
        maxLength: 6,
      })
      .map((changes) => {
        const text = [...words];
        for (const [at, word] of changes) text[at] = word;
        return text.join('');
      });
    fc.assert(
      fc.property(mutated, (text) => {
        try {
          loadConfig(text, 'swanctl.conf', NO_FILES);
        } catch (error) {
          assert.ok(error instanceof ConfigErrors, String(error));
          assert.ok(!error.message.includes('test-pre-shared-key'), error.message);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('What hides or keeps whole the packets of a child', () => {
  it('is read', () => {
    const written = child('tfc_padding = 512\ndummy_packets = 20\nnon_first_fragments = yes');
    const { tfcPadding, dummyPackets, nonFirstFragments } = written;
    assert.deepEqual([tfcPadding, dummyPackets, nonFirstFragments], [512, 20, 'yes']);
    assert.equal(child('tfc_padding = mtu').tfcPadding, 65_535);
    assert.equal(child('non_first_fragments = no').nonFirstFragments, 'no');
  });

  it('has bounds', () => {
    const lines = 'tfc_padding = full\ndummy_packets = 1001\nnon_first_fragments = perhaps';
    const fault = faults(withLines('', lines)).join('\n');
    assert.match(fault, /tfc_padding = full: write octets from 0 to 65535, or mtu/);
    assert.match(fault, /dummy_packets = 1001: write .*1000/);
    assert.match(fault, /non_first_fragments = perhaps: write/);
  });

  it('is a warning where there is no tunnel', () => {
    const [warning, ...others] = warnings(withLines('', 'mode = transport\ntfc_padding = mtu'));
    assert.match(warning ?? '', /tfc_padding = mtu: there is none with mode = transport/);
    assert.equal(others.length, 0);
  });

  it('is not hardware, which is refused by name', () => {
    for (const value of ['yes', 'crypto', 'packet']) {
      const fault = faults(withLines('', `hw_offload = ${value}`)).join();
      assert.match(fault, /hw_offload = \w+: there is no hardware offload in userspace: write no/);
    }
  });
});

describe('swanctl.conf rules', () => {
  it('names every error at once, in the order of lines', () => {
    const text = withLines('verson = 2\nppk_id = a', 'mode = iptfs\nfoo { }\nmark_in = 1');
    assert.deepEqual(faults(`${text}\ngatway { }\nx = 1`), [
      'swanctl.conf:2: connections.peer.verson: unknown key; did you mean version?',
      'swanctl.conf:3: connections.peer.ppk_id = a: not implemented yet',
      'swanctl.conf:9: connections.peer.children.net.mode = iptfs: aggregation and fragmentation (RFC 9347) are not implemented yet: write tunnel',
      'swanctl.conf:10: connections.peer.children.net.foo: unknown section; remove it',
      'swanctl.conf:11: connections.peer.children.net.mark_in = 1: not implemented yet: write 0/0',
      'swanctl.conf:13: gatway: unknown section; did you mean gateway?',
      'swanctl.conf:14: x: unknown key; remove it',
    ]);
  });

  it('accepts in silence what says what happens anyway', () => {
    const lines = `aggressive = No\npull = yes\ndpd_timeout = 0s\ndscp = 000000
      send_cert = ifasked\nppk_required = no\nvips = \npools = ""\nif_id_in = 0\nmediation = no`;
    const childLines = `ipcomp = no\nmark_in = 0/0x00000000\nset_mark_out = 0\nhostaccess = 0
      hw_offload = auto\nper_cpu_sas = NO\nif_id_out = 00\npolicies = yes`;
    assert.deepEqual(warnings(withLines(lines, childLines)), []);
  });

  it('warns of what has no effect', () => {
    assert.deepEqual(
      warnings(withLines('dpd_timeout = 1m\nsend_cert = always', 'policies_fwd_out = yes')),
      [
        '2: connections.peer.dpd_timeout = 1m has no effect: it concerns IKEv1 only; IKEv2 uses the retransmission times',
        '3: connections.peer.send_cert = always has no effect: authentication by certificate is not implemented yet: write auth = psk',
        '9: connections.peer.children.net.policies_fwd_out = yes has no effect: there are no policies in the kernel',
      ],
    );
  });

  it('checks the value also of what has no effect', () => {
    assert.match(faults(withLines('pull = maybe')).join(), /pull = maybe: write yes or no$/);
    assert.match(faults(withLines('', 'mark_in = x/y')).join(), /write a whole number/);
  });

  it('tells keys from sections', () => {
    assert.deepEqual(faults(withLines('children = x\nencap { }')), [
      'swanctl.conf:2: connections.peer.children: a section, not a key: write children { ... }',
      'swanctl.conf:3: connections.peer.encap: a key, not a section: write encap = value',
    ]);
    assert.deepEqual(faults('connections = 1'), [
      'swanctl.conf:1: connections: a section, not a key: write connections { ... }',
    ]);
  });

  it('knows no names of JavaScript', () => {
    assert.match(
      faults('constructor { }\n__proto__ = 1').join('\n'),
      /unknown section.*\n.*unknown key/,
    );
    assert.match(faults(withLines('toString = 1')).join(), /toString: unknown key/);
  });

  it('refuses constraints it could not enforce', () => {
    const remote = (line: string) =>
      faults(
        `connections { a { local { auth = psk\n }\nremote { auth = psk\n${line}\n } } }`,
      ).join();
    for (const line of [
      'groups = a',
      'cacerts = ca.crt',
      'revocation = strict',
      'cert1 { file = x\n }',
    ]) {
      assert.match(remote(line), /not implemented yet/, line);
    }
  });
});

describe('swanctl.conf secrets', () => {
  it('reads shared keys with their owners', () => {
    const { secrets } = load(
      'secrets { ike-1 { id-1 = a.lab\nidb = *@lab\nsecret = 0x616263\n }\nike { secret = x\n } }',
    );
    assert.deepEqual(
      secrets.map(({ id, type, owners }) => [id, type, owners.map(({ text }) => text)]),
      [
        ['ike-1', 'ike', ['a.lab', '*@lab']],
        ['ike', 'ike', []],
      ],
    );
  });

  it('refuses a key that is absent, empty or misspelt, without quoting it', () => {
    const found = faults(
      'secrets { ike-1 { id = a\n }\nike-2 { secret = ""\n }\nike-3 { secret = 0xhidden\n }\nike-4 { secrte = hidden\n } }',
    );
    assert.deepEqual(found, [
      'swanctl.conf:1: secrets.ike-1 has no secret: write secret = "..."',
      'swanctl.conf:3: secrets.ike-2 has no secret: write secret = "..."',
      'swanctl.conf:5: secrets.ike-3.secret = ...: behind 0x stand pairs of hex digits',
      'swanctl.conf:7: secrets.ike-4.secrte: unknown key; did you mean secret?',
      'swanctl.conf:7: secrets.ike-4 has no secret: write secret = "..."',
    ]);
  });

  it('quotes no secret that stands behind an owner on one line', () => {
    assert.deepEqual(faults('secrets { ike { id = a secret = hidden\n } }'), [
      'swanctl.conf:1: secrets.ike has no secret: write secret = "..."',
      'swanctl.conf:1: secrets.ike.id: not an identity: write one value a line, and a distinguished name as asn1dn:#30...',
    ]);
  });

  it('warns of secrets of other kinds', () => {
    const text = `secrets { eap-1 { id = a\nsecret = b\n }\nprivate { file = k\n }\ntoken { pin = 1\n } }
      pools { rw { addrs = 10.3.0.0/24\ndns = 10.2.0.53\n } }\nauthorities { ca { cacert = x\n } }`;
    assert.deepEqual(
      warnings(text).map((warning) => warning.replace(/has no effect.*/, '')),
      ['1: secrets.eap-1 ', '4: secrets.private ', '6: secrets.token ', '11: authorities.ca '],
    );
    assert.match(
      faults('secrets { foo { secret = x\n } }').join(),
      /secrets\.foo: unknown section/,
    );
  });
});

describe('gateway settings', () => {
  it('reads each key', () => {
    const { gateway } =
      load(`gateway { device = vpn0\nmtu = 1400\nmss_clamp = no\noffload = off\nport = 1500
      aead = ipsec-mb
      workers = 3
      resolv_conf = /run/resolv.conf
      port_nat_t = 14500\ncookie_threshold = 10\ncookie_threshold_ip = 2\nhalf_open_timeout = 1m
      retransmit_tries = 3\nretransmit_timeout = 0.5\nretransmit_base = 2\nkeep_alive = 0
      max_half_open = 7\nmax_ike_sas = 9\nmax_ike_sas_per_identity = 2\nmax_children = 3
      fragment_size = 1400\ndelete_rekeyed_delay = 10s\n }`);
    assert.deepEqual(gateway, {
      device: 'vpn0',
      mtu: 1400,
      mssClamp: false,
      offload: 'off',
      aead: 'ipsec-mb',
      workers: 3,
      resolvConf: '/run/resolv.conf',
      portIke: 1500,
      portNatT: 14_500,
      cookieThreshold: 10,
      cookieThresholdPerAddress: 2,
      halfOpenTimeoutSeconds: 60,
      retransmitTries: 3,
      retransmitTimeoutSeconds: 0.5,
      retransmitBase: 2,
      keepAliveSeconds: 0,
      maxHalfOpen: 7,
      maxIkeSas: 9,
      maxIkeSasPerIdentity: 2,
      maxChildren: 3,
      fragmentSize: 1400,
      deleteRekeyedDelaySeconds: 10,
    });
    for (const [key, value] of Object.entries(DEFAULT_GATEWAY_SETTINGS)) {
      assert.notEqual(Object.entries(gateway).find(([name]) => name === key)?.[1], value, key);
    }
    assert.equal(
      load('gateway { max_ike_sas_per_identity = 0\n }').gateway.maxIkeSasPerIdentity,
      0,
    );
    assert.match(faults('gateway { fragment_size = 500\n }').join(), /from 576 to 65535$/);
  });

  it('refuses values out of bounds', () => {
    assert.equal(load('gateway { resolv_conf = no\n }').gateway.resolvConf, '');
    assert.match(faults('gateway { resolv_conf = yes\n }').join(), /write a path .* or no$/);
    assert.match(
      faults('gateway { aead = openssl\n }').join(),
      /gateway\.aead = openssl: write one of auto, evp, ipsec-mb$/,
    );
    assert.equal(load('gateway { workers = auto\n }').gateway.workers, 0);
    assert.match(faults('gateway { workers = 17\n }').join(), /write auto, or 1 to 16 threads$/);
    assert.equal(load('gateway { mtu = 0\n }').gateway.mtu, 0);
    assert.equal(load('gateway { retransmit_tries = 0\n }').gateway.retransmitTries, 0);
    assert.deepEqual(
      faults('gateway {\nmtu = 1000\ndevice = a/b\nport = 4500\nretransmit_base = 0.5\n}'),
      [
        'swanctl.conf:1: gateway.port and gateway.port_nat_t must differ',
        'swanctl.conf:2: gateway.mtu = 1000: write a whole number from 1280 to 65535',
        'swanctl.conf:3: gateway.device = a/b: write a device name of up to 15 letters and digits, such as tsgw0',
        'swanctl.conf:5: gateway.retransmit_base = 0.5: write a number from 1 to 10',
      ],
    );
  });
});
