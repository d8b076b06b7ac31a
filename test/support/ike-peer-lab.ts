/**
 * A lab for interop tests with a peer that speaks IKE and carries no data: the subject at g1,
 * the peer at g2. What counts is that both ends list the same SAs.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { DaemonSettings, Gateway } from '../../lab/gateway.ts';
import { HeldWire } from '../../lab/held-wire.ts';
import type { IkePeer, IkePeerChildSa, IkePeerConnection, IkePeerSa } from '../../lab/ike-peer.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import type { ChildSaState, IkeSaState } from '../../lab/swanctl.ts';
import { type PairSettings, swanctlConf } from '../../lab/swanctl-conf.ts';
import { buildTopology, type Topology } from '../../lab/topology.ts';
import { gatewayOf, impatient, type Role, subjectKind } from './lab.ts';

/** A tunnel in the words of both ends. */
export interface Configured {
  readonly subject?: PairSettings;
  readonly peer?: IkePeerConnection;
  /** Further connections of the peer, each a child of the subject's. */
  readonly further?: readonly IkePeerConnection[];
}

interface Lists {
  readonly subjects: readonly IkeSaState[];
  readonly peers: readonly IkePeerSa[];
}

export interface IkePeerLabOptions {
  /** What every connection of the subject has in common. */
  readonly usual?: PairSettings;
  /** Of the subject. */
  readonly settings?: DaemonSettings;
}

/** What both ends list. */
export interface Agreed {
  readonly subject: IkeSaState;
  readonly peer: IkePeerSa;
}

/** Registers the hooks of one lab; `make` is told where the peer stands. */
export function useIkePeerLab<Peer extends IkePeer>(
  make: (topology: Topology) => Peer,
  options: IkePeerLabOptions = {},
): IkePeerLab<Peer> {
  const lab = new IkePeerLab(make, options);
  before(async () => {
    requirePrerequisites();
    await lab.build();
  });
  afterEach(async function tellAndClear() {
    if (this.currentTest?.state === 'failed') {
      lab.tellLogs();
    }
    await lab.clear();
  });
  after(() => lab.destroy());
  return lab;
}

export class IkePeerLab<Peer extends IkePeer> {
  readonly #make: (topology: Topology) => Peer;
  readonly #options: IkePeerLabOptions;
  #built: { topology: Topology; subject: Gateway; peer: Peer } | undefined;

  constructor(make: (topology: Topology) => Peer, options: IkePeerLabOptions) {
    this.#make = make;
    this.#options = options;
  }

  get topology(): Topology {
    return this.#all().topology;
  }
  get subject(): Gateway {
    return this.#all().subject;
  }
  get peer(): Peer {
    return this.#all().peer;
  }

