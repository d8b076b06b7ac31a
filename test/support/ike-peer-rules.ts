/**
 * What must hold with any peer that speaks IKE: SAs come up, go away and are refused alike at
 * both ends, whoever begins.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { until } from '../../lab/command.ts';
import { firstChild, type IkePeer } from '../../lab/ike-peer.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { nft } from '../../lab/topology.ts';
import { TsgwGateway } from '../../lab/tsgw.ts';
import { type Configured, type IkePeerLab, spisOf } from './ike-peer-lab.ts';
import { onlyTsgw, type Role, roles } from './lab.ts';

/** SAs come up with the pre-shared key and are deleted, by the subject or by the peer. */
export function comeAndGo<Peer extends IkePeer>(lab: IkePeerLab<Peer>): void {
  for (const role of roles) {
    it(`are the same ones at both ends, as ${role}`, async () => {
      const { subject } = await lab.up(role);
      const [child] = subject.children;
      assert.deepEqual(child?.localTs, ['10.1.0.0/16']);
      assert.deepEqual(child?.remoteTs, ['10.2.0.0/16']);
    });

    it(`are one fewer when the subject deletes the Child SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.subject.swanctl.must(['--terminate', '--child', 'net']);
      await lab.agreed(0);
    });

    it(`are one fewer when the peer deletes the Child SA, as ${role}`, async () => {
      const { peer } = await lab.up(role);
      await lab.peer.deleteChildSa(firstChild(peer));
      await lab.agreed(0);
    });

    it(`are gone when the peer deletes the IKE SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.peer.deleteIkeSas();
      await lab.empty();
    });
  }

  it('are gone when the subject deletes the IKE SA it began', async () => {
    await lab.up('initiator');
    await lab.subject.swanctl.must(['--terminate', '--ike', 'peer']);
    await lab.empty();
  });
}

/** The path is measured by requests of every length, of which those that are too long get lost. */
export function answerProbes<Peer extends IkePeer>(lab: IkePeerLab<Peer>): void {
  describe('on a path that loses large packets', () => {
    onlyTsgw();
    it('are none the worse for the MTU doctor, who finds a black hole', async () => {
      const narrow = ['table inet narrow', 'delete table inet narrow'];
      await nft(lab.topology.network, 'g2', [
        ...narrow,
        'table inet narrow { chain arriving {',
        'type filter hook prerouting priority raw;',
        'iifname "wan" meta length > 1400 drop;',
        '}',
        '}',
      ]);
      try {
        await lab.up('initiator');
        const { subject } = lab;
        assert.ok(subject instanceof TsgwGateway, 'this test is about tsgw');
        const { status, stdout, stderr } = await subject.cli(['doctor', 'mtu', 'peer', '--json']);
        assert.equal(status, 0, stderr);
        const found = JSON.parse(stdout);
        // Ciphers have blocks of up to 16 octets.
        assert.ok(found['outer-mtu'] > 1400 - 16 && found['outer-mtu'] <= 1400, stdout);
        assert.ok(found.lost > 1400 && found.lost <= 1400 + 16, stdout);
        await lab.agreed(1);
      } finally {
        await nft(lab.topology.network, 'g2', narrow);
      }
    });
  });
}

export type First = 'subject' | 'peer';

/** How a peer fares when two requests cross. */
export interface Collisions {
  /** Whose request may be heard first. */
  readonly firsts: readonly First[];
  /** Whether it deletes what it made and what lost, as RFC 7296 §2.8.1 has it. */
  readonly tidy: boolean;
}

/** Child SAs are replaced, by the subject, by the peer and by both at once. */
export function replaceChildren<Peer extends IkePeer>(
  lab: IkePeerLab<Peer>,
  options: Configured & { readonly how: string } & Collisions,
): void {
  const { how, firsts, tidy, ...configured } = options;
  for (const role of roles) {
    it(`are replaced by the subject, ${how}, as ${role}`, async () => {
      const before = await lab.up(role, configured);
      await lab.subject.swanctl.must(['--rekey', '--child', 'net']);
      await lab.childrenReplaced(before);
    });

    it(`are replaced by the peer, ${how}, as ${role}`, async () => {
      const before = await lab.up(role, configured);
      await lab.peer.rekeyChildSa(firstChild(before.peer));
      await lab.childrenReplaced(before);
    });

    for (const first of firsts) {
      it(`are replaced by both at once, ${how}, the ${first} heard first, as ${role}`, async () => {
        const before = await lab.up(role, configured);
        await lab.crossing(first, async () => {
          await lab.subject.swanctl.must(['--rekey', '--child', 'net']);
          await lab.peer.rekeyChildSa(firstChild(before.peer));
        });
        const [old] = before.subject.children.map(spisOf);
        await lab.decided((_, spis) => spis !== old);
        await goesOn(lab, tidy);
      });
    }
  }
}

