/**
 * The machine as the gateway uses it: its device, sockets, routes, and the packet loop over them.
 *
 * Opens everything in one order and takes it down in the other. IKE goes out on UDP 500 or, with the
 * non-ESP marker, on the NAT traversal port whose reading end belongs to the packet loop.
 */

import type { TapSettings } from '../esp/captured-lot.ts';
import type { EspSaEnds } from '../esp/esp-sa.ts';
import type { EspPolicy } from '../esp/esp-sa-table.ts';
import { dropReasonName } from '../events/drop-reason.ts';
import type { SendLease } from '../events/send-lease.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { OutboundUse } from '../ipsec/child-sa.ts';
import type { MeasuredMtu } from '../ipsec/path-mtu.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import { AddressWatch } from './address-watch.ts';
import { type BackEndSetting, BackEnds, type BackEndsView } from './back-ends.ts';
import { DeviceMtu, firstDeviceMtu } from './device-mtu.ts';
import { IcmpListener } from './icmp-listener.ts';
import { NameServers } from './name-servers.ts';
import { native } from './native.ts';
import { NetlinkError } from './netlink.ts';
import { closeOuterSockets, OUTER_MARK, openOuterSockets } from './outer-sockets.ts';
import type {
  InstalledChildSa,
  PacketLoopReport,
  PacketLoopSetup,
} from './packet-loop-protocol.ts';
import { packetLoopSetups } from './packet-loop-setups.ts';
import { PacketLoopShares } from './packet-loop-shares.ts';
import { PacketLoops } from './packet-loops.ts';
import type { PacketLoopsCluster } from './packet-loops-cluster.ts';
import type { RoutedPolicy } from './passed-prefixes.ts';
import { resolveName } from './resolve.ts';
import { ReversePathAdvice } from './reverse-path.ts';
import { Routes } from './routes.ts';
import { Rtnetlink } from './rtnetlink.ts';
import { SentSpis } from './sent-spis.ts';
import { openTunDevice, type TunDevice } from './tun.ts';
import { IkeSocket } from './udp.ts';
import { type GivenAddresses, VirtualAddresses } from './virtual-addresses.ts';

export interface HostSettings {
  /** Name of the TUN device. */
  readonly device: string;
  /** Its MTU; 0 = what fits into the paths of the installed SAs. */
  readonly mtu: number;
  readonly mssClamp: boolean;
  readonly offload: 'auto' | 'off';
  /** What ciphers packets. */
  readonly aead: BackEndSetting;
  /** Where the resolver finds its name servers; empty = not ours to write. */
  readonly resolvConf: string;
  readonly portIke: number;
  readonly portNatT: number;
}

export interface HostListener {
  /** An IKE datagram of UDP 500. */
  readonly datagram: (local: Endpoint, remote: Endpoint, octets: Uint8Array) => void;
  readonly report: (report: PacketLoopReport) => void;
  /** A worker died, and another has none of the SAs that it `concerns`: `install` them, resumed. */
  readonly replaced: (concerns: (spiIn: number) => boolean) => void;
  /** The packet path is at its end. */
  readonly failed: (error: Error) => void;
  /** Our outer addresses: once when the host is open, and when they changed. */
  readonly addresses: (addresses: readonly IpAddress[]) => void;
  /** Something does less than it should, and the gateway goes on. */
  readonly warn: (what: string) => void;
}

/** Packets of hosts carry no mark of ours. */
const INNER_MARK = 0;

/** What is kept here of a Child SA: best the values that others keep, too. */
type KeptEnds = Pick<InstalledChildSa, 'localTs' | 'remoteTs' | 'remote'>;

export class Host {
  readonly #settings: HostSettings;
  /** By worker. */
  readonly #counters: readonly SharedCounters[];
  readonly #listener: HostListener;
  readonly #lease: SendLease | undefined;
  readonly #opened: (() => void)[] = [];
  readonly #reversePath: ReversePathAdvice;
  #running: Running | undefined;
  #icmp: IcmpListener | undefined;

