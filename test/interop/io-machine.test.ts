/**
 * `io/` against a real kernel: TUN, sockets, netlink and ICMP in a network namespace made for it.
 */
import { Network } from '../../lab/namespaces.ts';

const probes = [
  ['tun-device', 'opens the TUN device exclusively, with its MTU, up, and silent'],
  ['tun-packets', 'reads and writes packets, marks cut ones, passes dropped ones over'],
  ['tun-packets-without-ring', 'does the same where the kernel gives no io_uring'],
  ['rtnetlink', 'lists, adds and removes addresses, routes and rules, and looks up routes'],
  ['routes', 'routes Child SAs with their source, shares prefixes, and leaves nothing behind'],
  ['routes-around', 'takes what a bypass lets pass around the device, where that is safe'],
  ['route-sources', 'follows the addresses that routes name as their source'],
  ['plain-packets', 'sends packets of others as they are, to where they want'],
  ['address-watch', 'hears that outer addresses came or went, once for several'],
  ['own-packets', 'keeps the gateway outside a tunnel that covers its peer'],
  ['leftovers', 'sweeps away what a killed process left'],
  ['protocol-50', 'sends and receives IP protocol 50 with DF and TOS'],
  ['dont-fragment', 'sets DF packet by packet: too big costs that packet, the others fragment'],
  ['silent-neighbours', 'is not held up by neighbours that do not resolve'],
  ['icmp', 'hears ICMP and ICMPv6 "too big" and nothing else'],
  ['ike-socket', 'exchanges IKE datagrams on 500, sends on 4500 behind the marker'],
] as const;

describe('The machine under tsgw', function () {
  this.timeout(20_000);
  let network: Network;

  beforeEach(async () => {
    network = new Network();
    await network.addNode('m', []);
    await network.addNode('p', []);
    await network.link(
      { node: 'm', device: 'wan', addresses: ['192.0.2.1/24', '2001:db8:1::1/64'] },
      { node: 'p', device: 'wan', addresses: ['192.0.2.2/24', '2001:db8:1::2/64'] },
    );
    await network.link(
      { node: 'm', device: 'lan', addresses: ['10.1.0.1/24', '2001:db8:a::1/64'] },
      { node: 'p', device: 'lan', addresses: [] },
    );
    await network.ip('m', ['link set wan mtu 1400']);
  });

  afterEach(() => network.destroy());

  for (const [name, rule] of probes) {
    it(rule, async () => {
      await network.exec('m', [process.execPath, 'build/test/support/io-probes.js', name]);
    });
  }
});
