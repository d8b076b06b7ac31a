import assert from 'node:assert/strict';
import { runCli } from '../../src/cli/cli.ts';
import type { TraceResult } from '../../src/vici/control.ts';
import { NOTHING_TRACED } from '../support/fake-control.ts';
import { ikeSaView, recordedCommand } from '../support/recorded-views.ts';
import { TestTerminal } from '../support/terminal.ts';
import { TestServer } from '../support/vici-server.ts';

describe('tsgw trace', () => {
  let test: TestServer;
  let terminal: TestTerminal;

  beforeEach(async () => {
    test = await TestServer.start();
    terminal = new TestTerminal({ TSGW_URI: test.uri });
  });

  afterEach(() => test.stop());

  function trace(...argv: readonly string[]): Promise<number> {
    return runCli(['trace', ...argv], terminal);
  }

  const PACKET = ['10.1.0.5', '10.2.0.9', 'tcp/443'] as const;

  it('shows each step, and the verdict last', async () => {
    test.control.traced = carried();
    assert.equal(await trace(...PACKET), 0);
    assert.deepEqual(terminal.stdout.split('\n'), [
      '10.1.0.5 -> 10.2.0.9 tcp/443, from port 49152 (assumed), 1430 octets, not to be fragmented',
      '',
      '1. The device (RFC 4301 §5.1 step 1)',
      '   the route to it leads there',
      '   tsgw0 takes up to 1438 octets, and one SPD is for all that comes',
      '',
      '2. The policies, in the order of look-up (step 2)',
      '   POLICY    ACTION   LOCAL        REMOTE               PRIORITY  FITS',
      '   peer/web  protect  10.1.0.0/16  10.2.0.0/24[tcp/80]    371327  no: remote port',
      '   peer/net  protect  10.1.0.0/16  10.2.0.0/16            383616  yes',
      '   and 8 of 10 that are further from it',
      '',
      '3. PROTECT (step 3)',
      '   Child SA net #1 INSTALLED, SPI in c2345678 out c1234567, AES_GCM_16_128, for 90 s, ends in 3 h',
      '   IKE SA peer #4 ESTABLISHED, a.lab === b.lab, SPIs 00112233aabbccdd 8899aabb44556677',
      '   sequence number 18 is next, of 32 bits: less than 0.1 % used',
      '   limits: 17 of 100 packets, 2.0 KiB of 1.0 MiB; its soft limit is reached',
      '        20  outer IP header',
      '         8  UDP header',
      '         8  ESP header: SPI, sequence number',
      '         8  IV',
      '      1430  inner packet',
      '         2  pad length, next header',
      '        16  ICV',
      '      1492  octets outside',
      '   the path carries 1492 octets, learned 40 s ago',
      '   largest inner packet: 1430 octets',
      '   the MSS of a SYN becomes 1390 at most',
      '   beside it peer/net #0 REKEYED: replaced by #1: it only receives',
      '',
      '4. The way out (step 4)',
      '   ESP in UDP from 192.0.2.1[4500] to 192.0.2.2[4501], not to be fragmented',
      '',
      'note: later fragments show no ports and meet no policy',
      'sent by child net, 1492 of 1492 octets',
      'next: nothing to do',
      '',
    ]);
    assert.equal(terminal.stderr, '');
    assert.deepEqual(test.control.calls, ['trace out 443']);
  });

  it('shows which SAs would deliver what comes from the tunnel', async () => {
    const { trace: view, ...sas } = carried();
    const { carrier } = view;
    assert.ok(carrier);
    const [, one] = view.policies;
    assert.ok(one);
    const { priority: _priority, ...pair } = one;
    const sequence = { last: 17, bits: 64, replayWindow: 1024 } as const;
    test.control.traced = {
      ...sas,
      trace: {
        ...view,
        direction: 'in',
        policies: [pair],
        passed: 0,
        all: 1,
        carrier: { ...carrier, sequence },
        notes: [],
        verdict: { outcome: 'accepted', what: 'accepted from child net', next: [] },
      },
    };
    assert.equal(await trace(...PACKET, '--inbound'), 0);
    assert.deepEqual(test.control.calls, ['trace in 443']);
    assert.match(terminal.stdout, /^10\.1\.0\.5 -> 10\.2\.0\.9 .*, from the tunnel\n/);
    assert.match(terminal.stdout, /^1\. How it arrives \(RFC 4301 §5\.2 steps 1 to 3\)$/m);
    assert.match(terminal.stdout, /^ {3}peer\/net {2}c1234567 {2}10\.1\.0\.0\/16 +10\.2.* yes$/m);
    assert.match(terminal.stdout, /number 17 is the newest, of 64 bits; window of 1024$/m);
    assert.doesNotMatch(terminal.stdout, /octets outside|The way out/);
    assert.match(terminal.stdout, /\naccepted from child net\n$/);
  });

  it('says in each case what follows where no SA carries the packet', async () => {
    for (const [action, said] of [
      ['bypass', /3\. BYPASS \(step 3\)\n {3}the packet leaves as it is/],
      ['discard', /3\. DISCARD \(step 3\)\n {3}the packet is dropped/],
      ['trap', /3\. A trap \(step 3\)\n {3}the packet waits while IKE sets its SA up/],
      ['none', /there is no policy\n\n3\. No policy \(step 3\)\n {3}what no policy covers/],
    ] as const) {
      terminal.stdout = '';
      test.control.traced = { trace: { ...NOTHING_TRACED, action } };
      assert.equal(await trace(...PACKET), 0);
      assert.match(terminal.stdout, said);
      assert.doesNotMatch(terminal.stdout, /The way out/);
    }
    assert.match(terminal.stdout, /\ndropped: no-policy; there is no policy at all\n$/);
    test.control.traced = {
      trace: { ...NOTHING_TRACED, device: { ...NOTHING_TRACED.device, route: 'elsewhere' } },
    };
    await trace(...PACKET);
    assert.match(terminal.stdout, /the route to it leads elsewhere: no policy is asked/);
  });

  it('--json has every figure as a number, flags always there', async () => {
    test.control.traced = carried();
    assert.equal(await trace(...PACKET, '--json'), 0);
    const value = JSON.parse(terminal.stdout);
    assert.equal('success' in value, false);
    assert.deepEqual(value.packet, {
      source: '10.1.0.5',
      destination: '10.2.0.9',
      traffic: 'tcp/443',
      'source-port': 49_152,
      'source-port-assumed': true,
      size: 1430,
      'size-assumed': false,
      'dont-fragment': true,
    });
    assert.deepEqual(value.device, { name: 'tsgw0', mtu: 1438, route: 'device' });
    assert.deepEqual(
      value.policies.map((one: { child: string; fits: boolean; misses: string[] }) => [
        one.child,
        one.fits,
        one.misses,
      ]),
      [
        ['web', false, ['remote port']],
        ['net', true, []],
      ],
    );
    assert.equal(value.policies[0].priority, 371_327);
    assert.deepEqual([value.passed, value.all, value.action], [9, 10, 'protect']);
    assert.equal(value['child-sa']['install-time'], 90);
    assert.equal(value['ike-sa'].connection, 'peer');
    assert.deepEqual(value.carrier, {
      encapsulation: {
        protocol: 'udp',
        local: '192.0.2.1',
        'local-port': 4500,
        remote: '192.0.2.2',
        'remote-port': 4501,
        'dont-fragment': true,
      },
      'path-mtu': { octets: 1492, learned: true, seconds: 40 },
      'inner-mtu': 1430,
      budget: {
        'outer-ip': 20,
        udp: 8,
        'esp-header': 8,
        iv: 8,
        inner: 1430,
        'tfc-padding': 0,
        padding: 0,
        trailer: 2,
        icv: 16,
        total: 1492,
      },
      mss: 1390,
      sequence: { last: 17, bits: 32 },
      limits: {
        reached: 'soft',
        packets: 17,
        octets: 2048,
        'soft-packets': 10,
        'hard-packets': 100,
        'soft-octets': 0,
        'hard-octets': 1_048_576,
      },
    });
    assert.equal(value.others[0].uniqueid, 0);
    assert.deepEqual(value.verdict, {
      outcome: 'sent',
      what: 'sent by child net, 1492 of 1492 octets',
      next: ['nothing to do'],
    });
  });

  it('asks the daemon what was said, and nothing where that is wrong', async () => {
    assert.equal(await trace('10.1.0.5', '10.2.0.9', 'tpc/443'), 2);
    assert.match(terminal.stderr, /^tsgw: tpc\/443 is no protocol: .*; did you mean tcp\?\n$/);
    assert.equal(await trace('10.1.0.5', '2001:db8::9', 'tcp/443'), 2);
    assert.match(terminal.stderr, /are of two families/);
    assert.equal(await trace('10.1.0.5', '10.2.0.9'), 2);
    assert.match(terminal.stderr, /trace: PROTO\/PORT is missing\nusage: tsgw trace SRC DST/);
    assert.deepEqual(test.control.calls, []);
    const nobody = `unix://${test.directory}/nobody.vici`;
    assert.equal(await trace(...PACKET, '--uri', nobody), 3);
  });

  it('is refused by the daemon where another client says something wrong', async () => {
    const client = await test.client();
    const answer = await client.request('tsgw-trace');
    assert.equal(answer.get('success')?.kind, 'value');
    assert.deepEqual(test.control.calls, []);
  });
});

