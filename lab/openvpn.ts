/**
 * OpenVPN 2.6 at both gateways, without its kernel offload:
 *
 *   10.1.0.0/16 ---- g1 (tun0) ==== UDP 1194 ==== (tun0) g2 ---- 10.2.0.0/16
 *
 * Point to point over TLS; g2 is the TLS client. Each end has a certificate of its own making and
 * knows the other by its fingerprint. Everything not named here is OpenVPN's default.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import { missingPackages } from './prerequisites.ts';
import { type Family, type GatewayNode, outerAddress, type Topology } from './topology.ts';
import { NotAvailable, type Tunnel, type TunnelTerms } from './tunnel.ts';

export class OpenVpnTunnel implements Tunnel {
  readonly #topology: Topology;
  readonly #terms: TunnelTerms;
  readonly #directory: string;
  readonly #daemons: ChildProcess[] = [];

  private constructor(topology: Topology, terms: TunnelTerms) {
    this.#topology = topology;
    this.#terms = terms;
    this.#directory = join(topology.network.directory, 'openvpn');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  static async start(topology: Topology, terms: TunnelTerms): Promise<OpenVpnTunnel> {
    const missing = missingPackages(['openvpn', 'openssl']);
    if (missing.length > 0) throw new NotAvailable(`install ${missing.join(' ')}`);
    if (ciphers[terms.cipher] === undefined) {
      throw new NotAvailable(`OpenVPN has no cipher like ${terms.cipher}`);
    }
    const tunnel = new OpenVpnTunnel(topology, terms);
    try {
      const prints = { g1: await tunnel.#certify('g1'), g2: await tunnel.#certify('g2') };
      const logs = [tunnel.#launch('g1', prints.g2), tunnel.#launch('g2', prints.g1)];
      for (const log of logs) await tunnel.#complete(log);
      return tunnel;
    } catch (error) {
      await tunnel.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => end(daemon, 'SIGTERM')));
  }

  /** Makes a key and a certificate that signs itself; answers its fingerprint. */
  async #certify(node: GatewayNode): Promise<string> {
    const [key, certificate] = [this.#file(`${node}.key`), this.#file(`${node}.crt`)];
    await run([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-nodes', '-days', '2', '-subj', `/CN=${node}.lab`],
      ...['-keyout', key, '-out', certificate],
    ]);
    const { stdout } = await run([
      ...['openssl', 'x509', '-in', certificate, '-noout', '-fingerprint', '-sha256'],
    ]);
    const [, fingerprint] = /=([0-9A-F:]+)/.exec(stdout) ?? [];
    if (fingerprint === undefined) throw new Error(`openssl x509 -fingerprint: ${stdout}`);
    return fingerprint;
  }

  #launch(node: GatewayNode, peer: string): string {
    const conf = this.#file(`${node}.conf`);
    const logFile = this.#file(`${node}.log`);
    writeFileSync(conf, this.#conf(node, peer));
    const { network } = this.#topology;
    this.#daemons.push(launch([...network.at(node), 'openvpn', '--config', conf], { logFile }));
    return logFile;
  }

  async #complete(log: string): Promise<void> {
    await until(
      `OpenVPN to complete, see ${log}`,
      () => {
        if (!this.#daemons.every(alive)) throw new Error(`OpenVPN ended\n${readLog(log)}`);
        return readLog(log).includes('Initialization Sequence Completed') || undefined;
      },
      20_000,
    );
  }

  #conf(node: GatewayNode, peer: string): string {
    const { family, cipher } = this.#terms;
    const other = node === 'g1' ? 'g2' : 'g1';
    return [
      ...['dev tun0', 'dev-type tun', 'disable-dco'],
      ...(node === 'g1' ? ['tls-server', 'dh none'] : ['tls-client']),
      `proto ${family === 'ipv6' ? 'udp6' : 'udp4'}`,
      `local ${outerAddress(this.#topology, node, family)}`,
      `remote ${outerAddress(this.#topology, other, family)}`,
      ...['port 1194', ...addressing[family][node]],
      `cert ${this.#file(`${node}.crt`)}`,
      `key ${this.#file(`${node}.key`)}`,
      `peer-fingerprint ${peer}`,
      ...(ciphers[cipher] ?? []),
      '',
    ].join('\n');
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

/** Addresses of the device's two ends, and what lies behind the other. */
const addressing: Readonly<Record<Family, Readonly<Record<GatewayNode, readonly string[]>>>> = {
  ipv4: {
    g1: ['ifconfig 10.9.0.1 10.9.0.2', 'route 10.2.0.0 255.255.0.0'],
    g2: ['ifconfig 10.9.0.2 10.9.0.1', 'route 10.1.0.0 255.255.0.0'],
  },
  ipv6: {
    g1: ['ifconfig-ipv6 fd00:9::1/64 fd00:9::2', 'route-ipv6 2001:db8:2::/64'],
    g2: ['ifconfig-ipv6 fd00:9::2/64 fd00:9::1', 'route-ipv6 2001:db8:1::/64'],
  },
};

/** What swanctl.conf calls a cipher, as OpenVPN asks for it. */
const ciphers: Readonly<Record<string, readonly string[]>> = {
  aes128gcm16: ['data-ciphers AES-128-GCM', 'cipher AES-128-GCM'],
  aes256gcm16: ['data-ciphers AES-256-GCM', 'cipher AES-256-GCM'],
  chacha20poly1305: ['data-ciphers CHACHA20-POLY1305', 'cipher CHACHA20-POLY1305'],
  'aes128-sha256': ['data-ciphers AES-128-CBC', 'cipher AES-128-CBC', 'auth SHA256'],
  'aes256-sha256': ['data-ciphers AES-256-CBC', 'cipher AES-256-CBC', 'auth SHA256'],
};
