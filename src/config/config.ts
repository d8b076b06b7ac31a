/**
 * A configuration file becomes a frozen Config, or all that is wrong with it at once.
 */
import type { PoolPolicy } from '../ipsec/address-pool.ts';
import type { Connection } from '../ipsec/connection.ts';
import { checkSection } from './check-section.ts';
import type { ClusterConfig } from './cluster-config.ts';
import { readCluster } from './cluster-section.ts';
import { readConnection } from './connection.ts';
import { ConfigErrors, type ConfigWarning, Findings } from './findings.ts';
import { type GatewaySettings, readGatewaySettings } from './gateway-settings.ts';
import { parseSettings, type ReadFiles } from './grammar.ts';
import { readPools, warnOfMissingPools } from './pools.ts';
import { type ResolvedSettings, resolveReferences } from './references.ts';
import { CONFIGURATION } from './schema.ts';
import { type ConfiguredSecret, readSecrets } from './secrets.ts';
import { ConfigError, type Section } from './section.ts';

export interface Config {
  readonly gateway: GatewaySettings;
  readonly connections: readonly Connection[];
  readonly secrets: readonly ConfiguredSecret[];
  readonly pools: readonly PoolPolicy[];
  /** Unset = this node is alone. */
  readonly cluster?: ClusterConfig;
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads a configuration. Throws `ConfigErrors`: a fault of grammar alone, because nothing behind
 * it can be read, otherwise every error of the file and what it includes.
 */
export function loadConfig(text: string, file: string, readFiles: ReadFiles): Config {
  return readConfig(parsed(text, file, readFiles));
}

/** The same with the settings it was read from, for who wants to say where something stands. */
export function loadWithSettings(
  text: string,
  file: string,
  readFiles: ReadFiles,
): { readonly config: Config; readonly settings: Section } {
  const resolved = parsed(text, file, readFiles);
  return { config: readConfig(resolved), settings: resolved.root };
}

function readConfig({ root, templates }: ResolvedSettings): Config {
  const findings = new Findings();
  checkSection(withoutConnections(root, templates), CONFIGURATION, '', findings);
  const gateway = readGatewaySettings(root.sections.get('gateway'), findings);
  const connections: Connection[] = [];
  for (const [name, section] of root.sections.get('connections')?.sections ?? []) {
    connections.push(readConnection(name, section, findings));
  }
  const secrets = readSecrets(root.sections.get('secrets'), findings);
  const pools = readPools(root.sections.get('pools'), findings);
  const clusterSection = root.sections.get('cluster');
  const cluster = readCluster(clusterSection, findings);
  const names = [...pools, ...(cluster?.ha?.pools ?? [])].map(({ name }) => name);
  warnOfMissingPools(root.sections.get('connections'), names, findings);
  if (clusterSection !== undefined && cluster?.bus === 'nats') {
    const what = `cluster.bus = ${cluster.bus} is read and not spoken yet`;
    findings.warn(clusterSection.at, `${what}: nodes share state over UDP`);
  }
  if (findings.errors.length > 0) throw new ConfigErrors(findings.errors);
  return Object.freeze({
    gateway,
    connections: Object.freeze(connections),
    secrets: Object.freeze(secrets),
    pools: Object.freeze(pools),
    ...(cluster && { cluster }),
    warnings: Object.freeze(findings.warnings),
  });
}

function parsed(text: string, file: string, readFiles: ReadFiles): ResolvedSettings {
  try {
    return resolveReferences(parseSettings({ file, text }, readFiles));
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigErrors([error]);
    throw error;
  }
}

/** What is left to check: connections check themselves, templates are checked where they are used. */
function withoutConnections(root: Section, templates: ReadonlySet<string>): Section {
  const sections = new Map<string, Section>();
  for (const [name, section] of root.sections) {
    const template = templates.has(name) && !Object.hasOwn(CONFIGURATION.sections, name);
    if (name === 'connections') sections.set(name, { ...section, sections: new Map() });
    else if (!template) sections.set(name, section);
  }
  return { ...root, sections };
}
