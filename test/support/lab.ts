/**
 * A lab for interop tests: tsgw at one gateway, strongSwan at the other, built before and
 * removed after the tests of one `describe`.
 *
 * With TSGW_INTEROP_SUBJECT=strongswan charon stands in for tsgw: the tests test themselves.
 */
import assert from 'node:assert/strict';
import { type Finished, until } from '../../lab/command.ts';
import type { DaemonSettings, Gateway, GatewayKind } from '../../lab/gateway.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { StrongSwanGateway } from '../../lab/strongswan.ts';
import type { ChildSaState, IkeSaState } from '../../lab/swanctl.ts';
import {
  childName,
  connectionName,
  type PairSettings,
  swanctlConf,
} from '../../lab/swanctl-conf.ts';
import {
  buildTopology,
  type Family,
  type GatewayNode,
  outerAddress,
  type Topology,
} from '../../lab/topology.ts';
import { ping, type Transfer, type TransferOptions, TransferServer } from '../../lab/traffic.ts';
import { TsgwGateway } from '../../lab/tsgw.ts';

/** What is under test. */
export const subjectKind: GatewayKind =
  process.env.TSGW_INTEROP_SUBJECT === 'strongswan' ? 'strongswan' : 'tsgw';

/** Which part the subject plays: who sends the first message. */
export type Role = 'initiator' | 'responder';
export const roles: readonly Role[] = ['initiator', 'responder'];

export interface LabOptions {
  readonly nat?: boolean;
  /** Where the subject stands; g1 unless told. */
  readonly subjectAt?: GatewayNode;
  readonly subjectSettings?: DaemonSettings;
  readonly peerSettings?: DaemonSettings;
  /** The other gateway; strongSwan unless told. */
  readonly peer?: GatewayKind;
}

/** Retransmissions soon enough for a test, many enough for a lossy link. */
export const impatient: DaemonSettings = {
  retransmitTimeoutSeconds: 0.3,
  retransmitTries: 6,
  retransmitBase: 1.2,
};

/** Registers the hooks of one lab and answers it; usable inside hooks and tests only. */
export function useLab(options: LabOptions = {}): Lab {
  const lab = new Lab(options);
  before(async () => {
    requirePrerequisites();
    await lab.build();
  });
  afterEach(function tellLogs() {
    if (this.currentTest?.state === 'failed') {
      lab.tellLogs();
    }
  });
  after(() => lab.destroy());
  return lab;
}

/** For what only tsgw has or speaks: left out while charon stands in for it. */
export function onlyTsgw(): void {
  before(function standIn() {
    if (subjectKind === 'tsgw') {
      return;
    }
    assert.ok(!process.env.CI, `TSGW_INTEROP_SUBJECT=${subjectKind} leaves tests out: not in CI`);
    console.log(`        skipped: ${subjectKind} stands in for tsgw and does not speak this`);
    this.skip();
  });
}

/** One tunnel as both ends list it. */
export interface Tunnel {
  readonly subject: IkeSaState;
  readonly subjectChild: ChildSaState;
  readonly peer: IkeSaState;
  readonly peerChild: ChildSaState;
}

export class Lab {
  readonly #options: LabOptions;
  #built: { topology: Topology; subject: Gateway; peer: Gateway } | undefined;
  #server: TransferServer | undefined;

  constructor(options: LabOptions) {
    this.#options = { subjectSettings: impatient, peerSettings: impatient, ...options };
  }

  get topology(): Topology {
    return this.#all().topology;
  }
  get subject(): Gateway {
    return this.#all().subject;
  }
  get peer(): Gateway {
    return this.#all().peer;
  }
  get subjectNode(): GatewayNode {
    return this.#options.subjectAt ?? 'g1';
  }
  get peerNode(): GatewayNode {
    return this.subjectNode === 'g1' ? 'g2' : 'g1';
  }

  /** The subject as tsgw, for what only tsgw has. */
  get tsgw(): TsgwGateway {
    const { subject } = this;
    assert.ok(subject instanceof TsgwGateway, 'this test is about tsgw');
    return subject;
  }