  /** There are as many workers as counters; `lease`: of a node of a cluster. */
  constructor(
    settings: HostSettings,
    counters: readonly SharedCounters[],
    listener: HostListener,
    lease?: SendLease,
  ) {
    this.#lease = lease;
    this.#settings = settings;
    this.#counters = counters;
    this.#listener = listener;
    this.#reversePath = new ReversePathAdvice(settings.device, listener.warn);
  }

  /** Rejects with an error that names what could not be opened; `close` cleans up after it. */
  async open(): Promise<void> {
    const { device, mtu, offload, aead, portIke, portNatT, resolvConf } = this.#settings;
    const { warn } = this.#listener;
    const backEnds = BackEnds.choose(native(), { setting: aead, warn });
    const rtnetlink = this.#keep(new Rtnetlink());
    const workers = this.#counters.length;
    const tun = openTunDevice(rtnetlink, {
      name: device,
      mtu: firstDeviceMtu(mtu),
      offload,
      queues: workers,
    });
    for (const fd of [tun.fd, ...tun.further]) this.#opened.push(() => native().close(fd));
    const routes = this.#keep(new Routes(rtnetlink, tun.index));
    const virtual = new VirtualAddresses({
      rtnetlink,
      interfaceIndex: tun.index,
      nameServers: this.#openNameServers(resolvConf),
      warn,
    });
    const merged = offload === 'auto';
    const sockets = openOuterSockets({ ikePort: portIke, nattPort: portNatT, merged, workers });
    this.#opened.push(() => closeOuterSockets(sockets));
    const ike = this.#keep(new IkeSocket(sockets));
    ike.onDatagram((local, remote, octets) => this.#listener.datagram(local, remote, octets));
    const shares = this.#keep(new PacketLoopShares(workers)).all;
    const setups = packetLoopSetups({
      settings: this.#settings,
      counters: this.#counters,
      lease: this.#lease,
      tun,
      sockets,
      shares,
    });
    const loops = await this.#startLoops(setups);
    this.#running = {
      backEnds,
      rtnetlink,
      tun,
      routes,
      virtual,
      ike,
      loops,
      deviceMtu: new DeviceMtu(rtnetlink, tun.index, mtu),
      sent: new SentSpis(),
    };
    this.#listenToIcmp();
    this.#watchAddresses(this.#running);
  }

  /** How SAs come and go that several nodes may carry; undefined while the host is closed. */
  get cluster(): PacketLoopsCluster | undefined {
    return this.#running?.loops.cluster;
  }

  /** The device that the inside sees, with the most it takes now. */
  device(): { readonly name: string; readonly mtu: number } {
    const { device, mtu } = this.#settings;
    const { tun, deviceMtu } = this.#running ?? {};
    return { name: tun?.name ?? device, mtu: deviceMtu?.octets ?? firstDeviceMtu(mtu) };
  }

