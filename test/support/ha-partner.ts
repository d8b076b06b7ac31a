/** tsgw's half of a strongSwan HA cluster on a real clock, its sockets in the namespace of a node. */
import { type HaNode, haAddresses, nodeConf } from '../../lab/charon-ha.ts';
import type { Network } from '../../lab/namespaces.ts';
import { HA_PORT } from '../../src/cluster/charon-ha/message.ts';
import {
  CharonHaNode,
  type HaAction,
  type HaInput,
  type HaNodeSettings,
} from '../../src/cluster/charon-ha/node.ts';
import { loadConfig } from '../../src/config/config.ts';
import { CharonHaFollowing } from '../../src/gateway/charon-ha/following.ts';
import { haKeySchedule } from '../../src/gateway/charon-ha/keys.ts';
import { CharonHaTelling } from '../../src/gateway/charon-ha/telling.ts';
import type { Input } from '../../src/ike/action.ts';
import { formatAddress, parseAddress } from '../../src/wire/address.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { haSettings } from './ha-nodes.ts';
import { Side } from './pair.ts';
import { UdpRelay } from './udp-relay.ts';

const NAT_T_PORT = 4500;
const NON_ESP_MARKER = new Uint8Array(4);

export class HaPartner {
  readonly node: CharonHaNode;
  /** Our IKE engine, which follows what charon tells. */
  readonly side: Side;
  /** What the node was told to do, sending apart. */
  readonly done: HaAction[] = [];
  readonly #network: Network;
  readonly #at: HaNode;
  readonly #following: CharonHaFollowing;
  readonly #telling = new CharonHaTelling();
  #sync: UdpRelay | undefined;
  #ike: UdpRelay | undefined;
  #timers: NodeJS.Timeout[] = [];

  private constructor(network: Network, at: HaNode, settings: Partial<HaNodeSettings>) {
    const [local, remote] = [haAddresses.sync[at], haAddresses.sync[at === 'a' ? 'b' : 'a']];
    this.#network = network;
    this.#at = at;
    this.side = new Side(at, 1, {}, { sid: 0x8001, skewMs: 0, keyingWatch: this.#telling });
    const { connections, secrets } = loadConfig(nodeConf(), 'swanctl.conf', () => []);
    for (const connection of connections) this.side.pad.load(connection);
    for (const secret of secrets) this.side.pad.loadShared(secret);
    const { pad } = this.side;
    this.#following = new CharonHaFollowing(
      (name) => pad.connection(name),
      (spi) => {
        const sa = this.side.engine.ikeSas().find(({ ownSpi }) => ownSpi === spi);
        return sa?.childrenUp.map(({ childSa }) => childSa.id) ?? [];
      },
    );
    this.node = new CharonHaNode(
      { ...haSettings, ...settings, local, remote },
      {
        keys: haKeySchedule,
        limits: { ikeSas: 1000, children: 100 },
        knows: (name, child) => {
          const children = pad.connection(name)?.children;
          return children?.some((each) => each.name === (child ?? each.name)) ?? false;
        },
      },
    );
  }

  /** At node b where charon is at node a, or the other way round. */
  static async start(
    network: Network,
    at: HaNode,
    settings: Partial<HaNodeSettings>,
  ): Promise<HaPartner> {
    const partner = new HaPartner(network, at, settings);
    const end = { address: haAddresses.sync[at], port: HA_PORT };
    const other = haAddresses.sync[at === 'a' ? 'b' : 'a'];
    partner.#sync = await UdpRelay.start(network, at, end, ({ address, octets }) => {
      if (address === other) partner.input({ kind: 'datagram', octets });
    });
    partner.input({ kind: 'start' });
    return partner;
  }

  /** Serves IKE at the virtual address, which is at this node now. */
  async serve(): Promise<void> {
    const end = { address: haAddresses.wan, port: NAT_T_PORT };
    const to = { address: parsed(end.address), port: end.port };
    this.#ike = await UdpRelay.start(this.#network, this.#at, end, ({ address, port, octets }) => {
      // What does not begin with the marker is ESP.
      if (octets.length < 4 || octets.subarray(0, 4).some((octet) => octet !== 0)) return;
      const from = { address: parsed(address), port };
      this.ike({ kind: 'datagram', local: to, remote: from, octets: octets.subarray(4) });
    });
  }

  input(input: HaInput): void {
    for (const action of this.node.handle(input, now())) {
      if (action.kind === 'send') {
        const address = haAddresses.sync[this.#at === 'a' ? 'b' : 'a'];
        this.#sync?.send({ address, port: HA_PORT, octets: action.octets });
        continue;
      }
      this.done.push(action);
      for (const one of this.#following.inputs(action, now())) this.ike(one);
    }
    this.#wait(0, this.node.nextDeadline(), () => this.input({ kind: 'time' }));
  }

  /** Gives the engine something and carries out what it wants. */
  ike(input: Input): void {
    const actions = this.side.engine.handle(input, now());
    const bundle = this.side.engine.takeChanges(now());
    const told = bundle ? this.#telling.inputs(bundle, this.node) : [];
    for (const one of told) this.input(one);
    for (const action of actions) {
      if (action.kind === 'send') {
        const { remote, octets } = action;
        const marked = concatOctets(NON_ESP_MARKER, octets);
        const address = formatAddress(remote.address);
        this.#ike?.send({ address, port: remote.port, octets: marked });
      } else if (action.kind === 'install-passive-child-sa') {
        this.side.passive.set(action.childSa.spiIn, action.childSa);
      } else if (action.kind === 'activate-child-sa' || action.kind === 'install-child-sa') {
        this.side.passive.delete(action.childSa.spiIn);
        this.side.children.set(action.childSa.id, action.childSa);
      } else if (action.kind === 'remove-child-sa') {
        this.side.passive.delete(action.childSa.spiIn);
        this.side.children.delete(action.childSa.id);
      }
    }
    this.#wait(1, this.side.engine.nextDeadline(), () => this.ike({ kind: 'deadline' }));
  }

  /** Serves IKE no longer. */
  async withdraw(): Promise<void> {
    this.#ike?.stop();
    this.#ike = undefined;
  }

  /** Ends it without a word. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#sync?.stop();
    this.#ike?.stop();
  }

  #wait(index: number, deadline: Instant | undefined, then: () => void): void {
    clearTimeout(this.#timers[index]);
    if (deadline === undefined) return;
    this.#timers[index] = setTimeout(then, Math.ceil(Math.max(0, deadline - now())));
  }
}

function parsed(text: string) {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return address;
}

function now(): Instant {
  return instant(performance.now());
}