  async build(): Promise<void> {
    const topology = await buildTopology({ nat: this.#options.nat === true });
    const { network } = topology;
    const subject = gatewayOf(subjectKind, network, this.subjectNode);
    const peer = gatewayOf(this.#options.peer ?? 'strongswan', network, this.peerNode);
    this.#built = { topology, subject, peer };
    await Promise.all([
      subject.start(this.#options.subjectSettings),
      peer.start(this.#options.peerSettings),
    ]);
  }

  async destroy(): Promise<void> {
    if (this.#built !== undefined) {
      const { topology, subject, peer } = this.#built;
      await this.#server?.stop();
      await Promise.all([subject.stop(), peer.stop()]);
      topology.network.destroy();
      this.#built = undefined;
    }
  }

  /** The gateway that sends the first message when the subject plays `role`. */
  initiator(role: Role): Gateway {
    return role === 'initiator' ? this.subject : this.peer;
  }

  address(gateway: Gateway, family: Family = 'ipv4'): string {
    return outerAddress(this.topology, gateway.node, family);
  }

  /** Loads one configuration, or several, into both gateways. */
  async load(...pairs: readonly PairSettings[]): Promise<void> {
    const { topology } = this;
    await Promise.all(
      [this.subject, this.peer].map((gateway) =>
        gateway.swanctl.load(swanctlConf(topology, gateway.node, pairs)),
      ),
    );
  }

  initiate(role: Role, child = childName): Promise<Finished> {
    return this.initiator(role).swanctl.call(['--initiate', '--child', child]);
  }

  /** Loads and initiates; the tunnel must come up, and both ends must agree about it. */
  async up(role: Role, pair: PairSettings = {}): Promise<Tunnel> {
    await this.load(pair);
    const { status, stdout, stderr } = await this.initiate(role, pair.childName);
    assert.equal(status, 0, `initiate: ${stdout}${stderr}`);
    return this.tunnel();
  }

  /** The only SA of a connection; both ends must list it alike. */
  async tunnel(connection = connectionName): Promise<Tunnel> {
    const subject = await listed(this.subject, connection);
    const peer = await listed(this.peer, connection);
    const subjectChild = only(subject.children, 'Child SA at the subject');
    const peerChild = only(peer.children, 'Child SA at the peer');
    agree(subject, peer, subjectChild, peerChild);
    return { subject, subjectChild, peer, peerChild };
  }

  /** Pings through the tunnel without loss and sees the packets counted at both ends. */
  async carries(options: { readonly inner?: Family; readonly count?: number } = {}): Promise<void> {
    const { inner = 'ipv4', count = 5 } = options;
    const before = await this.tunnel();
    const answer = await ping(this.topology, { family: inner, count });
    assert.equal(answer.lossPercent, 0, `${answer.received} of ${answer.sent} pings came back`);
    await until(
      `${count} packets to be counted each way`,
      async () => {
        const now = await this.tunnel();
        const counted = [
          now.subjectChild.packetsIn - before.subjectChild.packetsIn,
          now.subjectChild.packetsOut - before.subjectChild.packetsOut,
          now.peerChild.packetsIn - before.peerChild.packetsIn,
          now.peerChild.packetsOut - before.peerChild.packetsOut,
        ];
        return counted.every((packets) => packets >= count) || undefined;
      },
      10_000,
    );
  }

  /** A TCP stream between the hosts. */
  async transfer(options: TransferOptions): Promise<Transfer> {
    this.#server ??= await TransferServer.start(this.topology);
    return this.#server.transfer(options);
  }

  /** Terminates what is there, from the subject, and waits until both ends list nothing. */
  async clear(): Promise<void> {
    for (const gateway of [this.subject, this.peer]) {
      for (const { uniqueId } of await gateway.swanctl.sas()) {
        await gateway.swanctl.call(['--terminate', '--ike-id', uniqueId, '--force']);
      }
    }
    await this.empty();
  }

  /** Waits until neither end has an SA left. */
  async empty(timeout = 10_000): Promise<void> {
    for (const gateway of [this.subject, this.peer]) {
      await until(
        `${gateway.kind} at ${gateway.node} to have no SA`,
        async () => (await gateway.swanctl.sas()).length === 0 || undefined,
        timeout,
      );
    }
  }

  tellLogs(): void {
    for (const gateway of this.#built === undefined ? [] : [this.subject, this.peer]) {
      const lines = gateway.log().trimEnd().split('\n').slice(-40);
      console.log(`      --- ${gateway.kind} at ${gateway.node}`);
      console.log(lines.map((line) => `      ${line}`).join('\n'));
    }
  }

  #all(): { topology: Topology; subject: Gateway; peer: Gateway } {
    assert.ok(this.#built !== undefined, 'the lab stands only inside hooks and tests');
    return this.#built;
  }
}

/** A gateway of a kind at a node, not started yet. */
export function gatewayOf(
  kind: GatewayKind,
  network: Topology['network'],
  node: GatewayNode,
): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}

/** The responder of IKE_AUTH lists its Child SA an instant before or after the initiator. */
async function listed({ swanctl, node }: Gateway, connection: string): Promise<IkeSaState> {
  const complete = async () => {
    const all = await swanctl.sas();
    const sas = all.filter(({ name, state }) => name === connection && state !== 'CONNECTING');
    return sas.length === 1 && sas[0]?.children.length === 1 ? sas : undefined;
  };
  const sas = await until(`${node} to list one IKE SA with one Child SA`, complete);
  return only(sas, `IKE SA at ${node}`);
}

function agree(
  subject: IkeSaState,
  peer: IkeSaState,
  subjectChild: ChildSaState,
  peerChild: ChildSaState,
): void {
  assert.equal(subject.state, 'ESTABLISHED');
  assert.equal(peer.state, 'ESTABLISHED');
  assert.notEqual(subject.initiator, peer.initiator, 'one of the two is the initiator');
  const same: readonly string[] = [
    ...['initiator-spi', 'responder-spi'],
    ...['encr-alg', 'encr-keysize', 'integ-alg', 'prf-alg', 'dh-group'],
  ];
  for (const key of same) {
    assert.equal(subject.raw[key], peer.raw[key], `both ends list the same ${key}`);
  }
  assert.equal(subjectChild.state, 'INSTALLED');
  assert.equal(peerChild.state, 'INSTALLED');
  for (const key of ['encr-alg', 'encr-keysize', 'integ-alg', 'mode', 'protocol']) {
    assert.equal(subjectChild.raw[key], peerChild.raw[key], `both ends list the same ${key}`);
  }
  assert.equal(subjectChild.raw['spi-in'], peerChild.raw['spi-out']);
  assert.equal(subjectChild.raw['spi-out'], peerChild.raw['spi-in']);
  assert.deepEqual(subjectChild.localTs, peerChild.remoteTs);
  assert.deepEqual(subjectChild.remoteTs, peerChild.localTs);
}

function only<T>(items: readonly T[], what: string): T {
  const [first, ...others] = items;
  assert.ok(first !== undefined, `no ${what}`);
  assert.equal(others.length, 0, `more than one ${what}`);
  return first;
}
