/**
 * The section `cluster { }`: what it may say, what it means, and what in it does not go together.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type ClusterConfig,
  DEFAULT_CLUSTER_TIMERS,
  leastTakeover,
  longestLease,
} from '../../src/config/cluster-config.ts';
import { formatAddress, formatPrefix } from '../../src/wire/address.ts';
import { faults, load } from './reading.ts';

const KEY = `0x${'5a'.repeat(32)}`;
const NODES = `nodes {
  a { addrs = 10.77.0.1, 10.78.0.1
  }
  b { addrs = 10.77.0.2, 10.78.0.2
  }
}`;

function cluster(lines: string, nodes = NODES): ClusterConfig {
  const { cluster: read } = load(`cluster {\nself = a\nsecret = ${KEY}\n${nodes}\n${lines}\n}`);
  assert.ok(read !== undefined);
  return read;
}

/** The errors of a cluster of two nodes with these lines, from line 4 on. */
function clusterFaults(lines: string, nodes = NODES): readonly string[] {
  return faults(`cluster {\nself = a\nsecret = ${KEY}\n${lines}\n${nodes}\n}`);
}

const SHARED = 'device = eth0\nmac = 00:00:5e:00:01:07';

describe('cluster { } of swanctl.conf', () => {
  it('is absent where it is not written, or switched off', () => {
    assert.equal(load('').cluster, undefined);
    assert.equal(load('cluster {\nenabled = no\n}').cluster, undefined);
  });

  it('needs only its nodes and a secret', () => {
    const read = cluster('');
    assert.equal(read.bus, 'udp');
    assert.equal(read.mode, 'active-passive');
    assert.equal(read.self, 1);
    assert.equal(read.segments, 256);
    assert.deepEqual(read.timers, DEFAULT_CLUSTER_TIMERS);
    assert.deepEqual(read.replay, { takeover: 'bounded', sampling: 0 });
    assert.deepEqual(read.sync, { rekeysPerSecond: 200 });
    assert.deepEqual([read.alone, read.preempt, read.defer], ['take', true, false]);
    assert.equal(read.fifo, undefined);
    assert.deepEqual(
      read.nodes.map(({ name, id, weight, addresses }) => [
        name,
        id,
        weight,
        addresses.map(formatAddress),
      ]),
      [
        ['a', 1, 100, ['10.77.0.1', '10.78.0.1']],
        ['b', 2, 100, ['10.77.0.2', '10.78.0.2']],
      ],
    );
  });

  it('is taken without a word', () => {
    const { warnings } = load(`cluster {\nself = a\nsecret = ${KEY}\n${NODES}\n}`);
    assert.deepEqual(
      warnings.map(({ what }) => what),
      [],
    );
  });

  it('reads each key', () => {
    const read = cluster(
      `name = berlin
      bus = nats
      mode = active-active
      second_secret = 0x${'a5'.repeat(32)}
      port = 5000
      segments = 1024
      segment_seed = 0x5eed
      preempt = no
      advbase = 3
      defer = yes
      keep_addresses = yes
      fifo = /run/tsgw.ha
      addresses {
        wan { addrs = 192.0.2.100, 2001:db8::100
          device = eth0
          mac = 01:00:5E:00:00:20
          prefer = c
        }
        lan { addrs = 10.2.0.254
          device = eth1
          side = lan
        }
      }
      timers { heartbeat = 50ms
        lease = 0.12s
        takeover = 150
        digest = 20
        write_ahead = 0
      }
      replay { takeover = strict
        sampling = 16
      }
      sync { halfopen = no
        rekey_rate = 50
      }
      nats { servers = tls://10.77.0.1:4222, tls://10.77.0.2:4222
        bucket = vpn
        replicas = 5
        user = node
        password = quiet
        ca = /etc/tsgw/ca.pem
      }`,
      `nodes {
        a { addrs = 10.77.0.1
          id = 7
        }
        b { addrs = 10.77.0.2
          id = 64
          weight = 50
          advskew = 100
        }
        c { addrs = 10.77.0.3
          witness = yes
        }
      }`,
    );
    assert.deepEqual(
      read.nodes.map(({ id, weight, advskew }) => [id, weight, advskew]),
      [
        [7, 100, 0],
        [64, 50, 100],
        [3, 0, 0],
      ],
    );
    assert.equal(read.self, 7);
    assert.equal(read.secrets.length, 2);
    const timers = { heartbeat: 50, lease: 120, takeover: 150, digest: 20, writeAhead: 0 };
    assert.deepEqual(read.timers, timers);
    assert.deepEqual(read.replay, { takeover: 'strict', sampling: 16 });
    assert.deepEqual(read.sync, { rekeysPerSecond: 50 });
    assert.deepEqual(
      read.addresses.map(({ addresses, ...rest }) => [addresses.map(formatAddress), rest]),
      [
        [
          ['192.0.2.100', '2001:db8::100'],
          { name: 'wan', device: 'eth0', side: 'wan', mac: '01:00:5e:00:00:20', preferred: 3 },
        ],
        [['10.2.0.254'], { name: 'lan', device: 'eth1', side: 'lan' }],
      ],
    );
    const { password, ...nats } = read.nats ?? assert.fail();
    assert.equal(password?.length, 5);
    assert.deepEqual(nats, {
      servers: ['tls://10.77.0.1:4222', 'tls://10.77.0.2:4222'],
      ...{ bucket: 'vpn', replicas: 5, user: 'node', ca: '/etc/tsgw/ca.pem' },
    });
    const { name, bus, mode, port, segments, segmentSeed, preempt, advbase, defer, fifo } = read;
    assert.deepEqual(
      [name, bus, mode, port, segments, segmentSeed, preempt, advbase, defer, fifo],
      [...['berlin', 'nats', 'active-active', 5000, 1024, 0x5eed, false, 3, true], '/run/tsgw.ha'],
    );
  });

  it('is frozen, and prints no secret', () => {
    const read = cluster('');
    assert.ok(Object.isFrozen(read) && Object.isFrozen(read.nodes[0]));
    assert.ok(Object.isFrozen(read.timers));
    assert.match(JSON.stringify(read), /<secret, 32 octets>/);
    assert.doesNotMatch(JSON.stringify(read), /5a5a/);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['a misspelt key', 'segmnts = 4', /:4: cluster\.segmnts: unknown key; did you mean segments\?/],
    ['a misspelt section', 'timer { }', /:4: cluster\.timer: .*did you mean timers\?/],
    ['another bus', 'bus = etcd', /cluster\.bus = etcd: write one of udp, nats, charon-ha/],
    ['another mode', 'mode = active', /cluster\.mode = active: write one of active-active/],
    ['segments that are no power of two', 'segments = 100', /write a power of two, such as 128/],
    ['a short key', 'second_secret = abc', /second_secret: 3 octets, not 32: write 0x and 64 hex/],
    ['a key that is none', 'second_secret = 0xzz', /second_secret = \.\.\.: behind 0x stand pairs/],
    ['a name with a blank', 'name = "a b"', /cluster\.name = a b: write up to 63 letters/],
    ['NATS without servers', 'bus = nats', /cluster\.bus = nats without servers: write nats/],
    [
      'a password in the address of a server',
      'bus = nats\nnats { servers = tls://me:secret@host:1\n}',
      /names and passwords have keys of their own/,
    ],
    [
      'a lease that outlives the take-over',
      'timers { lease = 290\n}',
      /takeover = 300ms is too soon: a lease of 290ms may last 354ms on a slow clock/,
    ],
    [
      'heartbeats too rare for the lease',
      'timers { heartbeat = 200\n}',
      /heartbeat = 200ms: two heartbeats must fit into a lease of 245ms/,
    ],
    ['a time that is none', 'timers { digest = soon\n}', /write 10 to 10000 milliseconds, such as/],
    ['a FIFO without a path', 'fifo = yes', /cluster\.fifo = yes: write a path/],
    ['an address without a device', 'addresses { w { addrs = 192.0.2.9\n} }', /w\.device is unset/],
    ['an address that is none', 'addresses { w { device = e\naddrs = 0.0.0.0\n} }', /w\.addrs = 0/],
    ['a MAC that is none', 'addresses { w { mac = 1:2\n} }', /w\.mac = 1:2: write auto or six/],
    [
      'a MAC of a single station that all nodes are to hear',
      'mode = active-active\naddresses { w { mac = 00:00:5e:00:01:07\n} }',
      /w\.mac = 00:00:5e:00:01:07: all nodes hear it: write a multicast one/,
    ],
    [
      'a MAC of everybody',
      'mode = active-active\naddresses { w { mac = ff:ff:ff:ff:ff:ff\n} }',
      /w\.mac = ff:.*write a multicast one/,
    ],
    [
      'a MAC of a group that one node has',
      'addresses { w { mac = 01:00:5e:00:00:20\n} }',
      /w\.mac = 01:00:5e:00:00:20: one node has it: write one of a single station/,
    ],
    [
      'a MAC that two masters may have on one device',
      `addresses { v { ${SHARED}\n addrs = 192.0.2.8\n}\n w { ${SHARED}\n addrs = 192.0.2.9\n} }`,
      /addresses\.w: v has mac = 00:00:5e:00:01:07 on eth0, too; write another or auto/,
    ],
    [
      'an address that is shared twice',
      'addresses { v { device = e\naddrs = 192.0.2.9\n}\n w { device = f\naddrs = 192.0.2.9\n} }',
      /addresses\.w: v has 192\.0\.2\.9, too/,
    ],
    [
      'a device that cannot be one',
      'addresses { w { device = "a b"\n} }',
      /w\.device = a b: write the name of an interface/,
    ],
    [
      'a node nobody knows',
      'addresses { w { prefer = bb\n} }',
      /prefer = bb: no such node in cluster\.nodes/,
    ],
    ['charon without ha { }', 'bus = charon-ha', /charon-ha: write ha \{ \} with local and remote/],
  ];
  for (const [what, lines, expected] of wrong) {
    it(`refuses ${what}`, () => {
      const found = clusterFaults(lines);
      assert.ok(
        found.some((message) => expected.test(message)),
        found.join('\n'),
      );
      assert.ok(found.every((message) => /^swanctl\.conf:\d+: /.test(message)));
    });
  }

  const wrongNodes: readonly (readonly [string, string, RegExp])[] = [
    ['no nodes', '', /0 nodes: a cluster over udp has 2 to 8/],
    ['one node', 'nodes { a { addrs = 10.0.0.1\n} }', /1 nodes: a cluster over udp has 2 to 8/],
    [
      'a node twice',
      'nodes { a { addrs = 10.0.0.1\nid = 2\n}\nb { addrs = 10.0.0.2\n} }',
      /cluster\.nodes\.b: a has id 2, too; write an id of its own/,
    ],
    [
      'an address twice',
      'nodes { a { addrs = 10.0.0.1\n}\nb { addrs = 10.0.0.1\n} }',
      /cluster\.nodes\.b: a has 10\.0\.0\.1, too/,
    ],
    [
      'other numbers of paths',
      'nodes { a { addrs = 10.0.0.1, 10.1.0.1\n}\nb { addrs = 10.0.0.2\n} }',
      /cluster\.nodes\.b\.addrs: 1 paths, a has 2/,
    ],
    [
      'no address',
      'nodes { a { }\nb { addrs = 10.0.0.2\n} }',
      /nodes\.a\.addrs: 0 addresses: write one/,
    ],
    [
      'witnesses only',
      'nodes { a { addrs = 10.0.0.1\nwitness = yes\n}\nb { addrs = 10.0.0.2\nwitness = yes\n} }',
      /only witnesses, and nobody who serves/,
    ],
    [
      'an id out of bounds',
      'nodes { a { id = 65\n} }',
      /id = 65: write a whole number from 1 to 64/,
    ],
    [
      'this node under another name',
      'nodes { aa { addrs = 10.0.0.1\n} }',
      /self = a: no such node/,
    ],
  ];
  for (const [what, nodes, expected] of wrongNodes) {
    it(`refuses ${what}`, () => {
      const found = clusterFaults('', nodes);
      assert.ok(
        found.some((message) => expected.test(message)),
        found.join('\n'),
      );
    });
  }

  it('names the node that is nearest to a misspelt one', () => {
    const nodes = 'nodes { berlin { addrs = 10.0.0.1\n}\nbonn { addrs = 10.0.0.2\n} }';
    const found = faults(`cluster {\nself = berln\nsecret = ${KEY}\n${nodes}\n}`);
    assert.deepEqual(found, [
      'swanctl.conf:2: cluster.self = berln: no such node in cluster.nodes; did you mean berlin?',
    ]);
  });

  it('wants to know who this node is, and the key', () => {
    const found = faults(`cluster {\n${NODES}\n}`);
    assert.ok(found.some((message) => /cluster\.self is unset/.test(message)));
    assert.ok(found.some((message) => /cluster\.secret is unset: .*openssl rand/.test(message)));
  });

  it('warns of what has no effect', () => {
    const three = `nodes { a { addrs = 10.0.0.1\n}\nb { addrs = 10.0.0.2\n}
      c { addrs = 10.0.0.3\nwitness = yes\nweight = 5\n} }`;
    const text = `cluster {\nself = a\nsecret = ${KEY}\nalone = hold\n${three}\nnats { }\n}`;
    const warnings = load(text).warnings.map(({ what }) => what);
    assert.ok(warnings.some((what) => /alone = hold has no effect: the majority of 3/.test(what)));
    assert.ok(
      warnings.some((what) => /c\.weight has no effect: a witness serves nobody/.test(what)),
    );
    assert.ok(
      warnings.some((what) => /cluster\.nats has no effect: cluster\.bus = udp/.test(what)),
    );
  });

  it('keeps a lease shorter than any take-over allows', () => {
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 60_000 }), (takeover) => {
        const lease = longestLease(takeover);
        assert.ok(lease * 1.1 < takeover * 0.9, `${lease} of ${takeover}`);
        assert.ok(leastTakeover(lease) <= takeover);
        assert.ok(leastTakeover(lease + 1) > takeover);
      }),
    );
    assert.equal(cluster('timers { takeover = 200\nheartbeat = 50\n}').timers.lease, 163);
  });
});