/** A packet that child net carries, with something in every field. */
function carried(): TraceResult {
  const [recorded] = recordedCommand('list-sas', 'two children, traffic').events;
  assert.ok(recorded);
  const ikeSa = ikeSaView(recorded.message);
  const [childSa] = ikeSa.children;
  assert.ok(childSa);
  const policy = { ike: 'peer', action: 'protect', local: '10.1.0.0/16', spi: 'c1234567' } as const;
  return {
    childSa: {
      ...childSa,
      name: 'net',
      uniqueId: 1,
      state: 'INSTALLED',
      spiIn: 'c2345678',
      spiOut: 'c1234567',
      installedSeconds: 90,
      lifeSeconds: 10_800,
    },
    ikeSa: {
      ...ikeSa,
      uniqueId: 4,
      localId: 'a.lab',
      remoteId: 'b.lab',
      initiatorSpi: '00112233aabbccdd',
      responderSpi: '8899aabb44556677',
    },
    trace: {
      ...NOTHING_TRACED,
      packet: { ...NOTHING_TRACED.packet, size: 1430, dontFragment: true },
      device: { name: 'tsgw0', mtu: 1438, route: 'device' },
      policies: [
        {
          ...policy,
          child: 'web',
          remote: '10.2.0.0/24[tcp/80]',
          priority: 371_327,
          misses: ['remote port'],
        },
        { ...policy, child: 'net', remote: '10.2.0.0/16', priority: 383_616, misses: [] },
      ],
      passed: 9,
      all: 10,
      action: 'protect',
      carrier: {
        encapsulation: {
          protocol: 'udp',
          local: '192.0.2.1',
          localPort: 4500,
          remote: '192.0.2.2',
          remotePort: 4501,
          dontFragment: true,
        },
        pathMtu: { octets: 1492, learned: true, seconds: 40 },
        innerMtu: 1430,
        budget: {
          outerIp: 20,
          udp: 8,
          espHeader: 8,
          iv: 8,
          inner: 1430,
          tfcPadding: 0,
          padding: 0,
          trailer: 2,
          icv: 16,
          total: 1492,
        },
        mss: 1390,
        sequence: { last: 17, bits: 32 },
        limits: {
          reached: 'soft',
          packets: 17,
          octets: 2048,
          softPackets: 10,
          hardPackets: 100,
          softOctets: 0,
          hardOctets: 1_048_576,
        },
      },
      others: [
        {
          ike: 'peer',
          child: 'net',
          uniqueId: 0,
          state: 'REKEYED',
          why: 'replaced by #1: it only receives',
        },
      ],
      notes: ['later fragments show no ports and meet no policy'],
      verdict: {
        outcome: 'sent',
        what: 'sent by child net, 1492 of 1492 octets',
        next: ['nothing to do'],
      },
    },
  };
}
