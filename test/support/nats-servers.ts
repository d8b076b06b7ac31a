/**
 * Three real NATS servers on loopback ports, with JetStream in directories of their own, TLS both ways
 * and credentials. Everything is gone afterwards.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import type { NatsServers } from '../../src/io/nats-connection.ts';

const PROGRAM = resolve('build/peers/nats-server/usr/sbin/nats-server');
const USER = 'tsgw';
const PASSWORD = 'a password of the tests';

export class NatsCluster {
  readonly directory = mkdtempSync(join(tmpdir(), 'tsgw-nats-'));
  readonly #children: (ChildProcess | undefined)[] = [];
  #clientPorts: readonly number[] = [];
  #routePorts: readonly number[] = [];

  static async start(): Promise<NatsCluster> {
    const cluster = new NatsCluster();
    cluster.#makeCertificates();
    const ports = await freePorts(6);
    cluster.#clientPorts = ports.slice(0, 3);
    cluster.#routePorts = ports.slice(3);
    for (const number of [0, 1, 2]) cluster.run(number);
    return cluster;
  }

  get servers(): NatsServers {
    return {
      servers: this.#clientPorts.map((port) => `localhost:${port}`),
      tls: { ca: this.#read('ca.pem'), cert: this.#read('node.pem'), key: this.#read('node.key') },
      credentials: { user: USER, password: PASSWORD },
    };
  }

  /** For who speaks to the servers directly. */
  get login(): NodeConnectionOptions {
    const { servers } = this.servers;
    const tls = {
      ca: this.#read('ca.pem'),
      cert: this.#read('node.pem'),
      key: this.#read('node.key'),
    };
    return { servers: [...servers], tls, user: USER, pass: PASSWORD, ignoreClusterUpdates: true };
  }

  /** Names of the servers, by number. */
  nameOf(number: number): string {
    return `server-${number}`;
  }

  run(number: number): void {
    const file = join(this.directory, `${number}.conf`);
    writeFileSync(file, this.#configuration(number));
    this.#children[number] = spawn(PROGRAM, ['-c', file], { stdio: 'ignore' });
  }

  async kill(number: number, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#children[number];
    if (!child) return;
    this.#children[number] = undefined;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** All octets the servers keep. */
  stored(): Buffer {
    const files = execFileSync('find', [this.directory, '-type', 'f', '-path', '*jetstream*'], {
      encoding: 'utf8',
    });
    const names = files.split('\n').filter((name) => name !== '');
    return Buffer.concat(names.map((name) => readFileSync(name)));
  }

  async stop(): Promise<void> {
    for (const number of [0, 1, 2]) await this.kill(number);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #configuration(number: number): string {
    const tls = `tls { cert_file: "${this.#path('node.pem')}", key_file: "${this.#path('node.key')}",
      ca_file: "${this.#path('ca.pem')}", verify: true }`;
    const routes = this.#routePorts.map((port) => `"nats-route://127.0.0.1:${port}"`);
    return `server_name: ${this.nameOf(number)}
listen: "127.0.0.1:${this.#clientPorts[number]}"
${tls}
authorization { user: "${USER}", password: "${PASSWORD}" }
jetstream { store_dir: "${this.#path(`store-${number}`)}", max_mem: 64MB, max_file: 256MB }
cluster { name: tsgw, listen: "127.0.0.1:${this.#routePorts[number]}", routes: [${routes.join(', ')}]
  ${tls} }
`;
  }

  #makeCertificates(): void {
    const run = (...argv: readonly string[]): void => {
      execFileSync('openssl', [...argv], { cwd: this.directory, stdio: 'ignore' });
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=tests CA');
    run('req', ...key, '-keyout', 'node.key', '-out', 'node.csr', '-subj', '/CN=node');
    writeFileSync(this.#path('san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    const sign = ['x509', '-req', '-in', 'node.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key'];
    run(...sign, '-CAcreateserial', '-extfile', 'san', '-out', 'node.pem');
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #read(name: string): string {
    return readFileSync(this.#path(name), 'utf8');
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    }),
  );
  for (const server of servers) server.close();
  return ports;
}
