/**
 * A tunnel of two IPsec gateways, each tsgw or strongSwan, with one Child SA that is up.
 *
 *   10.1.0.0/16 ---- g1 ==== ESP in UDP ==== g2 ---- 10.2.0.0/16
 *
 * strongSwan's userspace ESP always goes in UDP: all do, but for a tunnel that says otherwise.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import type { Gateway, GatewayKind } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { StrongSwanGateway } from './strongswan.ts';
import { childName, type PairSettings, swanctlConf } from './swanctl-conf.ts';
import type { GatewayNode, Topology } from './topology.ts';
import { TsgwGateway } from './tsgw.ts';
import { tsgw } from './tsgw-process.ts';
import { NotAvailable, type Tunnel, type TunnelTerms } from './tunnel.ts';

export interface IpsecTunnelOptions extends TunnelTerms {
  /** At g1 and at g2. */
  readonly kinds: readonly [GatewayKind, GatewayKind];
  readonly encapsulation?: 'none';
  /** Further `key = value` of tsgw's section `gateway { }`. */
  readonly own?: Readonly<Record<string, string>>;
  /** Further settings of the connection. */
  readonly pair?: PairSettings;
  /** Further connections and secrets of both gateways, as swanctl.conf. */
  readonly furtherConf?: string;
}

export class IpsecTunnel implements Tunnel {
  readonly gateways: readonly Gateway[];

  private constructor(gateways: readonly Gateway[]) {
    this.gateways = gateways;
  }

  /** Throws `NotAvailable` where this tsgw does not take `own`. */
  static async start(topology: Topology, options: IpsecTunnelOptions): Promise<IpsecTunnel> {
    const { network } = topology;
    await mustTakeSettings(network, options);
    const nodes: readonly GatewayNode[] = ['g1', 'g2'];
    const tunnel = new IpsecTunnel(
      nodes.map((node, index) => gatewayOf(options.kinds[index] ?? 'tsgw', network, node)),
    );
    try {
      await tunnel.#bringUp(topology, options);
      return tunnel;
    } catch (error) {
      await tunnel.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.gateways.map((each) => each.stop()));
  }

  async #bringUp(topology: Topology, options: IpsecTunnelOptions): Promise<void> {
    const { family, cipher, encapsulation, own, pair, furtherConf = '' } = options;
    const encap = encapsulation === 'none' ? 'no' : 'yes';
    for (const each of this.gateways) {
      await startWith(each, own);
      const conf = swanctlConf(topology, each.node, [
        {
          ...{ outer: family, inner: family, espProposals: cipher },
          ...pair,
          connection: { encap, ...pair?.connection },
        },
      ]);
      await each.swanctl.load(`${conf}${furtherConf}`);
    }
    await this.gateways[0]?.swanctl.must(['--initiate', '--child', childName]);
  }
}

/** A gateway that is not started yet. */
export function gatewayOf(kind: GatewayKind, network: Network, node: GatewayNode): Gateway {
  return kind === 'tsgw' ? new TsgwGateway(network, node) : new StrongSwanGateway(network, node);
}

/** A daemon that knows a setting may still lack what it asks for, and says so as it ends. */
async function startWith(gateway: Gateway, own: IpsecTunnelOptions['own']): Promise<void> {
  if (own === undefined) return gateway.start();
  try {
    await gateway.start({ own });
  } catch (error) {
    throw new NotAvailable(`${settingsText(own)}: ${complaint(gateway.log()) ?? String(error)}`);
  }
}

async function mustTakeSettings(
  network: Network,
  { kinds, own }: Pick<IpsecTunnelOptions, 'kinds' | 'own'>,
): Promise<void> {
  if (own === undefined || !kinds.includes('tsgw')) return;
  const directory = join(network.directory, 'settings');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'tsgw.conf');
  const lines = Object.entries(own).map(([key, value]) => `  ${key} = ${value}\n`);
  writeFileSync(file, `gateway {\n${lines.join('')}}\n`);
  const { status, stdout, stderr } = await run([tsgw, 'check', file], { mayFail: true });
  if (status === 0) return;
  const [first = ''] = `${stdout}${stderr}`.replaceAll(`${file}:`, 'line ').split('\n');
  throw new NotAvailable(`this tsgw does not take ${settingsText(own)} (${first})`);
}

function settingsText(own: Readonly<Record<string, string>>): string {
  return Object.entries(own)
    .map(([key, value]) => `gateway.${key} = ${value}`)
    .join(', ');
}

/** What a tsgw that did not come up says of itself, beside its events. */
function complaint(log: string): string | undefined {
  return log.split('\n').find((line) => line.startsWith('tsgw: '));
}
