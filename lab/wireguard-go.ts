/**
 * wireguard-go at both gateways:
 *
 *   10.1.0.0/16 ---- g1 (wg0) ==== UDP 51820 ==== (wg0) g2 ---- 10.2.0.0/16
 *
 * Its keys are made by its own `wg`. Its control socket has a fixed place: each daemon gets a /run of
 * its own, which `wg` enters.
 */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import { missingPackages } from './prerequisites.ts';
import { type GatewayNode, outerAddress, protectedNet, type Topology } from './topology.ts';
import { NotAvailable, type Tunnel, type TunnelTerms } from './tunnel.ts';

const DEVICE = 'wg0';
const PORT = 51820;

export class WireguardGoTunnel implements Tunnel {
  readonly #topology: Topology;
  readonly #family: TunnelTerms['family'];
  readonly #daemons: ChildProcess[] = [];

  private constructor(topology: Topology, family: TunnelTerms['family']) {
    this.#topology = topology;
    this.#family = family;
  }

  /** Its one cipher is ChaCha20-Poly1305, whatever the terms say. */
  static async start(topology: Topology, { family }: TunnelTerms): Promise<WireguardGoTunnel> {
    const missing = missingPackages(['wireguard-go', 'wg']);
    if (missing.length > 0) throw new NotAvailable(`install ${missing.join(' ')}`);
    const tunnel = new WireguardGoTunnel(topology, family);
    try {
      const keys = { g1: await keyPair(), g2: await keyPair() };
      await tunnel.#bringUp('g1', keys.g1.privateKey, keys.g2.publicKey);
      await tunnel.#bringUp('g2', keys.g2.privateKey, keys.g1.publicKey);
      return tunnel;
    } catch (error) {
      await tunnel.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => end(daemon, 'SIGTERM')));
  }

  async #bringUp(node: GatewayNode, privateKey: string, peer: string): Promise<void> {
    const { network } = this.#topology;
    const logFile = join(network.directory, `${node}-wireguard-go.log`);
    const daemon = launch(
      [
        ...network.at(node),
        ...['sh', '-c', `mount -t tmpfs tmpfs /run && exec wireguard-go -f ${DEVICE}`],
      ],
      // Without the first it asks to use the kernel's instead, and ends.
      { env: { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', LOG_LEVEL: 'error' }, logFile },
    );
    this.#daemons.push(daemon);
    const within = ['nsenter', '--target', String(daemon.pid), '--mount', '--net'];
    await until(`wireguard-go at ${node} to answer`, async () => {
      if (!alive(daemon)) throw new Error(`wireguard-go at ${node} ended\n${readLog(logFile)}`);
      const { status } = await run([...within, 'wg', 'show', DEVICE], { mayFail: true });
      return status === 0 || undefined;
    });
    const file = join(network.directory, `${node}-wireguard.conf`);
    writeFileSync(file, this.#conf(node, privateKey, peer), { mode: 0o600 });
    await run([...within, 'wg', 'setconf', DEVICE, file]);
    await network.ip(node, [
      `link set ${DEVICE} up`,
      `route add ${protectedNet(otherOf(node), this.#family)} dev ${DEVICE}`,
    ]);
  }

  #conf(node: GatewayNode, privateKey: string, peer: string): string {
    const other = otherOf(node);
    const address = outerAddress(this.#topology, other, this.#family);
    const endpoint = this.#family === 'ipv6' ? `[${address}]` : address;
    return `[Interface]
PrivateKey = ${privateKey}
ListenPort = ${PORT}

[Peer]
PublicKey = ${peer}
AllowedIPs = ${protectedNet(other, this.#family)}
Endpoint = ${endpoint}:${PORT}
`;
  }
}

function otherOf(node: GatewayNode): GatewayNode {
  return node === 'g1' ? 'g2' : 'g1';
}

async function keyPair(): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const { stdout: privateKey } = await run(['wg', 'genkey']);
  const { stdout: publicKey } = await run(['wg', 'pubkey'], { input: privateKey });
  return { privateKey: privateKey.trim(), publicKey: publicKey.trim() };
}
