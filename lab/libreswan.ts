/**
 * pluto of libreswan in a namespace, as an IKE peer (see ike-peer.ts).
 *
 * Driven by its own `whack` and `addconn`. pluto alone is started: the scripts around it load
 * kernel modules for seconds.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, type Finished, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import {
  behindShim,
  compileShim,
  described,
  type IkePeer,
  type IkePeerChildSa,
  type IkePeerConnection,
  type IkePeerSa,
  must,
  unpacked,
} from './ike-peer.ts';
import { connectionName } from './swanctl-conf.ts';
import type { GatewayNode, Topology } from './topology.ts';

const programs = join(unpacked('libreswan'), 'usr/libexec/ipsec');

export class Libreswan implements IkePeer {
  readonly kind = 'libreswan';
  readonly node: GatewayNode;
  readonly network: Topology['network'];
  readonly #topology: Topology;
  readonly #directory: string;
  readonly #logFile: string;
  #process: ChildProcess | undefined;
  #loaded: readonly string[] = [];

  constructor(topology: Topology, node: GatewayNode) {
    this.node = node;
    this.network = topology.network;
    this.#topology = topology;
    this.#directory = join(topology.network.directory, `${node}-libreswan`);
    this.#logFile = join(this.#directory, 'pluto.log');
  }

  log(): string {
    return readLog(this.#logFile);
  }

  async start(): Promise<void> {
    const nss = join(this.#directory, 'nss');
    for (const directory of [nss, join(this.#directory, 'ipsec.d')]) {
      mkdirSync(directory, { recursive: true });
    }
    this.#write([]);
    await run(['certutil', '-N', '-d', `sql:${nss}`, '--empty-password']);
    const library = await compileShim('xfrm', this.#directory);
    // The path of addconn is compiled in, and the host has nothing of that name.
    const mounts = ['mount -t tmpfs tmpfs /usr/libexec', `ln -s ${programs} /usr/libexec/ipsec`];
    this.#process = launch(
      [
        ...behindShim(this.network, this.node, mounts, library),
        ...[join(programs, 'pluto'), '--nofork', '--stderrlog', '--no-dnssec'],
        ...['--config', this.#file('ipsec.conf'), '--secretsfile', this.#file('ipsec.secrets')],
        ...['--nssdir', nss, '--ipsecdir', this.#file('ipsec.d'), '--dumpdir', this.#directory],
        ...['--rundir', this.#directory],
      ],
      { logFile: this.#logFile },
    );
    await until(`pluto at ${this.node} to listen`, () => {
      if (this.#process === undefined || !alive(this.#process)) {
        throw new Error(`pluto at ${this.node} does not run\n${this.log()}`);
      }
      return this.log().includes('loading secrets from') || undefined;
    });
  }

  async stop(): Promise<void> {
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGTERM');
    }
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGKILL');
    }
  }

  async load(connections: readonly IkePeerConnection[]): Promise<void> {
    for (const name of this.#loaded) {
      await this.must(['--delete', '--name', name]);
    }
    this.#write(connections);
    await this.must(['--rereadsecrets']);
    this.#loaded = connections.map(({ name }) => name ?? connectionName);
    for (const name of this.#loaded) {
      const control = ['--ctlsocket', this.#file('pluto.ctl')];
      const argv = [join(programs, 'addconn'), '--config', this.#file('ipsec.conf'), ...control];
      must(`addconn ${name}`, await run([...argv, name], { mayFail: true }), this.#logFile);
    }
  }

  /** Asks whack for something; its status tells how it went. */
  whack(argv: readonly string[]): Promise<Finished> {
    return run([join(programs, 'whack'), '--rundir', this.#directory, ...argv], {
      mayFail: true,
      timeout: 10_000,
    });
  }

  /** Asks whack for something that must go well. */
  async must(argv: readonly string[]): Promise<string> {
    return must(`whack ${argv.join(' ')}`, await this.whack(argv), this.#logFile);
  }

  /** Has pluto misbehave until `impair([])`; see `whack --impair help`. */
  async impair(impairments: readonly string[]): Promise<void> {
    await this.must(['--impair', 'none']);
    for (const impairment of impairments) {
      await this.must(['--impair', impairment]);
    }
  }

  /** Does not wait: it would wait for as long as pluto tries. */
  async initiate(connection = connectionName): Promise<void> {
    await this.whack(['--initiate', '--name', connection, '--asynchronous']);
  }

  async sas(): Promise<readonly IkePeerSa[]> {
    return statesOf(await this.must(['--showstates']));
  }

  /** Asks the other end for a sign of life. */
  async probe(ikeSa: IkePeerSa): Promise<void> {
    await this.must(['--impair', `initiate-v2-liveness:${ikeSa.name}`]);
  }

  async rekeyIkeSa({ name }: IkePeerSa): Promise<void> {
    await this.#rekey(name);
  }

  async rekeyChildSa({ name }: IkePeerChildSa): Promise<void> {
    await this.#rekey(name);
  }

  async deleteIkeSas(): Promise<void> {
    for (const name of this.#loaded) {
      await this.must(['--terminate', '--name', name]);
    }
  }

  async deleteChildSa({ name }: IkePeerChildSa): Promise<void> {
    await this.must(['--deletestate', name]);
  }

  /** As its timer would; `--rekey-ike` and `--rekey-ipsec` take the SA they like best. */
  async #rekey(name: string): Promise<void> {
    await this.must(['--impair', `event-v2-rekey:${name}`, '--asynchronous']);
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }

  #write(connections: readonly IkePeerConnection[]): void {
    const text = connections.map((settings) => connection(this.#topology, this.node, settings));
    writeFileSync(this.#file('ipsec.conf'), `version 2\nconfig setup\n${text.join('')}`);
    const secrets = connections.map((settings) => {
      const { localId, remoteId, secret } = described(this.#topology, this.node, settings);
      return `@${localId} @${remoteId} : PSK "${secret}"\n`;
    });
    writeFileSync(this.#file('ipsec.secrets'), secrets.join(''));
  }
}

function connection(topology: Topology, node: GatewayNode, settings: IkePeerConnection): string {
  const ends = described(topology, node, settings);
  const lines = [
    ...['ikev2=yes', 'authby=secret', 'auto=ignore'],
    ...[`left=${ends.local}`, `leftid=@${ends.localId}`, `leftsubnet=${ends.localTs}`],
    ...[`right=${ends.remote}`, `rightid=@${ends.remoteId}`, `rightsubnet=${ends.remoteTs}`],
    ...[`ike=${settings.ike ?? 'aes256-sha2_256;dh31'}`],
    ...[`esp=${settings.esp ?? 'aes_gcm128-null'}`],
    // There is nothing to route, and the script that is found would be another's.
    'leftupdown=%disabled',
    ...(settings.further ?? ['pfs=no']),
  ];
  return `conn ${ends.name}\n${lines.map((line) => `    ${line}\n`).join('')}`;
}

/**
 *   000 #1: "peer":4500 STATE_V2_ESTABLISHED_IKE_SA (...); ...
 *   000 #2: "peer":4500 STATE_V2_ESTABLISHED_CHILD_SA (...); ...; IKE SA #1; ...
 *   000 #2: "peer" esp.2672a927@192.0.2.1 esp.fe641657@192.0.2.2 tun.0@...
 *
 * The SPI it sends with comes first.
 */
function statesOf(text: string): readonly IkePeerSa[] {
  const established = [...text.matchAll(/^000 #(\d+): .*STATE_V2_ESTABLISHED_IKE_SA /gm)];
  return established.map(([, name = '']) => ({
    name,
    spis: undefined,
    children: [
      ...text.matchAll(
        new RegExp(`^000 #(\\d+): .*STATE_V2_ESTABLISHED_CHILD_SA .*; IKE SA #${name};`, 'gm'),
      ),
    ].flatMap(([, child = '']) => childSa(text, child)),
  }));
}

function childSa(text: string, name: string): readonly IkePeerChildSa[] {
  const spis = new RegExp(`^000 #${name}: .* esp\\.([0-9a-f]+)@\\S+ esp\\.([0-9a-f]+)@`, 'm');
  const [, spiOut = '', spiIn = ''] = spis.exec(text) ?? [];
  return spiOut === '' ? [] : [{ name, spiIn: hex8(spiIn), spiOut: hex8(spiOut) }];
}

function hex8(spi: string): string {
  return spi.padStart(8, '0');
}