  /** Whether a packet from the inside to that address comes to the device. */
  routeTo(destination: IpAddress): 'device' | 'elsewhere' | 'nowhere' {
    if (!this.#running) return 'nowhere';
    const { rtnetlink, tun } = this.#running;
    const route = rtnetlink.lookup(destination, INNER_MARK);
    if (!route) return 'nowhere';
    return route.interfaceIndex === tun.index ? 'device' : 'elsewhere';
  }

  /** What the sockets of this thread discarded, by reason. */
  drops(): Readonly<Record<string, number>> {
    const ike = [...(this.#running?.ike.drops ?? [])];
    const icmp = Object.entries(this.#icmp?.drops ?? {});
    return Object.fromEntries([
      ...ike.map((count, reason) => [dropReasonName(reason), count] as const),
      ...icmp.map(([reason, count]) => [`icmp-${reason}`, count] as const),
    ]);
  }

  /** Which libraries cipher packets, and which super-packets there are; nothing before `open`. */
  dataPlane(): BackEndsView & { readonly offload: string } {
    const { backEnds, tun } = this.#running ?? {};
    const offload = tun?.offload === undefined ? 'off' : tun.offload.udp ? 'tcp,udp' : 'tcp';
    return { ...(backEnds?.view ?? { backEnds: {}, ciphers: {} }), offload };
  }

  /** Safe to call after a failed `open`, and twice. */
  async close(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.loops.stop();
    for (const close of this.#opened.splice(0).reverse()) close();
  }

  /** Never blocks: what the socket does not take now is lost and counted. */
  sendIke(
    local: Endpoint,
    remote: Endpoint,
    octets: Uint8Array,
    carriage?: 'whole' | 'in-fragments',
  ): void {
    const nonEspMarker = local.port === this.#settings.portNatT;
    const options = { nonEspMarker, dontFragment: carriage === 'whole' };
    if (carriage !== 'in-fragments') this.#running?.ike.send(local, remote, octets, options);
    else this.#running?.ike.sendInFragments(local, remote, octets, options);
  }

  /** RFC 3948 §2.3: one octet 0xFF. */
  sendNatKeepalive(local: Endpoint, remote: Endpoint): void {
    this.#running?.ike.send(local, remote, Uint8Array.of(0xff), { nonEspMarker: false });
  }

  /** Routes first: a packet must find the device once its SA is there. */
  install(childSa: InstalledChildSa, kept: KeptEnds = childSa): void {
    if (!this.#running) return;
    const { id, priority } = childSa;
    const { localTs, remoteTs } = kept;
    this.#route(`child SA ${id}`, { id, action: 'protect', localTs, remoteTs, priority });
    this.#running.sent.add(childSa.id, childSa.spiOut, kept.remote.address);
    this.#reversePath.consider(kept.remote.address, kept.remoteTs);
    const backEnd = this.#running.backEnds.of(childSa);
    this.#running.loops.install({ ...childSa, backEnd }, kept);
  }

  /** The worker of the SA is a new one: all else about it stands. */
  resume(childSa: InstalledChildSa, kept: KeptEnds = childSa): void {
    if (!this.#running) return;
    const backEnd = this.#running.backEnds.of(childSa);
    this.#running.loops.install({ ...childSa, backEnd }, kept, true);
  }

  /** A policy without an SA; replaces one of the same number, which is below 0. */
  installPolicy(policy: EspPolicy): void {
    if (!this.#running) return;
    this.#running.routes.remove(policy.id);
    this.#route(`the ${policy.action} policy ${policy.id}`, policy);
    this.#running.loops.installPolicy(policy);
  }

  removePolicy(id: number): void {
    this.#running?.loops.removePolicy(id);
    this.#running?.routes.remove(id);
  }

  /** Packets of a Child SA that is being made wait for it. */
  expect(spiIn: number): void {
    this.#running?.loops.expect(spiIn);
  }

  setOutbound(childSaId: number, outbound: OutboundUse): void {
    this.#running?.loops.setOutbound(childSaId, outbound);
  }

  skipNumbers(id: number, direction: 'outbound' | 'inbound', count: number): void {
    this.#running?.loops.tell(id, { kind: 'skip-numbers', id, direction, count });
  }

  /** What was measured of the path of an SA. */
  setPathMtu(id: number, measured: MeasuredMtu): void {
    this.#running?.loops.tell(id, { kind: 'measured-mtu', id, ...measured });
  }

  /** The outer addresses change; routes are about inner ones and stay. */
  move(childSaId: number, ends: EspSaEnds): void {
    if (!this.#running) return;
    this.#running.sent.move(childSaId, ends.remote.address);
    const { local, remote, udpEncapsulation } = ends;
    const move = { kind: 'move', id: childSaId, local, remote, udpEncapsulation } as const;
    this.#running.loops.tell(childSaId, move);
  }

  remove(childSaId: number): void {
    if (!this.#running) return;
    this.#running.loops.remove(childSaId);
    this.#running.routes.remove(childSaId);
    this.#running.sent.remove(childSaId);
  }

  /** The packet loop reports copies of packets until `endCapture`, and then once that it ended. */
  capture(settings: TapSettings): void {
    this.#running?.loops.capture.begin(settings);
  }

  /** Before the Child SA is installed whose packets are wanted, too. */
  captureAlso(childSaId: number): void {
    this.#running?.loops.capture.follow(childSaId);
  }

  endCapture(): void {
    this.#running?.loops.capture.end();
  }

  /** As client of a gateway; before the Child SA that the addresses are for. */
  installVirtual(ikeSa: number, given: GivenAddresses): void {
    this.#running?.virtual.install(ikeSa, given);
    this.#running?.routes.forgetAddresses();
  }

  removeVirtual(ikeSa: number): void {
    this.#running?.virtual.remove(ikeSa);
    this.#running?.routes.forgetAddresses();
  }

  resolve(name: string): Promise<readonly IpAddress[]> {
    return resolveName(name);
  }

  /** The address of ours that a packet to the destination would carry. */
  sourceFor(destination: IpAddress): IpAddress | undefined {
    return this.#running?.rtnetlink.lookup(destination, OUTER_MARK)?.source;
  }

  #startLoops(setups: readonly PacketLoopSetup[]): Promise<PacketLoops> {
    const { failed, warn, replaced } = this.#listener;
    return PacketLoops.start(setups, {
      report: (report) => this.#hear(report),
      replaced: (why, concerns) => {
        warn(`${why.message}; another takes its place`);
        replaced(concerns);
      },
      failed,
    });
  }

  #hear(report: PacketLoopReport): void {
    this.#listener.report(report);
    const { deviceMtu } = this.#running ?? {};
    if ('innerMtu' in report) deviceMtu?.set(report.id, report.innerMtu);
    else if (report.kind === 'removed') deviceMtu?.delete(report.id);
  }

  #openNameServers(file: string): NameServers | undefined {
    if (file === '') return undefined;
    try {
      return this.#keep(new NameServers(file));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.warn(`name servers that peers give are not used: ${why}`);
      return undefined;
    }
  }

  /** Without its route a policy carries only what finds the device some other way. */
  #route(what: string, policy: RoutedPolicy): void {
    try {
      this.#running?.routes.install(policy);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.#listener.warn(`${what} has no route: ${error.message}`);
    }
  }

  #watchAddresses({ rtnetlink, tun, routes }: Running): void {
    const watch = new AddressWatch({
      rtnetlink,
      except: tun.index,
      stirred: () => this.#refresh(routes),
      changed: (addresses) => this.#listener.addresses(addresses),
    });
    this.#keep(watch);
    this.#listener.addresses(watch.addresses);
  }

  #refresh(routes: Routes): void {
    try {
      routes.refresh();
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      this.#listener.warn(`routes do not follow the addresses: ${error.message}`);
    }
  }

  #listenToIcmp(): void {
    try {
      this.#icmp = this.#keep(
        IcmpListener.open({
          concerns: ({ spi, remote }) => this.#running?.sent.find(spi, remote) !== undefined,
          heard: ({ remote, mtu, spi }) => this.#learnPathMtu(spi, remote, mtu),
        }),
      );
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.warn(`ICMP errors of the outer path are not heard: ${why}`);
    }
  }

  #learnPathMtu(spiOut: number, remote: IpAddress, mtu: number): void {
    const id = this.#running?.sent.find(spiOut, remote);
    if (id === undefined) return;
    const to = { address: remote, port: 0 };
    this.#running?.loops.tell(id, { kind: 'path-mtu', spiOut, remote: to, mtu });
  }

  #keep<Closable extends { close(): void }>(one: Closable): Closable {
    this.#opened.push(() => one.close());
    return one;
  }
}

/** What `open` leaves. */
interface Running {
  readonly backEnds: BackEnds;
  readonly rtnetlink: Rtnetlink;
  readonly tun: TunDevice;
  readonly routes: Routes;
  readonly virtual: VirtualAddresses;
  readonly ike: IkeSocket;
  readonly loops: PacketLoops;
  readonly deviceMtu: DeviceMtu;
  readonly sent: SentSpis;
}
