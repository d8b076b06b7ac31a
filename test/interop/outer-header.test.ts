/**
 * What the outer header has of the inner one, and the other way round (RFC 4301 §5.1.2, §8.1; RFC
 * 6040): `copy_df`, `copy_dscp`, `copy_ecn`, as tshark sees them on the wire and the host behind it.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { nft, setOffloads } from '../../lab/topology.ts';
import { onlyTsgw, useLab } from '../support/lab.ts';
import { dropped } from '../support/tunnel-life.ts';

/** Expedited forwarding (RFC 3246), and that the packet may be marked (RFC 3168). */
const EF_ECT0 = 0xba;
const COUNT = 3;

describe('The outer header and the inner one (RFC 4301 §5.1.2)', () => {
  onlyTsgw();
  const lab = useLab();
  // A super-packet would be one in the capture.
  before(() => setOffloads(lab.topology, 'off'));
  afterEach(() => lab.clear());

  async function echo(trafficClass: number, how: 'do' | 'dont'): Promise<void> {
    await lab.topology.network.exec(
      'h1',
      [
        ...['ping', '-n', '-c', `${COUNT}`, '-i', '0.02', '-W', '1', '-q'],
        ...['-Q', `${trafficClass}`, '-M', how, '10.2.0.10'],
      ],
      { mayFail: true },
    );
  }

  /** Class and DF of the packets outside, of echo requests that may not and may be fragmented. */
  async function outside(child: Readonly<Record<string, string>>) {
    await lab.up('initiator', { g1: { child } });
    const capture = await Capture.start(lab.topology.network, 'g1');
    await echo(EF_ECT0, 'do');
    await echo(EF_ECT0, 'dont');
    const file = await capture.stop();
    const packets = await dissect(file, {
      fields: ['ip.dsfield', 'ip.flags.df'],
      filter: 'esp && ip.src == 192.0.2.1',
    });
    assert.equal(packets.length, 2 * COUNT);
    const shown = packets.map((one) => {
      const [dscp, df] = [one.get('ip.dsfield')?.[0], one.get('ip.flags.df')?.[0]];
      return `${dscp} ${df === '1' || df === 'True' ? 'DF' : '-'}`;
    });
    assert.equal(new Set(shown.slice(0, COUNT)).size, 1);
    assert.equal(new Set(shown.slice(COUNT)).size, 1);
    return [shown[0], shown[COUNT]];
  }

  it('has DSCP, ECN and DF of the packet inside, unless told otherwise', async () => {
    assert.deepEqual(await outside({}), ['0xba DF', '0xba -']);
  });

  for (const [option, expected] of [
    ['copy_df = no', ['0xba -', '0xba -']],
    ['copy_dscp = no', ['0x02 DF', '0x02 -']],
    ['copy_dscp = in', ['0x02 DF', '0x02 -']],
    ['copy_ecn = no', ['0xb8 DF', '0xb8 -']],
  ] as const) {
    it(`has them not with ${option}`, async () => {
      const [key = '', value = ''] = option.split(' = ');
      assert.deepEqual(await outside({ [key]: value }), expected);
    });
  }

  /** The answers, marked outside on their last link: how many reach the host, and with what. */
  async function inside(child: Readonly<Record<string, string>>, trafficClass: number) {
    await lab.up('initiator', { g1: { child } });
    await counting(true);
    await echo(trafficClass, 'dont');
    const { stdout } = await lab.topology.network.exec('h1', [
      'nft',
      'list',
      'table',
      'ip',
      'seen',
    ]);
    await counting(false);
    const count = (name: string): number =>
      Number(new RegExp(`counter ${name} \\{\\s+packets (\\d+)`).exec(stdout)?.[1]);
    return { all: count('seen_any'), af41: count('seen_af41'), ce: count('seen_ce') };
  }

  async function counting(on: boolean): Promise<void> {
    const { network } = lab.topology;
    const marking = [
      'table ip marking { chain arriving {',
      'type filter hook prerouting priority raw;',
      'iifname "wan" udp sport 4500 @th,64,32 != 0 ip dscp set af41 ip ecn set ce;',
      '}',
      '}',
    ];
    const seen = [
      'table ip seen {',
      ...['seen_any', 'seen_af41', 'seen_ce'].map((name) => `counter ${name} { }`),
      'chain arriving {',
      'type filter hook input priority 0;',
      'ip protocol icmp counter name seen_any;',
      'ip protocol icmp ip dscp af41 counter name seen_af41;',
      'ip protocol icmp ip ecn ce counter name seen_ce;',
      '}',
      '}',
    ];
    const gone = (name: string) => [`table ip ${name}`, `delete table ip ${name}`];
    await nft(network, 'g1', [...gone('marking'), ...(on ? marking : [])]);
    await nft(network, 'h1', [...gone('seen'), ...(on ? seen : [])]);
  }

  it('gives the packet inside its mark, where that may be marked (RFC 6040 §4.2)', async () => {
    const found = await inside({}, EF_ECT0);
    assert.deepEqual(found, { all: COUNT, af41: 0, ce: COUNT });
  });

  it('loses a marked packet that may not be marked inside, and counts it', async () => {
    const before = await dropped(lab, 'ecn-inner-not-ect');
    assert.equal((await inside({}, 0xb8)).all, 0);
    assert.equal((await dropped(lab, 'ecn-inner-not-ect')) - before, COUNT);
  });

  it('does not look at the mark with copy_ecn = no', async () => {
    const found = await inside({ copy_ecn: 'no' }, 0xb8);
    assert.deepEqual(found, { all: COUNT, af41: 0, ce: 0 });
  });

  for (const value of ['in', 'yes']) {
    it(`gives its DSCP with copy_dscp = ${value}`, async () => {
      const found = await inside({ copy_dscp: value }, EF_ECT0);
      assert.deepEqual(found, { all: COUNT, af41: COUNT, ce: COUNT });
    });
  }
});
