/**
 * The questions about the data plane, with their options.
 */
import { payloadOctets } from '../lab/datagrams.ts';
import { type CaseName, caseNames } from './cases.ts';
import { measureLatency } from './latency.ts';
import { latencyTable } from './latency-report.ts';
import { measurePackets } from './packets.ts';
import { packetsTable } from './packets-report.ts';
import { oneOf, type Question, someOf, UsageError, whole, wholes } from './question.ts';
import { measureScale } from './scale.ts';
import { scaleTable } from './scale-report.ts';
import { measureSoak } from './soak.ts';
import { soakTable } from './soak-report.ts';
import { measureThroughput } from './throughput.ts';
import { throughputTable } from './throughput-table.ts';
import { noneMissed } from './verdict.ts';
import { measureWorkers } from './workers.ts';
import { workersTable } from './workers-report.ts';

const modes = ['off', 'wire', 'on'] as const;
const families = ['ipv4', 'ipv6'] as const;

/** All but those that answer a question of their own. */
const usualCases: readonly CaseName[] = caseNames.filter(
  (name) => name !== 'tsgw-proto-50' && name !== 'tsgw-strongswan',
);

const peers: readonly CaseName[] = ['plain', 'tsgw', 'strongswan', 'wireguard-go', 'openvpn'];

/** What the datagrams carry, and what fits into every tunnel. */
const LEAST_PAYLOAD = 8;
const MOST_OCTETS = 1400;

