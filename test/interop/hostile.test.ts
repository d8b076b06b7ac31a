/**
 * The running gateway under abuse: whatever arrives costs the packet that brought it, is counted
 * under a name, and disturbs nobody else.
 *
 * Every loop is bounded in packets and in time; all of it stays inside the lab's namespaces.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Capture } from '../../lab/capture.ts';
import { sleep, until } from '../../lab/command.ts';
import { connectionName, type PairSettings } from '../../lab/swanctl-conf.ts';
import { hostAddress, outerAddress, protectedNet } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import {
  type AbuseOptions,
  type AbusePath,
  abuse,
  type Counts,
  dropsOf,
  growth,
  halfOpenOf,
  hostileInitiator,
  loggedKeys,
  macOf,
  repliesIn,
  residentOctets,
  sadRow,
  sum,
} from '../support/abuse.ts';
import { AbusiveClients } from '../support/abusive-clients.ts';
import { impatient, type Lab, onlyTsgw, useLab } from '../support/lab.ts';

/** Octets a heap varies by when nothing is kept; seen were 8 MiB. */
const RESIDENT_GROWTH = 32 << 20;
/** What closed IKE SAs of hundreds of tries take while they linger, seen were 34 MiB. */
const RESIDENT_GROWTH_OF_PEERS = 96 << 20;
/** The server holds up to 1 MiB for each client that does not read, in many small pieces. */
const RESIDENT_GROWTH_OF_CLIENTS = 160 << 20;
const families = ['ipv4', 'ipv6'] as const;

/** One Child SA for IPv4 and IPv6. */
const networks = {
  g1: families.map((family) => protectedNet('g1', family)).join(','),
  g2: families.map((family) => protectedNet('g2', family)).join(','),
};
const bothFamilies: PairSettings = {
  g1: { localTs: networks.g1, remoteTs: networks.g2 },
  g2: { localTs: networks.g2, remoteTs: networks.g1 },
};