describe('cluster { ha { } }, the options of charon', () => {
  const HA = 'ha {\nlocal = 10.77.0.1\nremote = 10.77.0.2\n';

  it('makes a cluster of tsgw and a charon, with charon’s defaults', () => {
    const { cluster: read } = load(`cluster {\n${HA}}\n}`);
    assert.equal(read?.bus, 'charon-ha');
    assert.equal(read.fifo, '/var/run/charon.ha');
    const { local, remote, ...ha } = read.ha ?? assert.fail();
    assert.deepEqual(
      [local, remote].map(({ address, port }) => `${formatAddress(address)} ${port}`),
      ['10.77.0.1 4510', '10.77.0.2 4510'],
    );
    assert.deepEqual(ha, {
      ...{ version: 3, segmentCount: 1, heartbeatDelay: 1000, heartbeatTimeout: 2100 },
      ...{ autobalance: 0, fifoInterface: true, monitor: true, resync: true, pools: [] },
    });
  });

  it('reads each option', () => {
    const { cluster: read, warnings } = load(`cluster {\n${HA}version = 5
      segment_count = 16
      heartbeat_delay = 200
      heartbeat_timeout = 500
      autobalance = 10
      buflen = 4096
      fifo_interface = no
      monitor = no
      resync = no
      pools { rw = 10.3.0.0/24
        rw6 = 2001:db8:3::/112
      }
      }\n}`);
    const { local: _, remote: __, pools, ...ha } = read?.ha ?? assert.fail();
    assert.deepEqual(ha, {
      ...{ version: 5, segmentCount: 16, heartbeatDelay: 200, heartbeatTimeout: 500 },
      ...{ autobalance: 10, fifoInterface: false, monitor: false, resync: false },
    });
    assert.deepEqual(
      pools.map(({ name, prefix }) => [name, formatPrefix(prefix)]),
      [
        ['rw', '10.3.0.0/24'],
        ['rw6', '2001:db8:3::/112'],
      ],
    );
    assert.equal(read?.fifo, undefined);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]?.what ?? '', /ha\.buflen = 4096 has no effect/);
  });

  it('says what of our own protocol has no effect beside a charon', () => {
    const { warnings } = load(`cluster {\n${HA}}\n defer = yes\n segments = 16\n port = 4600\n}`);
    assert.deepEqual(
      warnings.map(({ what }) => what),
      [
        'cluster.defer = yes has no effect: cluster.bus = charon-ha',
        'cluster.segments = 16 has no effect: cluster.bus = charon-ha',
      ],
    );
  });

  it('has pools that connections name', () => {
    const text = `cluster {\n${HA}pools { rw = 10.3.0.0/24\n} }\n}
    connections { c { pools = rw, other\n local { auth = psk }\n remote { auth = psk } } }`;
    assert.deepEqual(
      load(text).warnings.map(({ what }) => what),
      ['connections.c.pools = other: there is no such pool'],
    );
  });

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['segment_count = 17', /segment_count = 17: write a whole number from 1 to 16/],
    [
      'version = 2',
      /version = 2: write 3 \(strongSwan up to 6\.0\.0\), 4 .*, or 5|version = 2: write 3/,
    ],
    ['heartbeat_timeout = 900', /heartbeat_timeout = 900 with heartbeat_delay = 1000: nobody/],
    ['secret = abc', /cluster\.ha\.secret: not implemented yet: protect the link/],
    ['heartbeat_dealy = 5', /unknown key; did you mean heartbeat_delay\?/],
    ['pools { rw = 10.3.0.0/30\n}', /rw = 10\.3\.0\.0\/30: a pool of charon has 8 to 16777216/],
    ['pools { rw = 10.3.0.1\n}', /rw = 10\.3\.0\.1: write a subnet/],
  ];
  for (const [line, expected] of wrong) {
    it(`refuses ${line.split('\n')[0]}`, () => {
      const found = faults(`cluster {\n${HA}${line}\n}\n}`);
      assert.ok(
        found.some((message) => expected.test(message)),
        found.join('\n'),
      );
      assert.ok(found.every((message) => !message.includes('abc')));
    });
  }

  it('needs both ends, and they differ', () => {
    const none = faults('cluster {\nha { }\n}');
    assert.ok(
      none.some((message) => /ha\.local is unset: write the address of this node/.test(message)),
    );
    assert.ok(none.some((message) => /ha\.remote is unset/.test(message)));
    const same = faults('cluster {\nha {\nlocal = 10.0.0.1\nremote = 10.0.0.1\n}\n}');
    assert.ok(same.some((message) => /local and remote are both 10\.0\.0\.1/.test(message)));
  });

  it('says who the nodes are to another bus, and how often they are heard', () => {
    const text = (own: string, other: string) =>
      `cluster {\nbus = udp\nsecret = ${KEY}\nha {\nlocal = ${own}\nremote = ${other}\n}\n}`;
    const one = load(text('10.77.0.1', '10.77.0.2')).cluster;
    const two = load(text('10.77.0.2', '10.77.0.1')).cluster;
    assert.deepEqual([one?.self, two?.self], [1, 2]);
    const named = (read: ClusterConfig | undefined) =>
      [...(read?.nodes ?? [])].sort((a, b) => a.id - b.id).map(({ name, id }) => [name, id]);
    assert.deepEqual(named(one), [
      ['10.77.0.1', 1],
      ['10.77.0.2', 2],
    ]);
    assert.deepEqual(named(two), named(one));
    assert.equal(one?.ha, undefined);
    assert.deepEqual(one?.timers, {
      ...{ heartbeat: 859, lease: 1718, takeover: 2100, digest: 100, writeAhead: 5 },
    });
  });
});