export const dataQuestions: Readonly<Record<string, Question>> = {
  throughput: {
    summary: 'TCP each way and both ways at once, beside all others, and CPU per packet',
    help: `TCP through plain routing, tsgw as it comes and set otherwise, strongSwan, wireguard-go and
OpenVPN, in turns in one run. --streams: TCP connections at once; the first number each way in all
rounds, the rest and both ways at once in --side-rounds. --offloads, how the links treat big packets:
off (no packet larger than the MTU), wire (receivers may merge), on (super-packets pass uncut:
flatters who makes them). --cases: ${caseNames.join(', ')}. --cipher: as swanctl.conf writes it.
Says first how long it will take. Ends 1 where a limit is missed.`,
    example: '--streams 1 --side-rounds 0 --offloads wire --cases plain,tsgw,strongswan',
    options: {
      ...{ rounds: '3', 'side-rounds': '1', seconds: '1', offloads: modes.join(',') },
      ...{ streams: '1,8', family: 'ipv4', cipher: 'aes128gcm16', cases: usualCases.join(',') },
    },
    async ask(values, progress) {
      const report = await measureThroughput({
        rounds: whole(values, 'rounds'),
        sideRounds: whole(values, 'side-rounds', 0),
        seconds: whole(values, 'seconds'),
        modes: someOf(values, 'offloads', modes),
        streams: wholes(values, 'streams'),
        family: oneOf(values, 'family', families),
        cipher: values.cipher ?? '',
        cases: someOf(values, 'cases', caseNames),
        progress,
      });
      return { report, table: throughputTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  packets: {
    summary: 'UDP packets a second: offered without limit, and with at most 1 % loss',
    help: `UDP in IP packets of --sizes octets through plain routing, tsgw and the others, in turns: how many
arrive a second when offered without limit, the highest rate with at most 1 % loss (seven tries), and
CPU per packet at that rate. Ends 1 where a limit is missed.`,
    example: '--rounds 1 --sizes 64 --cases plain,tsgw,strongswan',
    options: {
      ...{ rounds: '3', seconds: '1', sizes: '64,512,1400', offloads: 'wire', family: 'ipv4' },
      ...{ cipher: 'aes128gcm16', cases: peers.join(',') },
    },
    async ask(values, progress) {
      const sizes = wholes(values, 'sizes');
      const family = oneOf(values, 'family', families);
      const wrong = sizes.find((octets) => payloadOctets(octets, family) < LEAST_PAYLOAD);
      if (wrong !== undefined || sizes.some((octets) => octets > MOST_OCTETS)) {
        throw new UsageError(`--sizes ${values.sizes}: from 64 to ${MOST_OCTETS} octets`);
      }
      const report = await measurePackets({
        ...{ rounds: whole(values, 'rounds'), seconds: whole(values, 'seconds'), sizes, family },
        ...{ offloads: oneOf(values, 'offloads', modes), cipher: values.cipher ?? '' },
        ...{ cases: someOf(values, 'cases', caseNames), progress },
      });
      return { report, table: packetsTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  latency: {
    summary: 'ping and request/response, idle and beside a flood',
    help: `--pings echo requests and --requests requests that wait for their answers, idle and beside a flood
of full-size packets through another Child SA or flow: medians and 99th percentiles. Ends 1 where a
limit is missed.`,
    example: '--rounds 1 --cases tsgw,openvpn',
    options: {
      ...{ rounds: '3', pings: '400', requests: '10000', offloads: 'wire' },
      ...{ cipher: 'aes128gcm16', cases: peers.join(',') },
    },
    async ask(values, progress) {
      const report = await measureLatency({
        ...{ rounds: whole(values, 'rounds'), pings: whole(values, 'pings') },
        ...{ requests: whole(values, 'requests'), cipher: values.cipher ?? '' },
        ...{ offloads: oneOf(values, 'offloads', modes) },
        ...{ cases: someOf(values, 'cases', caseNames), progress },
      });
      return { report, table: latencyTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  scale: {
    summary: 'throughput and packets beside 1,000 and 50,000 SAs',
    help: `one TCP stream each way and 64-octet packets, tsgw to tsgw, with --standing Child SAs at each
gateway, all but one of them with nothing to carry; the first number is what the others are compared
with. Ends 1 where a limit is missed.`,
    example: '--rounds 1 --standing 1,1000',
    options: {
      ...{ rounds: '5', seconds: '2', standing: '1,1000,50000', offloads: 'wire' },
      ...{ cipher: 'aes128gcm16' },
    },
    async ask(values, progress) {
      const report = await measureScale({
        ...{ rounds: whole(values, 'rounds'), seconds: whole(values, 'seconds') },
        ...{ standing: wholes(values, 'standing'), cipher: values.cipher ?? '' },
        ...{ offloads: oneOf(values, 'offloads', modes), progress },
      });
      return { report, table: scaleTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  workers: {
    summary: 'one worker beside two: TCP in one SA and in several, and packets one way',
    help: `tsgw to tsgw with each number of --workers at both gateways, in turns: one TCP stream, a stream in
each of --sas Child SAs at once, and 64-octet packets of one flow that nothing answers; how the SAs
are split, and packets that a worker gave to another. Ends 1 where a limit is missed.`,
    example: '--rounds 1 --workers 1,2',
    options: {
      ...{ rounds: '5', seconds: '2', workers: '1,2', sas: '4', offloads: 'wire' },
      ...{ cipher: 'aes128gcm16' },
    },
    async ask(values, progress) {
      const report = await measureWorkers({
        ...{ rounds: whole(values, 'rounds'), seconds: whole(values, 'seconds') },
        ...{ workers: wholes(values, 'workers'), sas: whole(values, 'sas') },
        ...{ cipher: values.cipher ?? '', offloads: oneOf(values, 'offloads', modes), progress },
      });
      return { report, table: workersTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  soak: {
    summary: 'rate and memory of a tunnel that carries traffic for long',
    help: `TCP both ways at once, tsgw to tsgw, for --minutes, while Child SAs are rekeyed every --rekey
seconds: rate and memory at the start and at the end, one line a minute. Ends 1 where a limit is
missed.`,
    example: '--minutes 2 --rekey 10',
    options: { minutes: '30', rekey: '60', offloads: 'wire', cipher: 'aes128gcm16' },
    async ask(values, progress) {
      const report = await measureSoak({
        ...{ minutes: whole(values, 'minutes'), rekeySeconds: whole(values, 'rekey') },
        ...{ offloads: oneOf(values, 'offloads', modes), cipher: values.cipher ?? '', progress },
      });
      return { report, table: soakTable(report), kept: noneMissed(report.verdicts) };
    },
  },
};