describe('A tunnel under abuse', () => {
  onlyTsgw();
  const lab = useLab();
  /** Towards the outside of the gateway, from the address of its peer. */
  let outside: AbuseOptions;
  let resident: number;

  before(async function captureRealMessages() {
    this.timeout(60_000);
    const { network } = lab.topology;
    const running = await Capture.start(network, 'g2');
    await lab.up('responder', bothFamilies);
    await lab.peer.swanctl.must(['--terminate', '--ike', connectionName]);
    await lab.empty();
    assert.equal((await lab.initiate('responder')).status, 0);
    await lab.carries({ count: 20 });
    const capture = await running.stop();
    const paths = families.map((family) => ({
      source: outerAddress(lab.topology, 'g2', family),
      destination: outerAddress(lab.topology, 'g1', family),
    }));
    const mac = await macOf(network, 'g1', 'wan');
    const gateway = outerAddress(lab.topology, 'g1', 'ipv4');
    outside = { device: 'wan', mac, paths, capture, gateway };
    resident = residentOctets(lab.tsgw.process());
  });

  it('outlives random datagrams on 500 and 4500', async () => {
    const { sent, dropped } = await abused('g2', 'random-datagrams', { ...outside, count: 400 });
    grew(dropped, 'nat-keepalive', 'short-esp-packet', 'malformed-ike-datagram', 'unknown-spi');
    grew(dropped, 'malformed-ike-message', 'unknown-ike-spi');
    everyOneCounted(sent, dropped);
  });

  it('outlives IKE headers of every exchange type and with every flag', async () => {
    const { sent, dropped } = await abused('g2', 'ike-headers', outside);
    grew(dropped, 'malformed-ike-message', 'ike-major-version', 'unknown-ike-spi', 'bad-ike-icv');
    everyOneCounted(sent, dropped);
  });

  it('outlives real IKE messages, cut, altered and repeated', async () => {
    const { dropped } = await abused('g2', 'altered-ike', { ...outside, count: 400 });
    grew(dropped, 'malformed-ike-message', 'malformed-ike-datagram', 'unknown-ike-spi');
    grew(dropped, 'bad-ike-icv', 'ike-sa-init-repeated', 'no-proposal-chosen');
  });

  it('outlives forged, replayed, altered and short ESP', async () => {
    const before = await sadRow(lab.tsgw, 'in');
    const { sent, dropped } = await abused('g2', 'esp', { ...outside, count: 150 });
    grew(dropped, 'bad-icv', 'unknown-spi', 'reserved-spi', 'short-esp-packet');
    grew(dropped, 'replayed-sequence-number');
    everyOneCounted(sent, dropped);
    const grown = growth(before, await sadRow(lab.tsgw, 'in'));
    grew(grown, 'drops', 'replays', 'bad-icvs');
  });

  it('outlives what a host behind it routes into the device', async () => {
    const { dropped } = await abused('h1', 'inner', {
      device: 'eth0',
      mac: await macOf(lab.topology.network, 'g1', 'lan'),
      paths: inside(),
      count: 500,
    });
    grew(dropped, 'no-policy', 'malformed-packet');
  });

  it('outlives what no kernel would route into the device', async () => {
    const options = { device: 'tsgw0', paths: inside(), count: 500 };
    const { dropped } = await abused('g1', 'device', options);
    grew(dropped, 'malformed-packet', 'no-policy', 'hop-limit-expired');
  });

  it('believes no "too big" error that quotes an SPI it does not send with', async () => {
    const before = (await sadRow(lab.tsgw, 'out')).mtu;
    const { dropped } = await abused('g2', 'too-big', { ...outside, count: 20, live: false });
    grew(dropped, 'icmp-unknown-spi', 'icmp-foreign', 'icmp-malformed');
    assert.equal((await sadRow(lab.tsgw, 'out')).mtu, before);
    const large = await ping(lab.topology, { size: 1300, dontFragment: true });
    assert.equal(large.lossPercent, 0);
  });

  it('has kept nothing of all that in memory', () => residentWithin(RESIDENT_GROWTH));

  it('goes on under vici clients that send nonsense, too much, or never read', async () => {
    const clients = new AbusiveClients(lab.tsgw.swanctl.uri);
    try {
      const abusing = async () => {
        await clients.nonsense(200);
        await clients.hugeLengths();
        await clients.requestsNeverRead(20);
        await clients.halfSegments(50);
        // Events for those who registered and do not read.
        await abuse(lab.topology.network, 'g2', 'ike-headers', outside);
        assert.equal((await lab.subject.swanctl.sas()).length > 0, true, 'swanctl is served');
        await clients.connect(300);
      };
      await underPings(lab, abusing());
    } finally {
      clients.close();
    }
    await sleep(100);
    await lab.subject.swanctl.must(['--stats']);
    await lab.tunnel();
    residentWithin(RESIDENT_GROWTH_OF_CLIENTS);
  });

  it('lets a forged "too big" error for a live SPI narrow the path to a floor, no further', async () => {
    const { dropped } = await abused('g2', 'too-big', { ...outside, count: 20, live: true });
    grew(dropped, 'icmp-unknown-spi', 'icmp-excess');
    const { mtu = 0 } = await sadRow(lab.tsgw, 'out');
    assert.ok(mtu >= 480 && mtu < 1000, `the path is believed to carry inner packets of ${mtu}`);
    // The first one is answered with the number; from then on the host sends fragments.
    const large = await ping(lab.topology, { size: 1300, waitSeconds: 2 });
    assert.ok(large.received >= 4, `${large.received} of 5 came back`);
  });

  it('has the SA it had, and told its log neither an exception nor a secret', async () => {
    await lab.carries();
    const log = lab.tsgw.log();
    const lines = log.split('\n');
    assert.deepEqual(
      lines.filter((line) => /exception|internal error|\b\w*Error\b|^ +at /.test(line)),
      [],
    );
    assert.ok(lines.length < 60, `strangers filled the log: ${lines.length} lines`);
    const keys = loggedKeys(lab.tsgw.keyLog);
    assert.ok(keys.length >= 8, `${keys.length} keys in the key log`);
    const told = [...keys, 'a secret only the lab knows'].filter((secret) =>
      log.toLowerCase().includes(secret),
    );
    assert.equal(told.length, 0, 'a secret is in the log');
  });

  function residentWithin(bound: number): void {
    const kept = residentOctets(lab.tsgw.process()) - resident;
    assert.ok(kept < bound, `${kept} octets more are resident, ${bound} at most expected`);
  }

  /** Pings through the tunnel from before the abuse until after it. */
  async function abused(node: string, verb: string, options: AbuseOptions): Promise<Abused> {
    const before = await dropsOf(lab.tsgw);
    const sent = await underPings(lab, abuse(lab.topology.network, node, verb, options));
    const dropped = growth(before, await dropsOf(lab.tsgw));
    return { sent, dropped };
  }
});