/** The subject can replace what is there, and nothing else stays unless the peer leaves it. */
export async function goesOn<Peer extends IkePeer>(
  lab: IkePeerLab<Peer>,
  tidy = true,
): Promise<void> {
  const left = (await lab.decided()).children.map(spisOf);
  await lab.subject.swanctl.must(['--rekey', '--child', 'net']);
  await lab.decided((_, spis) => !left.includes(spis));
  if (tidy) {
    await lab.agreed();
  }
}

/** A refusal: what the two ends do not have in common, and what is said about it. */
export interface Refusal extends Configured {
  readonly what: string;
  /** What `swanctl --initiate` prints. */
  readonly told: RegExp;
  /** What the peer's log says when it is turned away. */
  readonly heard: RegExp;
}

/** Each refusal in both roles; neither end keeps an SA. */
export function refuse<Peer extends IkePeer>(
  lab: IkePeerLab<Peer>,
  refusals: readonly Refusal[],
): void {
  for (const { what, told, heard, ...configured } of refusals) {
    it(`${what} as initiator, and the operator is told`, async () => {
      await lab.load(configured);
      const { status, stdout, stderr } = await lab.subject.swanctl.call([
        ...['--initiate', '--child', 'net'],
      ]);
      assert.notEqual(status, 0, 'swanctl --initiate must not succeed');
      assert.match(`${stdout}${stderr}`, told);
      await lab.empty();
    });

    it(`${what} as responder, and the peer hears why`, async () => {
      await lab.load(configured);
      const before = lab.peer.log().length;
      await lab.peer.initiate();
      await until(`${heard} in the peer's log`, () => {
        return heard.test(lab.peer.log().slice(before)) || undefined;
      });
      await lab.peer.load([]);
      await lab.empty();
    });
  }
}

/** An empty INFORMATIONAL request is answered, with nothing lost or repeated. */
export async function probed<Peer extends IkePeer>(
  lab: IkePeerLab<Peer>,
  role: Role,
  options: {
    readonly pair?: PairSettings;
    readonly prober: 'subject' | 'peer';
    readonly ask?: () => Promise<void>;
  },
): Promise<void> {
  await lab.up(role, { ...(options.pair === undefined ? {} : { subject: options.pair }) });
  const { network } = lab.topology;
  const capture = await Capture.start(network, 'g1');
  await options.ask?.();
  const prober = options.prober === 'subject' ? '192.0.2.1' : '192.0.2.2';
  const seen = await until(
    `the ${options.prober}'s probe to be answered`,
    async () => {
      const packets = await dissect(capture.file, {
        fields: ['ip.src', 'isakmp.messageid', 'isakmp.flag_r'],
        filter: 'isakmp.exchangetype == 37',
      });
      const [request] = packets.filter(
        (packet) => packet.get('ip.src')?.[0] === prober && !response(packet),
      );
      const messageId = request?.get('isakmp.messageid')?.[0];
      const answers = packets.filter(
        (packet) =>
          response(packet) &&
          packet.get('ip.src')?.[0] !== prober &&
          packet.get('isakmp.messageid')?.[0] === messageId,
      );
      return request !== undefined && answers.length > 0 ? answers : undefined;
    },
    6_000,
    200,
  );
  await capture.stop();
  assert.equal(seen.length, 1, 'the probe was answered once');
  await lab.agreed();
}

function response(packet: ReadonlyMap<string, readonly string[]>): boolean {
  return ['1', 'True'].includes(packet.get('isakmp.flag_r')?.[0] ?? '');
}
