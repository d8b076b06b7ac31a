import assert from 'node:assert/strict';
import type { Family } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { useLab } from '../support/lab.ts';

/** Octets of IP and ICMP header before the data of an echo request. */
const headers: Readonly<Record<Family, number>> = { ipv4: 28, ipv6: 48 };

describe('An inner packet too big for the tunnel (RFC 4301 §8)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const family of ['ipv4', 'ipv6'] as const) {
    it(`is answered with the exact MTU, ${family}`, async () => {
      await lab.up('initiator', { inner: family });
      const { network } = lab.topology;
      const to = family === 'ipv4' ? '10.2.0.10' : '2001:db8:2::10';
      const size = 1500 - headers[family];
      const { stdout, stderr } = await network.exec(
        'h1',
        ['ping', '-n', '-c', '2', '-i', '0.1', '-W', '1', '-M', 'do', '-s', String(size), to],
        { mayFail: true },
      );
      const mtu = Number(/mtu ?= ?(\d+)/.exec(`${stdout}${stderr}`)?.[1]);
      assert.ok(mtu >= 1280 && mtu < 1500, `${stdout}${stderr}`);
      // The peer's own device may be narrower: its side learns that from the first answer.
      await ping(lab.topology, { family, size: mtu - headers[family], count: 1 });
      const fitting = await ping(lab.topology, {
        family,
        size: mtu - headers[family],
        dontFragment: true,
      });
      assert.equal(fitting.lossPercent, 0, `packets of ${mtu} octets pass`);
      // One octet more must not leave the gateway: the MTU told is the MTU that is.
      await network.exec('h1', ['ip', 'route', 'flush', 'cache']);
      await network.exec('h1', ['ip', '-6', 'route', 'flush', 'cache']);
      const before = (await lab.tunnel()).subjectChild.packetsOut;
      await ping(lab.topology, {
        family,
        size: mtu - headers[family] + 1,
        count: 1,
        dontFragment: true,
      });
      assert.equal((await lab.tunnel()).subjectChild.packetsOut, before);
    });
  }

  it('does not happen to TCP: its MSS is lowered to what fits', async () => {
    await lab.up('initiator');
    const { octets } = await lab.transfer({ octets: 20_000_000 });
    assert.ok(octets > 10_000_000, `${octets} octets arrived`);
  });
});
