/**
 * The verbs of `tsgw cluster`. They are asked of one node and act on that node, unless they say otherwise.
 */
import {
  DRAIN_TIMEOUT,
  declareDead,
  demote,
  drain,
  give,
  ORDER_TIMEOUT,
  probe,
  rekey,
  resync,
  rotateKey,
  simulateFailure,
  take,
  undrain,
  unpin,
  watch,
} from './cluster.ts';
import { segments, status } from './cluster-status.ts';
import { JSON_OPTION, type Operand, URI_OPTIONS, type Verb, type VerbOption } from './verb.ts';

const listing = { ...JSON_OPTION, ...URI_OPTIONS };

const SEG: Operand = {
  name: 'SEG',
  required: true,
  many: true,
  help: 'a segment, a range such as 0-63, or all',
};

const NODE: Operand = { name: 'NODE', required: true, help: 'the name of another node' };

const YES: Readonly<Record<string, VerbOption>> = {
  yes: { help: 'yes, that is meant' },
};

/** What every order takes. */
function ordered(timeout: number): Readonly<Record<string, VerbOption>> {
  return {
    timeout: {
      value: 'SECONDS',
      help: `wait no longer; what was started goes on (${timeout}; 0: for ever)`,
    },
    ...listing,
  };
}

export const CLUSTER_VERBS: readonly Verb[] = [
  {
    name: 'cluster status',
    summary: 'this node, the others, what is shared and what is wrong',
    description:
      'HEARD is how long ago a node was last heard, DIFFERS names settings that are not as here, ADVERT is ' +
      'advbase/advskew, LEGS are those that work. Figures, of which those that are 0 are only in the JSON: ' +
      'lag-p50 and lag-p99, milliseconds until another node had a change; unacknowledged, changes that ' +
      'wait for that; exposure, packets that could have been replayed at the last take-over; epoch, the ' +
      'highest; take-overs, their segments and milliseconds; forwarded packets; samples of packets of ' +
      'other nodes; split-brain-seconds.',
    operands: [],
    options: listing,
    examples: [
      ['tsgw cluster status', 'for people'],
      ['tsgw cluster status --json', 'every figure, for monitoring'],
    ],
    run: status,
  },
  {
    name: 'cluster segments',
    summary: 'who has which segment',
    description:
      'One row for each owner, or with --each for each segment: its epoch, and the SAs of it that this node ' +
      'knows. The JSON has a row for each segment.',
    operands: [],
    options: { each: { help: 'one row for each segment' }, ...listing },
    examples: [
      ['tsgw cluster segments', 'how they are shared out'],
      ['tsgw cluster segments --json', 'segment by segment, for a program'],
    ],
    run: segments,
  },
  {
    name: 'cluster take',
    summary: 'have segments of other nodes served here',
    description:
      'Their owners hand them over: nothing is lost and nothing rekeyed. They stay here until ' +
      'tsgw cluster unpin, a drain or a failure.',
    operands: [SEG],
    options: ordered(ORDER_TIMEOUT),
    examples: [
      ['tsgw cluster take 17', 'one segment'],
      ['tsgw cluster take 0-127', 'half of 256'],
    ],
    run: take,
  },
  {
    name: 'cluster give',
    summary: 'hand segments of this node over to another one',
    description:
      'Nothing is lost and nothing rekeyed. They stay there until tsgw cluster unpin at that node, a drain or a ' +
      'failure. Segments that this node has not are passed over.',
    operands: [SEG, NODE],
    options: ordered(ORDER_TIMEOUT),
    examples: [
      ['tsgw cluster give 17 b', 'one segment'],
      ['tsgw cluster give all b', 'all that this node has'],
    ],
    run: give,
  },
  {
    name: 'cluster unpin',
    summary: 'let segments that take and give placed go where they belong',
    description: 'Ends what take and give asked of this node: placement by weights holds again.',
    operands: [],
    options: ordered(ORDER_TIMEOUT),
    examples: [['tsgw cluster unpin', 'after maintenance']],
    run: unpin,
  },
  {
    name: 'cluster drain',
    summary: 'empty this node, before it is stopped or updated',
    description:
      'Hands every segment over and waits until none is left, and says how long that took: no packet is ' +
      'lost and nothing rekeyed. The node stays a member and gets no segments until undrain or its next start.',
    operands: [],
    options: ordered(DRAIN_TIMEOUT),
    examples: [
      ['tsgw cluster drain && systemctl restart tsgw', 'restart without a gap'],
      ['tsgw cluster drain --timeout 5', 'ends 6 where something is left after 5 s'],
    ],
    run: drain,
  },
  {
    name: 'cluster undrain',
    summary: 'let a drained node have segments again',
    description: 'It takes its share back by hand-over.',
    operands: [],
    options: ordered(ORDER_TIMEOUT),
    examples: [['tsgw cluster undrain', 'after maintenance']],
    run: undrain,
  },
  {
    name: 'cluster demote',
    summary: 'make this node a worse choice than the others, or not any more',
    description:
      'Adds to its demotion counter, as carpdemote of CARP: nodes with the lowest have the segments. Scripts ' +
      'that watch what tsgw does not know use it. 0 takes it back.',
    operands: [{ name: 'AMOUNT', required: true, help: '0 to 240' }],
    options: ordered(ORDER_TIMEOUT),
    examples: [
      ['tsgw cluster demote 50', 'as much as an uplink that is down'],
      ['tsgw cluster demote 0', 'all is well'],
    ],
    run: demote,
  },
  {
    name: 'cluster resync',
    summary: 'fetch the state of the other nodes anew',
    description:
      'This node forgets how far it has followed the others, gets everything from them and waits until ' +
      'it has it. It hands its segments over meanwhile, as it may go on with nothing it is not sure of.',
    operands: [],
    options: ordered(ORDER_TIMEOUT),
    examples: [['tsgw cluster resync', 'where nodes do not agree']],
    run: resync,
  },
  {
    name: 'cluster rekey',
    summary: 'replace the Child SAs of segments that this node has',
    description:
      'At most cluster.sync.rekey_rate in a second. Segments that this node has not are passed over.',
    operands: [SEG],
    options: ordered(DRAIN_TIMEOUT),
    examples: [['tsgw cluster rekey 17', 'every Child SA of one segment']],
    run: rekey,
  },
  {
    name: 'cluster rotate-key',
    summary: 'read the keys of the cluster again, to replace its secret without a gap',
    description:
      'Reads cluster.secret and cluster.second_secret of the configuration: this node initiates with the first ' +
      'and takes both. It changes no file and tells no other node. Three rounds replace a key: write ' +
      'the new one as second_secret on every node and run this on each; then swap the two on every ' +
      'node and run it; then remove second_secret and run it. In each round the nodes go one by one and ' +
      'understand each other. Sessions that are up go on with the keys they have.',
    operands: [],
    options: ordered(ORDER_TIMEOUT),
    examples: [['tsgw cluster rotate-key', 'after each change of the file']],
    run: rotateKey,
  },
  {
    name: 'cluster probe',
    summary: 'test whether frames to the hardware address of the cluster reach every node',
    description:
      'For active-active: sends marked frames and asks the other nodes which of them came. A switch that ' +
      'watches IGMP or MLD drops them where nobody joined; the answer names what to do about it.',
    operands: [],
    options: ordered(ORDER_TIMEOUT),
    examples: [['tsgw cluster probe', 'after a change of the network']],
    run: probe,
  },
  {
    name: 'cluster simulate-failure',
    summary: 'have this node fail, to see that the others take over',
    description:
      'stop: the process falls silent as if it were stopped (SIGSTOP) and goes on after --seconds; crash: it ends at ' +
      'once without a word (SIGKILL), and nothing starts it again but your service manager.',
    operands: [{ name: 'KIND', required: true, help: 'stop or crash' }],
    options: {
      seconds: { value: 'SECONDS', help: 'how long it stays stopped (10; at most 600)' },
      ...YES,
      ...ordered(ORDER_TIMEOUT),
    },
    examples: [
      ['tsgw cluster simulate-failure stop --seconds 60 --yes', 'a long pause'],
      ['tsgw cluster simulate-failure crash --yes', 'a crash'],
    ],
    run: simulateFailure,
  },
  {
    name: 'cluster declare-dead',
    summary: 'vouch that another node does not run',
    description:
      'For fences and people who know it: its segments are taken at once, also where this node alone would ' +
      'wait for it (cluster.alone = hold). Where it runs after all, no key is at risk, but clients are ' +
      'served twice until the two hear each other.',
    operands: [NODE],
    options: { ...YES, ...ordered(ORDER_TIMEOUT) },
    examples: [['tsgw cluster declare-dead b --yes', 'its power is off']],
    run: declareDead,
  },
  {
    name: 'cluster watch',
    summary: 'follow what happens in the cluster',
    description:
      'Nodes that come and go, segments that move, take-overs, trouble: as it happens, until interrupted. ' +
      'tsgw log shows it among all other events.',
    operands: [],
    options: listing,
    examples: [
      ['tsgw cluster watch', 'a sentence each'],
      ['tsgw cluster watch --json', 'an object each, for a program'],
    ],
    run: watch,
  },
];
