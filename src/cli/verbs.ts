/**
 * The verbs of `tsgw`: the one table behind the dispatch, the help and the manual.
 */
import { packageVersion } from '../io/system.ts';
import { capture } from './capture.ts';
import { check } from './check.ts';
import { CLUSTER_VERBS } from './cluster-verbs.ts';
import { complain } from './daemon.ts';
import { doctor } from './doctor.ts';
import { ExitCode } from './exit-code.ts';
import { groupOverview, manual, overview, verbHelp } from './help.ts';
import { initiate, rekey, terminate } from './initiate.ts';
import { conns } from './list-conns.ts';
import { sad, spd, status } from './list-daemon.ts';
import { policies, pools } from './list-policies.ts';
import { sas } from './list-sas.ts';
import { log } from './log.ts';
import { RUN } from './run-options.ts';
import { trace } from './trace.ts';
import { type Call, JSON_OPTION, URI_OPTIONS, type Verb } from './verb.ts';
import { why } from './why.ts';

const listing = { ...JSON_OPTION, ...URI_OPTIONS };

const TIMEOUT = {
  timeout: { value: 'SECONDS', help: 'wait no longer; what was started goes on (0: for ever)' },
};

export const VERBS: readonly Verb[] = [
  RUN,
  {
    name: 'status',
    summary: 'the daemon: version, uptime, SAs, what it dropped and why',
    description:
      'Counts of dropped packets and datagrams stand by reason; see also tsgw sad. Libraries that ' +
      'cipher packets stand with their ciphers (gateway.aead), threads that move packets with what ' +
      'they did (gateway.workers).',
    operands: [],
    options: listing,
    examples: [
      ['tsgw status', 'for people'],
      ['tsgw status --json', 'for monitoring'],
    ],
    run: status,
  },
  {
    name: 'sas',
    summary: 'IKE SAs with their Child SAs',
    description:
      'One row per SA, Child SAs below their IKE SA, and below them what was dropped of their packets, by ' +
      'reason. The JSON has the keys of vici: those that swanctl --list-sas --raw prints, and dropped-in ' +
      'and dropped-out.',
    operands: [],
    options: {
      ike: { value: 'NAME', help: 'only IKE SAs of this connection' },
      child: { value: 'NAME', help: 'only Child SAs of this name' },
      ...listing,
    },
    examples: [
      ['tsgw sas', 'all of them'],
      ['tsgw sas --ike peer --json', 'those of one connection, as JSON'],
    ],
    run: sas,
  },
  {
    name: 'spd',
    summary: 'the Security Policy Database, in the order of look-up',
    description: 'Which traffic is protected by which Child SA, bypassed or discarded.',
    operands: [],
    options: listing,
    examples: [['tsgw spd', 'the policies of both directions']],
    run: spd,
  },
  {
    name: 'sad',
    summary: 'the Security Association Database: one row per SA and direction',
    description:
      'With sequence numbers, replay window, counters, dropped packets and the MTU that fits.',
    operands: [],
    options: listing,
    examples: [['tsgw sad --json', 'counters for monitoring']],
    run: sad,
  },
  {
    name: 'conns',
    summary: 'the connections that are loaded',
    description: 'Loaded from the configuration or through swanctl, with their children.',
    operands: [],
    options: { ike: { value: 'NAME', help: 'only this connection' }, ...listing },
    examples: [['tsgw conns', 'all of them']],
    run: conns,
  },
  {
    name: 'initiate',
    summary: 'bring a connection up, showing each exchange as it happens',
    description:
      'Sets up the IKE SA where there is none, and the child. When it fails it says which side ' +
      'refused what: offered against accepted, transform by transform.',
    operands: [{ name: 'CHILD', required: false, help: 'the child to set up' }],
    options: {
      child: { value: 'NAME', help: 'the same' },
      ike: { value: 'NAME', help: 'of this connection; alone: the IKE SA without a child' },
      ...TIMEOUT,
      ...URI_OPTIONS,
    },
    examples: [
      ['tsgw initiate net', 'set up the child net'],
      ['tsgw initiate net --ike peer --timeout 10', 'of the connection peer, within 10 s'],
    ],
    run: initiate,
  },
  {
    name: 'terminate',
    summary: 'delete SAs and tell the peer',
    description: 'Deletes Child SAs by name or number, or IKE SAs with all their children.',
    operands: [{ name: 'CHILD', required: false, help: 'Child SAs of this name' }],
    options: {
      child: { value: 'NAME', help: 'the same' },
      ike: { value: 'NAME', help: 'IKE SAs of this connection' },
      'child-id': { value: 'NUMBER', help: 'one Child SA' },
      'ike-id': { value: 'NUMBER', help: 'one IKE SA' },
      force: { help: 'do not wait for the peer' },
      ...TIMEOUT,
      ...URI_OPTIONS,
    },
    examples: [
      ['tsgw terminate net', 'the Child SAs called net'],
      ['tsgw terminate --ike peer', 'the IKE SAs of a connection'],
    ],
    run: terminate,
  },
  {
    name: 'rekey',
    summary: 'replace SAs by new ones, before their time',
    description:
      'Child SAs where a child is named, else IKE SAs. The old SA receives until the peer has moved ' +
      'to the new one: no packet is lost. With --reauth IKE SAs are made anew from the start.',
    operands: [{ name: 'CHILD', required: false, help: 'Child SAs of this name' }],
    options: {
      child: { value: 'NAME', help: 'the same' },
      ike: { value: 'NAME', help: 'of this connection; alone: its IKE SAs' },
      'child-id': { value: 'NUMBER', help: 'one Child SA' },
      'ike-id': { value: 'NUMBER', help: 'one IKE SA' },
      reauth: { help: 'authenticate again instead of rekeying' },
      ...TIMEOUT,
      ...URI_OPTIONS,
    },
    examples: [
      ['tsgw rekey net', 'the Child SAs called net'],
      ['tsgw rekey --ike peer', 'the IKE SAs of a connection'],
      ['tsgw rekey --ike peer --reauth', 'the same from the start: new keys, new proof'],
    ],
    run: rekey,
  },
  {
    name: 'why',
    summary: 'what failed with a peer, and what would mend it',
    description:
      'Names the last failures with a peer in plain words, newest first: what happened, what it means, ' +
      'and the nearest edit at this end and at the peer, either of which is enough.',
    operands: [
      {
        name: 'PEER',
        required: false,
        help: 'its address, its identity or a connection; else all',
      },
    ],
    options: {
      last: { value: 'NUMBER', help: 'no more than so many (5; with --json all)' },
      ...listing,
    },
    examples: [
      ['tsgw why 192.0.2.2', 'why the peer at that address does not come up'],
      ['tsgw why b.example --last 1', 'the last failure of an identity'],
      ['tsgw why --json', 'all that is remembered, for a program'],
    ],
    run: why,
  },
  {
    name: 'trace',
    summary: 'what would become of a packet: policy, SA, size outside, verdict',
    description:
      'Asks the running daemon, which sends nothing. It names the policies in the order of look-up and ' +
      'what of each the packet does not fit, the SA that carries it, every octet of the outer packet ' +
      'and the largest that passes. Without a port only policies for every port fit, with any only ' +
      'those for every protocol.',
    operands: [
      { name: 'SRC', required: true, help: 'the address the packet comes from' },
      { name: 'DST', required: true, help: 'the address it goes to' },
      { name: 'PROTO/PORT', required: true, help: 'tcp/443, udp/53, icmp, icmp/8, 47 or any' },
    ],
    options: {
      'source-port': { value: 'PORT', help: 'its source port (49152)' },
      size: { value: 'OCTETS', help: 'its length, headers included (the most that passes whole)' },
      df: { help: 'it may not be fragmented; one of IPv6 never may' },
      inbound: { help: 'it comes out of a tunnel: which SAs would deliver it' },
      ...listing,
    },
    examples: [
      ['tsgw trace 10.1.0.5 10.2.0.9 tcp/443', 'where a connection would go'],
      ['tsgw trace 10.1.0.5 10.2.0.9 icmp --size 1500 --df', 'why a large ping is not answered'],
      ['tsgw trace 10.2.0.9 10.1.0.5 udp/53 --inbound', 'what the peer may send us'],
      ['tsgw trace 10.1.0.5 10.2.0.9 any --json', 'every figure, for a program'],
    ],
    run: trace,
  },
  {
    name: 'doctor',
    summary: 'measure the path to a peer, and say what to set',
    description:
      'Sends requests of growing and shrinking length to the peer, which any IKEv2 peer answers, a dozen ' +
      'within some seconds, and finds the largest packet that arrives whole, also where routers say ' +
      'nothing about those that do not. From then on packets and the MSS of TCP follow the value, until ' +
      'it is measured again or the daemon restarts. The way back is the peer’s to measure.',
    operands: [
      { name: 'TOPIC', required: true, help: 'what to examine: mtu' },
      { name: 'PEER', required: true, help: 'its address, its identity or a connection' },
    ],
    options: {
      'ike-id': { value: 'NUMBER', help: 'of several IKE SAs with that peer' },
      ...listing,
    },
    examples: [
      ['tsgw doctor mtu 192.0.2.2', 'why large packets to that peer get lost'],
      ['tsgw doctor mtu peer --json', 'every figure, for a program'],
    ],
    run: doctor,
  },
  {
    name: 'capture',
    summary: 'packets inside and outside the tunnels into a pcapng file',
    description:
      'Every packet has a comment: its SA and, where it was dropped, why. There are two interfaces: ' +
      'inner, as the device reads and writes packets (joined ones are one), and outer, ESP with headers ' +
      'made anew around it, and IKE unless --child, --spi or --drops says otherwise. What comes faster ' +
      'than it is written is missed and counted; packets go their way all the same. The file holds what ' +
      'the tunnels hide: only its owner may read it. With --keys a directory FILE.keys has the keys of the ESP SAs there are and of those ' +
      'that come, as Wireshark takes them; it knows no ChaCha20-Poly1305 and no AES-CCM.',
    operands: [],
    options: {
      write: { value: 'FILE', short: 'w', help: 'the file; - is standard output' },
      count: { value: 'NUMBER', help: 'end after so many packets' },
      seconds: { value: 'NUMBER', help: 'end after so long' },
      ike: { value: 'NAME', help: 'only packets of this connection' },
      child: { value: 'NAME', help: 'only packets of this child' },
      spi: { value: 'SPI', help: 'only packets of the SA with this SPI, or that carry it' },
      drops: { help: 'only packets that were dropped' },
      snaplen: { value: 'OCTETS', help: 'keep no more of a packet (65535)' },
      keys: { help: 'write the keys, too: whoever has them reads all traffic of the SAs' },
      ...URI_OPTIONS,
    },
    examples: [
      ['tsgw capture -w tunnel.pcapng', 'everything, until interrupted'],
      ['tsgw capture -w drops.pcapng --drops --seconds 60', 'what is lost in a minute, and why'],
      ['tsgw capture -w - --ike peer | wireshark -k -i -', 'one connection, live'],
      ['tsgw capture -w t.pcapng --keys --child net', 'so that Wireshark opens the ESP packets'],
    ],
    run: capture,
  },
  {
    name: 'policies',
    summary: 'policies that stand without an SA: traps, and what passes or is dropped',
    description:
      'A trap brings its child up when traffic for it comes. tsgw spd lists the policies of SAs too.',
    operands: [],
    options: {
      ike: { value: 'NAME', help: 'only those of this connection' },
      child: { value: 'NAME', help: 'only those of this child' },
      ...listing,
    },
    examples: [['tsgw policies', 'all of them']],
    run: policies,
  },
  {
    name: 'pools',
    summary: 'pools of virtual addresses, and who has them',
    description: 'An address stays with its identity while that is away, until another needs it.',
    operands: [{ name: 'NAME', required: false, help: 'only this pool' }],
    options: { leases: { help: 'list every lease' }, ...listing },
    examples: [
      ['tsgw pools', 'how full they are'],
      ['tsgw pools rw --leases', 'who has which address of one'],
    ],
    run: pools,
  },
  ...CLUSTER_VERBS,
  {
    name: 'log',
    summary: "follow the daemon's events",
    description: 'One line per event, key=value, until interrupted.',
    operands: [],
    options: {
      level: { value: 'LEVEL', help: 'error, notice, debug or trace (debug)' },
      ...listing,
    },
    examples: [
      ['tsgw log', 'SAs that come and go, and each exchange that fails'],
      ['tsgw log --level trace --json', 'every message, for a program'],
    ],
    run: log,
  },
  {
    name: 'check',
    summary: 'check a configuration file, without a daemon',
    description:
      'Names every error with its file and line and what to write instead, and ends 1 where there is ' +
      'one. Warns of what is no error and will still hurt: SAs that end before they are replaced, ' +
      'identities without a secret, weak algorithms, selectors that overlap, peers that go away ' +
      'unnoticed, full tunnels without name servers.',
    operands: [{ name: 'FILE', required: true, help: 'a file in swanctl.conf grammar' }],
    options: { ...JSON_OPTION, ...URI_OPTIONS },
    examples: [['tsgw check /etc/swanctl/swanctl.conf', 'before it is loaded']],
    run: check,
  },
  {
    name: 'version',
    summary: 'the version of this program',
    description: 'tsgw status says the version of the daemon.',
    operands: [],
    options: { ...JSON_OPTION, ...URI_OPTIONS },
    examples: [['tsgw version', 'prints tsgw and a number']],
    run: version,
  },
  {
    name: 'help',
    summary: 'this, or more of one verb',
    description: 'Without a verb: all of them, one line each.',
    operands: [{ name: 'VERB', required: false, many: true, help: 'the verb to explain' }],
    options: { man: { help: 'everything, as a manual page' }, ...URI_OPTIONS },
    examples: [
      ['tsgw help initiate', 'one verb with its options and examples'],
      ['tsgw help --man', 'the manual'],
    ],
    run: help,
  },
];