describe('An authenticated peer that says anything (RFC 7296 §2.21)', () => {
  onlyTsgw();
  const lab = useLab();
  const spoilt = { g1: '10.1.0.0/16', g2: '10.77.0.0/16' };
  /** A second peer at the same address, with a secret and a network of its own. */
  const mallory: PairSettings = {
    name: 'mallory',
    childName: 'spoilt',
    identities: { g1: 'gate.lab', g2: 'mallory.lab' },
    secret: 'a secret that mallory was given',
    proposals: 'aes256gcm16-prfsha256-x25519',
    espProposals: 'aes256gcm16',
    g1: { localTs: spoilt.g1, remoteTs: spoilt.g2 },
    g2: { localTs: spoilt.g2, remoteTs: spoilt.g1 },
  };

  it('gets the answers of the table, and the tunnel of another peer notices nothing', async function () {
    this.timeout(120_000);
    await lab.load({}, mallory);
    assert.equal((await lab.initiate('responder')).status, 0);
    const before = await lab.tunnel();
    const resident = residentOctets(lab.tsgw.process());
    const attack = hostileInitiator(lab.topology.network, 'g2', {
      local: outerAddress(lab.topology, 'g2', 'ipv4'),
      gateway: outerAddress(lab.topology, 'g1', 'ipv4'),
      id: 'mallory.lab',
      gatewayId: 'gate.lab',
      secret: 'a secret that mallory was given',
      networks: [spoilt.g2, spoilt.g1],
      stride: 3,
      mutations: 400,
    });
    const { cases, mutations, ikeSas, wrong, answers } = await underPings(lab, attack);
    assert.deepEqual(wrong, [], "answers that are not the table's");
    assert.ok(cases > 1000 && mutations === 400, `${cases} cases, ${mutations} mutations`);
    assert.ok(ikeSas > 100, `${ikeSas} IKE SAs`);
    for (const answer of ['[]', '[N(INVALID_SYNTAX)]', '[N(UNSUPPORTED_CRITICAL_PAYLOAD)]']) {
      assert.ok((answers[answer] ?? 0) > 0, `nothing was answered ${answer}`);
    }
    const after = await lab.tunnel();
    assert.deepEqual(after.subjectChild.raw['spi-in'], before.subjectChild.raw['spi-in']);
    assert.equal(after.subject.uniqueId, before.subject.uniqueId);
    const kept = residentOctets(lab.tsgw.process()) - resident;
    assert.ok(kept < RESIDENT_GROWTH_OF_PEERS, `${kept} octets more are resident`);
  });

  it('leaves a gateway that rekeys, and a log without an exception or a secret', async () => {
    for (const what of [
      ['--child', 'net'],
      ['--ike', connectionName],
    ]) {
      await lab.peer.swanctl.must(['--rekey', ...what]);
      const { lossPercent } = await ping(lab.topology, { count: 10, intervalSeconds: 0.02 });
      assert.equal(lossPercent, 0, what.join(' '));
    }
    const log = lab.tsgw.log();
    const odd = log
      .split('\n')
      .filter((line) => /exception|internal error|\b\w*Error\b|^ +at /.test(line));
    assert.deepEqual(odd, []);
    const keys = loggedKeys(lab.tsgw.keyLog);
    assert.equal(keys.filter((key) => log.toLowerCase().includes(key)).length, 0);
  });
});

