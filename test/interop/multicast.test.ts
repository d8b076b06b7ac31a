/**
 * Selectors that are multicast groups (RFC 4301 §4.4.1.1: a range of addresses like any other): what is
 * sent to a group leaves by the device, and what the tunnel brings is heard by who joined there.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { end, launch, until } from '../../lab/command.ts';
import { type Gateway, readLog } from '../../lab/gateway.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import type { Family } from '../../lab/topology.ts';
import { type Lab, onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

const GROUP: Readonly<Record<Family, string>> = { ipv4: '239.1.1.1', ipv6: 'ff18::7:1' };
const GROUPS: Readonly<Record<Family, string>> = { ipv4: '239.1.0.0/16', ipv6: 'ff18::/16' };
const DEVICE = { tsgw: 'tsgw0', strongswan: 'ipsec0' } as const;

/** Prints what arrives for the group at a device; argv: group, device. */
const LISTEN = `
import socket, struct, sys
six = ':' in sys.argv[1]
index = socket.if_nametoindex(sys.argv[2])
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
group = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, sys.argv[1])
if six: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack('@I', index))
else: s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + struct.pack('=4si', bytes(4), index))
print('joined', flush=True)
while True:
    data, who = s.recvfrom(2000)
    print('heard', data.decode(), 'from', who[0], flush=True)
`;

/**
 * Sends one packet to the group; argv: group, text, and for IPv6 device and source: there the kernel
 * chooses neither by the route (RFC 6724 §4).
 */
const SEND = `
import socket, sys
six = ':' in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
if six:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(sys.argv[3]))
    s.bind((sys.argv[4], 0))
else: s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
s.sendto(sys.argv[2].encode(), (sys.argv[1], 7000))
`;

/** Forwards the group from one device to another, as smcroute would; argv: group, source, devices. */
const FORWARD = `
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.IPPROTO_IP, 200, struct.pack('@i', 1))
for vif, device in enumerate(sys.argv[3:5]):
    s.setsockopt(socket.IPPROTO_IP, 202, struct.pack('@HBBIi4s', vif, 8, 1, 0, socket.if_nametoindex(device), bytes(4)))
group, source = (socket.inet_aton(one) for one in sys.argv[1:3])
s.setsockopt(socket.IPPROTO_IP, 204, struct.pack('@4s4sH32sIIIi', source, group, 0, bytes([0, 1]) + bytes(30), 0, 0, 0, 0))
print('forwards', flush=True)
time.sleep(60)
`;

/** A python program that stays at a node until it is ended. */
class Program {
  readonly #log: string;
  readonly #process: ChildProcess;

  private constructor(log: string, process: ChildProcess) {
    this.#log = log;
    this.#process = process;
  }

  static async start(lab: Lab, node: string, script: string, argv: readonly string[]) {
    const { network } = lab.topology;
    const log = join(network.directory, `${node}-${argv.join('-')}-${performance.now()}.log`);
    const process = launch([...network.at(node), 'python3', '-c', script, ...argv], {
      logFile: log,
    });
    const program = new Program(log, process);
    await until(`${argv} at ${node}`, () => /joined|forwards/.test(readLog(log)) || undefined);
    return program;
  }

  says(what: string): Promise<unknown> {
    return until(what, () => readLog(this.#log).includes(what) || undefined, 10_000).catch(() =>
      assert.fail(`${what}: ${readLog(this.#log)}`),
    );
  }

  stop(): Promise<void> {
    return end(this.#process, 'SIGKILL');
  }
}

/** The group lies behind one gateway, where it is heard. */
function pairOf(inner: Family, at: 'g1' | 'g2'): PairSettings {
  const [one, two] =
    inner === 'ipv4' ? ['10.1.0.0/16', '10.2.0.0/16'] : ['2001:db8:1::/64', '2001:db8:2::/64'];
  const [g1Net, g2Net] =
    at === 'g1' ? [`${one},${GROUPS[inner]}`, two] : [one, `${two},${GROUPS[inner]}`];
  return {
    inner,
    g1: { localTs: g1Net, remoteTs: g2Net },
    g2: { localTs: g2Net, remoteTs: g1Net },
  };
}

async function heardAt(lab: Lab, listener: Gateway, family: Family): Promise<void> {
  const sender = listener === lab.subject ? lab.peer : lab.subject;
  const program = await Program.start(lab, listener.node, LISTEN, [
    GROUP[family],
    DEVICE[listener.kind],
  ]);
  try {
    const net = sender.node === 'g1' ? 1 : 2;
    const from = family === 'ipv4' ? `10.${net}.0.1` : `2001:db8:${net}::1`;
    const argv = [GROUP[family], 'hello', DEVICE[sender.kind], from];
    await lab.topology.network.exec(sender.node, ['python3', '-c', SEND, ...argv]);
    await program.says(`heard hello from ${from}`);
  } finally {
    await program.stop();
  }
}

describe('Multicast groups as selectors', () => {
  onlyTsgw();

  describe('with strongSwan', () => {
    const lab = useLab();
    afterEach(() => lab.clear());

    it('go out to the peer', async () => {
      await lab.up('initiator', pairOf('ipv4', 'g2'));
      await heardAt(lab, lab.peer, 'ipv4');
    });

    it('come in from the peer', async () => {
      await lab.up('initiator', pairOf('ipv4', 'g1'));
      await heardAt(lab, lab.subject, 'ipv4');
    });

    it('take what a multicast router brings from behind us', async () => {
      await lab.up('initiator', pairOf('ipv4', 'g2'));
      const routes = [GROUP.ipv4, '10.1.0.10', 'lan', DEVICE.tsgw];
      const router = await Program.start(lab, lab.subject.node, FORWARD, routes);
      const program = await Program.start(lab, lab.peer.node, LISTEN, [GROUP.ipv4, 'ipsec0']);
      try {
        const argv = [GROUP.ipv4, 'from-behind'];
        await lab.topology.network.exec('h1', ['python3', '-c', SEND, ...argv]);
        await program.says('heard from-behind from 10.1.0.10');
      } finally {
        await Promise.all([router.stop(), program.stop()]);
      }
    });
  });

  describe('between two tsgw', () => {
    const lab = useLab({ peer: subjectKind });
    afterEach(() => lab.clear());

    it('are those of IPv6, too', async () => {
      await lab.up('initiator', pairOf('ipv6', 'g2'));
      await heardAt(lab, lab.peer, 'ipv6');
    });
  });
});