  async build(): Promise<void> {
    const topology = await buildTopology();
    const subject = gatewayOf(subjectKind, topology.network, 'g1');
    const peer = this.#make(topology);
    this.#built = { topology, subject, peer };
    await Promise.all([subject.start(this.#options.settings ?? impatient), peer.start()]);
  }

  async destroy(): Promise<void> {
    if (this.#built !== undefined) {
      const { topology, subject, peer } = this.#built;
      await Promise.all([subject.stop(), peer.stop()]);
      topology.network.destroy();
      this.#built = undefined;
    }
  }

  async load({ subject = {}, peer = {}, further = [] }: Configured): Promise<void> {
    const pair = { ...this.#options.usual, ...subject };
    await Promise.all([
      this.subject.swanctl.load(swanctlConf(this.topology, 'g1', [pair])),
      this.peer.load([peer, ...further]),
    ]);
  }

  /** Has the subject start as initiator, the peer when the subject is the responder. */
  async initiate(role: Role): Promise<void> {
    if (role === 'responder') {
      return this.peer.initiate();
    }
    const { status, stdout, stderr } = await this.subject.swanctl.call(initiation);
    assert.equal(status, 0, `initiate: ${stdout}${stderr}`);
  }

  /** Loads and initiates; one Child SA must come up, and both ends must agree about it. */
  async up(role: Role, configured: Configured = {}): Promise<Agreed> {
    await this.load(configured);
    await this.initiate(role);
    const agreed = await this.agreed();
    assert.equal(agreed.subject.initiator, role === 'initiator');
    return agreed;
  }

  /** One IKE SA with so many Child SAs at both ends, and the same ones. */
  async agreed(children = 1, timeout = 8_000): Promise<Agreed> {
    return this.eventually(
      `one IKE SA with ${children} Child SAs at both ends`,
      ({ subject, peer }) => subject.children.length === children && sameSas(subject, peer),
      timeout,
    );
  }

  /** The same as before in number, with no SPI of before left: all Child SAs were replaced. */
  async childrenReplaced(before: Agreed): Promise<Agreed> {
    const old = childSpis(before);
    return this.eventually(
      `all of ${old.length / 2} Child SAs to be replaced at both ends`,
      (now) =>
        sameSas(now.subject, now.peer) &&
        childSpis(now).length === old.length &&
        !childSpis(now).some((spi) => old.includes(spi)),
    );
  }

  /** Another IKE SA with the same Child SAs. */
  async ikeSaReplaced(before: Agreed): Promise<Agreed> {
    return this.eventually(
      'another IKE SA with the same Child SAs at both ends',
      (now) =>
        sameSas(now.subject, now.peer) &&
        childSpis(now).join() === childSpis(before).join() &&
        ikeSpi(now) !== ikeSpi(before) &&
        now.peer.name !== before.peer.name,
    );
  }

  /**
   * After a collision: the one IKE SA of the subject that is up has one Child SA that is up, and
   * the peer has it too. What lost may still stand: it is its maker's to delete (RFC 7296 §2.8.1).
   */
  async decided(
    wanted: (subject: IkeSaState, spis: string) => boolean = () => true,
  ): Promise<IkeSaState> {
    const { subject } = await this.#look('one IKE SA and one Child SA to be left', (lists) => {
      const [subject, ...others] = lists.subjects.filter(({ state }) => state === 'ESTABLISHED');
      const [child, ...rest] = subject?.children.filter(({ state }) => state === 'INSTALLED') ?? [];
      const spis = child === undefined ? '' : spisOf(child);
      const peer = lists.peers.find(({ children }) =>
        children.some((one) => mirrored(one) === spis),
      );
      return subject && peer && others.length + rest.length === 0 && wanted(subject, spis)
        ? { subject, peer }
        : undefined;
    });
    return subject;
  }

  /** Waits until the only IKE SA, listed by both ends, is as `wanted`. */
  async eventually(
    what: string,
    wanted: (agreed: Agreed) => boolean,
    timeout = 8_000,
  ): Promise<Agreed> {
    return this.#look(
      what,
      ({ subjects: [subject, ...others], peers: [peer, ...otherPeers] }) => {
        const alone = others.length + otherPeers.length === 0;
        return alone && subject?.state === 'ESTABLISHED' && peer && wanted({ subject, peer })
          ? { subject, peer }
          : undefined;
      },
      timeout,
    );
  }

  async #look(
    what: string,
    found: (lists: Lists) => Agreed | undefined,
    timeout = 8_000,
  ): Promise<Agreed> {
    let seen = '';
    const look = async () => {
      const [subjects, peers] = await Promise.all([this.subject.swanctl.sas(), this.peer.sas()]);
      seen = JSON.stringify({ subjects: subjects.map(brief), peers });
      return found({ subjects, peers });
    };
    try {
      return await until(what, look, timeout);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${seen}`);
    }
  }

  /** Waits until neither end lists an SA. */
  async empty(timeout = 8_000): Promise<void> {
    await until(
      'neither end to have an SA',
      async () =>
        (await this.subject.swanctl.sas()).length === 0 && (await this.peer.sas()).length === 0
          ? true
          : undefined,
      timeout,
    );
  }

  /**
   * What both ends request in `body` crosses: each has sent its own before it hears the other's.
   * `first` is answered before the other's request is let go.
   */
  async crossing(first: 'subject' | 'peer', body: () => Promise<void>): Promise<void> {
    const [ahead, behind] = first === 'subject' ? (['g1', 'g2'] as const) : (['g2', 'g1'] as const);
    const wire = await HeldWire.hold(this.topology);
    try {
      await body();
      await wire.holds('g1', 1);
      await wire.holds('g2', 1);
      await wire.release(ahead);
      // Its own request, the answer to the other's and that to the echo request.
      await wire.holds(behind, 3);
    } finally {
      await wire.end();
    }
  }

  /** Ends everything at the peer, which must not begin again, then what the subject still has. */
  async clear(): Promise<void> {
    await this.peer.load([]);
    await this.peer.deleteIkeSas();
    for (const { uniqueId } of await this.subject.swanctl.sas()) {
      await this.subject.swanctl.call(['--terminate', '--ike-id', uniqueId, '--force']);
    }
    await this.empty();
  }

  tellLogs(): void {
    for (const gateway of this.#built === undefined ? [] : [this.subject, this.peer]) {
      const lines = gateway.log().trimEnd().split('\n').slice(-60);
      console.log(`      --- ${gateway.kind} at ${gateway.node}`);
      console.log(lines.map((line) => `      ${line}`).join('\n'));
    }
  }

  #all(): { topology: Topology; subject: Gateway; peer: Peer } {
    assert.ok(this.#built !== undefined, 'the lab stands only inside hooks and tests');
    return this.#built;
  }
}

const initiation = ['--initiate', '--child', 'net'];

/** What one end sends with, the other receives with; both call the IKE SA by the same SPIs. */
function sameSas(subject: IkeSaState, peer: IkePeerSa): boolean {
  const ours = subject.children.map(spisOf);
  const theirs = peer.children.map(mirrored);
  const spis = [subject.raw['initiator-spi'], subject.raw['responder-spi']];
  return (
    ours.toSorted().join() === theirs.toSorted().join() &&
    subject.children.every(({ state }) => state === 'INSTALLED') &&
    (peer.spis === undefined || peer.spis.join() === spis.join())
  );
}

/** As the subject receives and sends. */
export function spisOf({ raw }: ChildSaState): string {
  return `${raw['spi-in']} ${raw['spi-out']}`;
}

function mirrored({ spiIn, spiOut }: IkePeerChildSa): string {
  return `${spiOut} ${spiIn}`;
}

/** Every SPI of a Child SA, either way. */
function childSpis({ subject }: Agreed): readonly string[] {
  return subject.children
    .flatMap(({ raw }) => [String(raw['spi-in']), String(raw['spi-out'])])
    .toSorted();
}

function ikeSpi({ subject }: Agreed): string {
  return String(subject.raw['initiator-spi']);
}

function brief({ state, raw, children }: IkeSaState) {
  return {
    ...{ state, spis: [raw['initiator-spi'], raw['responder-spi']] },
    children: children.map((child) => [child.state, child.raw['spi-in'], child.raw['spi-out']]),
  };
}
