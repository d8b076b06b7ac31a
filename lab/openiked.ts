/**
 * iked of OpenIKED in a namespace, as an IKE peer (see ike-peer.ts).
 *
 * Driven by its own `ikectl`. What that cannot ask for is asked of the stand-in for PF_KEY:
 * a Child SA is rekeyed when its soft lifetime ends, deleted when its hard one does. Its timers
 * run ten times as fast as they say.
 */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, launch, run, until } from './command.ts';
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

const programs = join(unpacked('openiked'), 'usr/sbin');

export class OpenIked implements IkePeer {
  readonly kind = 'openiked';
  readonly node: GatewayNode;
  readonly network: Topology['network'];
  readonly #topology: Topology;
  readonly #directory: string;
  readonly #logFile: string;
  #process: ChildProcess | undefined;
  #loaded: readonly IkePeerConnection[] = [];

  constructor(topology: Topology, node: GatewayNode) {
    this.node = node;
    this.network = topology.network;
    this.#topology = topology;
    this.#directory = join(topology.network.directory, `${node}-openiked`);
    this.#logFile = join(this.#directory, 'iked.log');
  }

  log(): string {
    return readLog(this.#logFile);
  }

  async start(): Promise<void> {
    const etc = this.#file('etc');
    makeEtc(etc, this.#file('empty'));
    this.#write([]);
    const expiries = this.#file('expiries');
    if (!existsSync(expiries)) {
      await run(['mkfifo', expiries]);
    }
    const library = await compileShim('pfkey', this.#directory);
    this.#process = launch(
      [
        ...behindShim(this.network, this.node, [`mount --bind ${etc} /etc`], library),
        ...[join(programs, 'iked'), '-d', '-v'],
        ...['-f', this.#file('iked.conf'), '-s', this.#file('iked.sock')],
      ],
      { logFile: this.#logFile, env: { PFKEY_EXPIRE: expiries } },
    );
    // The first exchange fails until its control socket was used once.
    await until(`iked at ${this.node} to answer`, async () => {
      if (this.#process === undefined || !alive(this.#process)) {
        throw new Error(`iked at ${this.node} does not run\n${this.log()}`);
      }
      const { status } = await this.#ikectl(['show', 'sa']);
      return status === 0 || undefined;
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
    this.#loaded = connections;
    await this.#reload('passive');
  }

  /** An active policy starts a while after it was loaded. */
  async initiate(connection = connectionName): Promise<void> {
    await this.#reload('active', connection);
  }

  async sas(): Promise<readonly IkePeerSa[]> {
    return sasOf(await this.#must(['show', 'sa']));
  }

  async rekeyChildSa({ spiIn }: IkePeerChildSa): Promise<void> {
    writeFileSync(this.#file('expiries'), `soft ${spiIn}\n`);
  }

  async deleteIkeSas(): Promise<void> {
    await this.#must(['reset', 'sa']);
  }

  async deleteChildSa({ spiIn }: IkePeerChildSa): Promise<void> {
    writeFileSync(this.#file('expiries'), `hard ${spiIn}\n`);
  }

  #ikectl(argv: readonly string[]) {
    return run([join(programs, 'ikectl'), '-s', this.#file('iked.sock'), ...argv], {
      mayFail: true,
      timeout: 10_000,
    });
  }

  async #must(argv: readonly string[]): Promise<string> {
    return must(`ikectl ${argv.join(' ')}`, await this.#ikectl(argv), this.#logFile);
  }

  async #reload(mode: 'active' | 'passive', only?: string): Promise<void> {
    const text = this.#loaded.map((settings) =>
      policy(this.#topology, this.node, settings, mode, only),
    );
    this.#write(text);
    await this.#must(['load', this.#file('iked.conf')]);
    await this.#must(['show', 'sa']);
  }

  #write(policies: readonly string[]): void {
    // It holds secrets: iked reads it only when nobody else can.
    writeFileSync(this.#file('iked.conf'), policies.join(''), { mode: 0o600 });
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

/** All of /etc that iked sees: its user, its directories and a key it wants to have. */
function makeEtc(etc: string, home: string): void {
  const folders = ['ca', 'certs', 'crls', 'private', 'pubkeys/fqdn', 'pubkeys/ipv4'];
  for (const folder of [home, ...folders.map((name) => join(etc, 'iked', name))]) {
    mkdirSync(folder, { recursive: true });
  }
  writeFileSync(
    join(etc, 'passwd'),
    `root:x:0:0::/root:/bin/sh\n_iked:x:64999:64999::${home}:/bin/false\n`,
  );
  writeFileSync(join(etc, 'group'), 'root:x:0:\n_iked:x:64999:\n');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(
    join(etc, 'iked/private/local.key'),
    privateKey.export({ type: 'sec1', format: 'pem' }),
    { mode: 0o600 },
  );
  writeFileSync(join(etc, 'iked/local.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

function policy(
  topology: Topology,
  node: GatewayNode,
  settings: IkePeerConnection,
  mode: 'active' | 'passive',
  only: string | undefined,
): string {
  const ends = described(topology, node, settings);
  const ike = settings.ike ?? 'enc aes-256 prf hmac-sha2-256 auth hmac-sha2-256 group curve25519';
  // Its Linux build has neither AES-GCM nor SHA2-256 for Child SAs.
  const esp = settings.esp ?? 'enc aes-256 auth hmac-sha2-512 group none noesn';
  return [
    `ikev2 "${ends.name}" ${only === undefined || only === ends.name ? mode : 'passive'} esp`,
    `from ${ends.localTs} to ${ends.remoteTs} local ${ends.local} peer ${ends.remote}`,
    `ikesa ${ike} childsa ${esp} srcid ${ends.localId} dstid ${ends.remoteId}`,
    ...(settings.further ?? []),
    `psk "${ends.secret}"\n`,
  ].join(' ');
}

/**
 *   iked_sas: 0x.. rspi 0x813b68dec116f6b5 ispi 0xc0eef3bf3c637dc9 ... ESTABLISHED r ...
 *     sa_childsas: 0x.. ESP 0xc2f95d0c in ... (LA) B=(nil) P=0x5650160e6400 @...
 *     sa_childsas: 0x5650160e6400 ESP 0x811e0722 out ...
 */
function sasOf(text: string): readonly IkePeerSa[] {
  const sas: IkePeerSa[] = [];
  for (const block of text.split(/^(?=iked_)/m)) {
    const [, responder = '', initiator = ''] =
      /^iked_sas: \S+ rspi 0x([0-9a-f]+) ispi 0x([0-9a-f]+) .* ESTABLISHED /.exec(block) ?? [];
    if (initiator !== '') {
      const spis = [initiator.padStart(16, '0'), responder.padStart(16, '0')] as const;
      sas.push({ name: spis[0], spis, children: childSas(block) });
    }
  }
  return sas;
}

function childSas(block: string): readonly IkePeerChildSa[] {
  const halves = [
    ...block.matchAll(/sa_childsas: (\S+) ESP 0x([0-9a-f]+) (in|out) .* P=(\S+) @/g),
  ].map(([, name = '', spi = '', direction = '', other = '']) => ({ name, spi, direction, other }));
  return halves.flatMap(({ name, spi, direction, other }) => {
    const outbound = halves.find((half) => half.name === other);
    return direction === 'in' && outbound !== undefined
      ? [{ name, spiIn: spi.padStart(8, '0'), spiOut: outbound.spi.padStart(8, '0') }]
      : [];
  });
}
