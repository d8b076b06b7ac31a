/**
 * What `io/` does for shared addresses against a real kernel, in a network namespace made for it.
 */
import { Network } from '../../lab/namespaces.ts';

const probes = [
  ['packet-sockets', 'sends and receives whole frames in batches, each with its own fate'],
  ['memberships', 'takes frames to other hardware addresses, until the socket goes'],
  [
    'link-socket',
    'hears of a link what shared addresses are about, and leaves the rest in the kernel',
  ],
  ['local-addresses', 'has shared addresses on lo, and sweeps away what a killed process left'],
  ['settings', 'names, sets and puts back what the kernel must be told'],
  ['nft', 'has nft apply rulesets in order, whole or not at all, and says what it refuses'],
  ['nft-sets', 'replaces what is in sets, all of them or none, as nft itself lists them'],
] as const;

describe('The machine under shared addresses', function () {
  this.timeout(20_000);
  let network: Network;

  beforeEach(async () => {
    network = new Network();
    await network.addNode('m', ['net.ipv6.conf.default.disable_ipv6=0']);
    await network.ip('m', [
      'link add x type veth peer name y',
      'link set x addrgenmode none',
      'link set y addrgenmode none',
      'link set x up',
      'link set y up',
      'tuntap add dev tun0 mode tun',
    ]);
  });

  afterEach(() => network.destroy());

  for (const [name, rule] of probes) {
    it(rule, async () => {
      await network.exec('m', [process.execPath, 'build/test/support/link-probes.js', name]);
    });
  }
});