describe('A flood of IKE_SA_INIT requests (RFC 7296 §2.6)', () => {
  onlyTsgw();
  const network = '198.18.0.0';
  const threshold = 10;
  const lab = useLab({ subjectSettings: { ...impatient, cookieThreshold: threshold } });

  it('leaves few half-open, amplifies nothing, and lets a real peer through', async () => {
    await answersFindTheirWay(lab, network);
    await lab.load({ g1: { remoteAddress: '%any' } });
    const capture = await Capture.start(lab.topology.network, 'g1');
    const enough = join(lab.topology.network.directory, 'enough');
    const flood = abuse(lab.topology.network, 'g2', 'flood', {
      device: 'wan',
      mac: await macOf(lab.topology.network, 'g1', 'wan'),
      gateway: outerAddress(lab.topology, 'g1', 'ipv4'),
      network,
      count: 30_000,
      rate: 1500,
      until: enough,
    });
    await until('cookies to be asked for', async () => {
      return (await halfOpenOf(lab.tsgw)) >= threshold || undefined;
    });
    const { status, stdout } = await lab.initiate('responder');
    assert.equal(status, 0, `a real peer gets through: ${stdout}`);
    await lab.carries();
    const open = await halfOpenOf(lab.tsgw);
    assert.ok(open <= threshold + 1, `${open} half-open IKE SAs`);
    writeFileSync(enough, '');
    const sent = await flood;
    assert.ok(
      sum(sent) > 20 * threshold && sum(sent) < 30_000,
      `${sum(sent)}: it went on all the time`,
    );
    const replies = await repliesIn(await capture.stop(), network);
    // tcpdump itself may miss a few.
    const missed = sum(sent) - (replies.requests ?? 0);
    assert.ok(missed < sum(sent) / 20, `${missed} requests are not in the capture`);
    assert.ok((replies.cookies ?? 0) > sum(sent) / 2, `${replies.cookies} were asked for a cookie`);
    assert.ok((replies.answers ?? 0) <= (replies.requests ?? 0));
    assert.equal(replies.larger, 0, 'an answer is larger than its request');
    assert.ok((replies.unasked ?? 0) <= missed, `${replies.unasked} answers nobody asked for`);
    assert.ok((await halfOpenOf(lab.tsgw)) <= threshold + 1);
    grew(await dropsOf(lab.tsgw), 'ike-major-version', 'unsupported-critical-payload');
  });
});

/** From h1 to h2. */
function inside(): readonly AbusePath[] {
  return families.map((family) => ({
    source: hostAddress('h1', family),
    destination: hostAddress('h2', family),
  }));
}

interface Abused {
  /** By class of packet. */
  readonly sent: Counts;
  /** By reason. */
  readonly dropped: Counts;
}

/** Answers to claimed addresses leave the gateway and end at its neighbour. */
async function answersFindTheirWay({ topology, peer }: Lab, network: string): Promise<void> {
  const via = outerAddress(topology, peer.node, 'ipv4');
  await topology.network.ip('g1', [`route add ${network}/16 via ${via}`]);
  await topology.network.ip('g2', [`route add blackhole ${network}/16`]);
}

/** Pings through the tunnel until `work` is done, and after it: every answer comes. */
async function underPings<T>(lab: Lab, work: Promise<T>): Promise<T> {
  let working = true;
  const done = () => {
    working = false;
  };
  const ended = work.then(done, done);
  for (let last = false; !last; ) {
    last = !working;
    const { received, sent } = await ping(lab.topology, { count: 25 });
    assert.equal(received, sent, 'answers to pings');
  }
  await ended;
  return work;
}

function grew(dropped: Counts, ...reasons: readonly string[]): void {
  for (const reason of reasons) {
    assert.ok((dropped[reason] ?? 0) > 0, `nothing is counted as ${reason}`);
  }
}

/** No packet vanished without a reason. */
function everyOneCounted(sent: Counts, dropped: Counts): void {
  assert.ok(sum(dropped) >= sum(sent), `${sum(sent)} sent, ${sum(dropped)} counted`);
}
