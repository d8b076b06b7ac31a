/**
 * `npm run lab -- SCENARIO [--keep]`, `npm run lab -- cluster [options]`, `npm run lab -- list [--json]`,
 * `npm run lab -- help`.
 *
 * Plays one scenario and draws what passed between the gateways. With `--keep` the tunnel stays
 * until Enter or Ctrl-C, for a look around. Ends 0 when it went as it should, 2 on wrong usage.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { clusterModes } from './cluster-conf.ts';
import { type IkePeerScenario, playWithIkePeer } from './ike-peer-scenario.ts';
import { requirePrerequisites } from './prerequisites.ts';
import { play, type Scenario, type Stage } from './scenario.ts';
import { type ClusterScenario, playCluster } from './scenarios/cluster.ts';
import { crossing, libreswan } from './scenarios/ike-peers.ts';
import { ipv6 } from './scenarios/ipv6.ts';
import { loss } from './scenarios/loss.ts';
import { nat, natResponder } from './scenarios/nat.ts';
import { invalidKe, noProposal, pskMismatch } from './scenarios/refused.ts';
import {
  siteToSite,
  siteToSiteResponder,
  strongSwanToStrongSwan,
  tsgwToTsgw,
} from './scenarios/site-to-site.ts';

const scenarios: readonly (Scenario | IkePeerScenario)[] = [
  siteToSite,
  siteToSiteResponder,
  tsgwToTsgw,
  strongSwanToStrongSwan,
  ipv6,
  nat,
  natResponder,
  loss,
  invalidKe,
  pskMismatch,
  noProposal,
  libreswan,
  crossing,
];

/** It has a network of its own, and options. */
const cluster = {
  name: 'cluster',
  shows: 'two tsgw that are one gateway: one dies and comes back, and what a client sees of it',
};

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...options] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    console.log(usage);
    return 0;
  }
  if (word === 'list') {
    return list(options);
  }
  if (word === cluster.name) {
    return clusterToTheEnd(options);
  }
  const scenario = scenarios.find(({ name }) => name === word);
  // What such a scenario shows is over when it ends.
  const known = scenario !== undefined && 'life' in scenario ? [] : ['--keep'];
  const unknown = options.find((option) => !known.includes(option));
  if (scenario === undefined || unknown !== undefined) {
    const what = scenario === undefined ? `scenario ${word}` : `option ${unknown}`;
    console.error(`no ${what}\n\n${usage}`);
    return 2;
  }
  return playToTheEnd(scenario, options.includes('--keep'));
}

function list(options: readonly string[]): number {
  const rows = [...scenarios, cluster].map(({ name, shows }) => ({ name, shows }));
  if (options.includes('--json')) {
    console.log(JSON.stringify(rows, undefined, 2));
  } else {
    const width = Math.max(...rows.map(({ name }) => name.length));
    console.log(rows.map(({ name, shows }) => `${name.padEnd(width)}  ${shows}`).join('\n'));
  }
  return 0;
}

async function playToTheEnd(scenario: Scenario | IkePeerScenario, keep: boolean): Promise<number> {
  try {
    requirePrerequisites();
    if ('life' in scenario) {
      await playWithIkePeer(scenario, console.log);
      return 0;
    }
    const traffic = async (stage: Stage): Promise<void> => {
      await scenario.traffic?.(stage);
      await stay(stage);
    };
    await play(keep ? { ...scenario, traffic } : scenario, console.log);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

async function clusterToTheEnd(options: readonly string[]): Promise<number> {
  const scenario = clusterScenario(options);
  if (typeof scenario === 'string') {
    console.error(`${scenario}\n\n${usage}`);
    return 2;
  }
  try {
    requirePrerequisites();
    await playCluster(scenario, console.log, async ({ network, cluster: { names } }) => {
      if (!scenario.keep) return;
      for (const name of ['client', 'router', ...names, 'host']) {
        console.log(`a shell at ${name}: ip netns exec ${network.name(name)} bash`);
      }
      await enter();
    });
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

/** Or what is wrong with the options. */
function clusterScenario(
  argv: readonly string[],
): (ClusterScenario & { readonly keep: boolean }) | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        mode: { type: 'string', default: 'active-passive' },
        nodes: { type: 'string', default: '2' },
        family: { type: 'string', default: 'ipv4' },
        keep: { type: 'boolean', default: false },
      },
    });
    const mode = clusterModes.find((each) => each === values.mode);
    const nodes = ([2, 3] as const).find((each) => String(each) === values.nodes);
    const family = (['ipv4', 'ipv6'] as const).find((each) => each === values.family);
    if (mode === undefined) return `--mode ${values.mode}: one of ${clusterModes.join(', ')}`;
    if (nodes === undefined) return `--nodes ${values.nodes}: 2 or 3`;
    if (family === undefined) return `--family ${values.family}: ipv4 or ipv6`;
    return { mode, nodes, family, keep: values.keep };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function stay({ topology, g1, g2, say }: Stage): Promise<void> {
  say('');
  for (const node of ['h1', 'g1', 'g2', 'h2']) {
    say(`a shell at ${node}: ip netns exec ${topology.network.name(node)} bash`);
  }
  for (const { node, swanctl } of [g1, g2]) {
    say(`swanctl at ${node}: swanctl --list-sas --uri ${swanctl.uri}`);
  }
  await enter();
}

async function enter(): Promise<void> {
  console.log('Enter ends it.');
  await once(process.stdin, 'data');
  process.stdin.destroy();
}

const usage = `usage: npm run lab -- SCENARIO [--keep]
       npm run lab -- cluster [--mode ${clusterModes.join('|')}] [--nodes 2|3] [--family ipv4|ipv6] [--keep]
       npm run lab -- list [--json]
       npm run lab -- help

Builds h1 - g1 = g2 - h2 in network namespaces, plays the scenario, prints the exchange as a
ladder and removes everything again. --keep waits for Enter before that.
cluster: client - router - nodes - host; what the client sees when a node dies and comes back.`;

process.exitCode = await main(process.argv.slice(2));
