/**
 * The way to the NATS servers: the client library, TLS, credentials, and which servers are good enough.
 *
 * The library is an optional dependency and loaded only here; without it the `nats` bus says what to install.
 */
import type { JetStreamApiError } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import type { Purge } from './nats-burial.ts';
import { engineKey } from './nats-key.ts';

export interface NatsServers {
  /** `host:port` of each; any of them will do. With TLS by the names in their certificates. */
  readonly servers: readonly string[];
  /** PEM texts. Without them nothing is encrypted on the way but the values themselves. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  readonly credentials?:
    | { readonly user: string; readonly password: string }
    /** Text of a `.creds` file. */
    | { readonly creds: string };
}

export interface NatsBucket {
  readonly bucket: string;
  readonly replicas: number;
  readonly storage: 'memory' | 'file';
}

/** Connects, looks at the server's version, and opens or makes the bucket. */
export async function openNats(
  servers: NatsServers,
  { bucket, replicas, storage }: NatsBucket,
): Promise<{ readonly connection: NatsConnection; readonly kv: KV; readonly purge: Purge }> {
  const { transport, jetstream, kv, core } = await loadLibrary();
  const options = connectionOptions(servers);
  const { credentials } = servers;
  const authenticated =
    credentials !== undefined && 'creds' in credentials
      ? {
          ...options,
          authenticator: core.credsAuthenticator(new TextEncoder().encode(credentials.creds)),
        }
      : options;
  const connection = await transport.connect(authenticated);
  try {
    checkServer(connection);
    const client = jetstream.jetstream(connection, { timeout: REQUEST_MILLISECONDS });
    const type = storage === 'memory' ? jetstream.StorageType.Memory : jetstream.StorageType.File;
    const opened = await new kv.Kvm(client).create(bucket, { replicas, storage: type, history: 1 });
    const { streams } = await jetstream.jetstreamManager(connection);
    const purge = async (key: string, sequence: number): Promise<void> => {
      const filter = `$KV.${bucket}.${engineKey(key)}`;
      await streams.purge(`KV_${bucket}`, { filter, seq: sequence + 1 });
    };
    return { connection, kv: opened, purge };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Throws for a server that loses what it acknowledged. */
export function checkServer(connection: NatsConnection): void {
  const { version = 'unknown', server_name: name = 'a server' } = connection.info ?? {};
  if (serverVerdict(version) === 'refuse') {
    throw new Error(`${name} is nats-server ${version}, which loses streams: 2.10.23 or later`);
  }
}

/** What to think of a server's version. */
export function serverVerdict(version: string): 'fine' | 'old' | 'refuse' {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  if (major === 2 && minor === 10 && patch >= 20 && patch <= 22) return 'refuse';
  return major > 2 || (major === 2 && minor >= 11) ? 'fine' : 'old';
}

/** Whether a write was refused because the key has another revision. */
export function isWrongRevision(error: unknown): boolean {
  return isApiError(error) && error.code === WRONG_LAST_SEQUENCE;
}

function isApiError(error: unknown): error is JetStreamApiError {
  return error instanceof Error && error.name === 'JetStreamApiError' && 'code' in error;
}

function connectionOptions({ servers, tls, credentials }: NatsServers): ConnectionOptions {
  return {
    servers: [...servers],
    // What servers tell of one another are addresses, which no certificate is looked at for.
    ignoreClusterUpdates: true,
    // For as long as it takes: the cluster works without its engine.
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MILLISECONDS,
    pingInterval: PING_MILLISECONDS,
    maxPingOut: 2,
    timeout: REQUEST_MILLISECONDS,
    ...(tls ? { tls: { ca: tls.ca, ...(tls.cert && tls.key ? tls : {}) } } : {}),
    ...(credentials && 'user' in credentials
      ? { user: credentials.user, pass: credentials.password }
      : {}),
  };
}

async function loadLibrary(): Promise<{
  readonly transport: typeof import('@nats-io/transport-node');
  readonly jetstream: typeof import('@nats-io/jetstream');
  readonly kv: typeof import('@nats-io/kv');
  readonly core: typeof import('@nats-io/nats-core');
}> {
  try {
    const [transport, jetstream, kv, core] = await Promise.all([
      import('@nats-io/transport-node'),
      import('@nats-io/jetstream'),
      import('@nats-io/kv'),
      import('@nats-io/nats-core'),
    ]);
    return { transport, jetstream, kv, core };
  } catch (error) {
    const names = '@nats-io/transport-node @nats-io/jetstream @nats-io/kv';
    throw new Error(`the nats bus needs ${names}: npm install ${names}`, { cause: error });
  }
}

const WRONG_LAST_SEQUENCE = 10_071;
const RECONNECT_MILLISECONDS = 250;
const PING_MILLISECONDS = 2000;
const REQUEST_MILLISECONDS = 2000;