/** What the first words of a command line name: a verb and what stands behind it, or a group of verbs. */
export function verbOf(
  argv: readonly string[],
):
  | { readonly kind: 'verb'; readonly verb: Verb; readonly rest: readonly string[] }
  | { readonly kind: 'group'; readonly name: string; readonly verbs: readonly Verb[] }
  | undefined {
  const [first = '', second] = argv;
  for (const [name, words] of [[`${first} ${second}`, 2] as const, [first, 1] as const]) {
    const verb = VERBS.find((one) => one.name === name);
    if (verb) return { kind: 'verb', verb, rest: argv.slice(words) };
  }
  const verbs = VERBS.filter(({ name }) => name.startsWith(`${first} `));
  return verbs.length === 0 ? undefined : { kind: 'group', name: first, verbs };
}

async function version({ terminal, switches }: Call): Promise<ExitCode> {
  const version = packageVersion();
  terminal.out(`${switches.has('json') ? JSON.stringify({ version }) : `tsgw ${version}`}\n`);
  return ExitCode.OK;
}

async function help(call: Call): Promise<ExitCode> {
  const { operands, switches, terminal } = call;
  if (operands.length === 0) {
    terminal.out(switches.has('man') ? manual(VERBS) : overview(VERBS));
    return ExitCode.OK;
  }
  const found = verbOf(operands);
  const isAsked = found?.kind === 'verb' ? found.rest.length === 0 : operands.length === 1;
  if (found === undefined || !isAsked) {
    complain(call, `there is no verb ${operands.join(' ')}: tsgw help lists them`);
    return ExitCode.USAGE;
  }
  terminal.out(
    found.kind === 'verb' ? verbHelp(found.verb) : groupOverview(found.name, found.verbs),
  );
  return ExitCode.OK;
}
