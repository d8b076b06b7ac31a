/**
 * libreswan told to do what a standard allows and few do, or what none allows (`whack --impair`):
 * the first must change nothing, the second must be refused with the notify that names it.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { firstChild } from '../../lab/ike-peer.ts';
import { Libreswan } from '../../lab/libreswan.ts';
import { useIkePeerLab } from '../support/ike-peer-lab.ts';
import { onlyTsgw, roles } from '../support/lab.ts';

describe('libreswan with odd manners', () => {
  onlyTsgw();
  const lab = useIkePeerLab((topology) => new Libreswan(topology, 'g2'));
  // It would begin again at once what we refuse.
  const patient = 'revival';
  afterEach(() => lab.peer.impair([]));

  const tolerated: readonly (readonly [string, readonly string[]])[] = [
    [
      'RESERVED bits and fields that are not zero (RFC 7296 §2.5)',
      [
        ...['send-bogus-isakmp-flag', 'send-bogus-payload-flag'],
        ...['send-nonzero-reserved', 'send-nonzero-reserved-id'],
      ],
    ],
    ['a higher minor version (RFC 7296 §2.5)', ['minor-version-bump']],
    ['an unknown payload in the clear (RFC 7296 §2.5)', ['add-unknown-v2-payload-to:IKE_SA_INIT']],
    ['an unknown payload in SK (RFC 7296 §2.5)', ['add-unknown-v2-payload-to-sk:IKE_AUTH']],
    ['no IDr in its request (RFC 7296 §3.5)', ['send-no-idr']],
  ];
  for (const role of roles) {
    for (const [what, impairments] of tolerated) {
      it(`has a tunnel although it sends ${what}, as ${role}`, async () => {
        await lab.peer.impair(impairments);
        await lab.up(role);
      });
    }
  }

  for (const transform of ['ikev2-add-ike-transform', 'ikev2-add-child-transform']) {
    it(`has a tunnel although it offers one transform nobody knows: ${transform}`, async () => {
      await lab.peer.impair([`${transform}:${0x1_0f_ff}`]);
      await lab.up('responder');
    });
  }

  it('has one tunnel and one successor although it sends every message twice', async () => {
    await lab.peer.impair(['jacob-two-two']);
    const first = await lab.up('responder');
    await lab.peer.rekeyChildSa(firstChild(first.peer));
    await lab.childrenReplaced(first);
  });

  it('has a Child SA later although it asks for none in IKE_AUTH (RFC 6023 §3)', async () => {
    await lab.peer.impair(['omit-v2-ike-auth-child']);
    await lab.load({});
    await lab.initiate('responder');
    await lab.agreed(0);
    await lab.peer.impair([]);
    await lab.subject.swanctl.must(['--initiate', '--child', 'net']);
    await lab.agreed(1);
  });

  it('has its Child SA replaced although it offers everything then, as Windows does', async () => {
    const before = await lab.up('initiator');
    await lab.peer.impair(['rekey-initiate-supernet']);
    await lab.peer.rekeyChildSa(firstChild(before.peer));
    const { subject } = await lab.childrenReplaced(before);
    assert.deepEqual(
      subject.children.map(({ localTs, remoteTs }) => [...localTs, ...remoteTs]),
      [['10.1.0.0/16', '10.2.0.0/16']],
    );
  });

  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'an unknown critical payload in the clear (RFC 7296 §2.5)',
      ['add-unknown-v2-payload-to:IKE_SA_INIT', 'unknown-v2-payload-critical'],
      /UNSUPPORTED_CRITICAL_PAYLOAD notification/,
    ],
    [
      'an unknown critical payload in SK (RFC 7296 §2.5)',
      ['add-unknown-v2-payload-to-sk:IKE_AUTH', 'unknown-v2-payload-critical'],
      /rejected by peer: UNSUPPORTED_CRITICAL_PAYLOAD/,
    ],
    [
      'a higher major version (RFC 7296 §2.5)',
      ['major-version-bump'],
      /INVALID_MAJOR_VERSION notification/,
    ],
    [
      'a public value of low order (RFC 8031 §2.1)',
      ['ke-payload:0'],
      /INVALID_SYNTAX notification/,
    ],
    ['an empty public value (RFC 7296 §3.4)', ['ke-payload:EMPTY'], /INVALID_SYNTAX notification/],
    ['no KE payload (RFC 7296 §1.2)', ['ke-payload:OMIT'], /INVALID_SYNTAX notification/],
    [
      'the method NULL instead of its key (RFC 7619 §2.1)',
      ['force-v2-auth-method:NULL'],
      /rejected by peer: AUTHENTICATION_FAILED/,
    ],
  ];
  for (const [what, impairments, heard] of refused) {
    it(`is refused when it sends ${what}`, async () => {
      await lab.peer.impair([patient, ...impairments]);
      await lab.load({});
      const before = lab.peer.log().length;
      await lab.peer.initiate();
      await until(`${heard} in the peer's log`, () => {
        return heard.test(lab.peer.log().slice(before)) || undefined;
      });
      await lab.peer.load([]);
      await lab.empty();
    });
  }

  const notOffered = ['ikev2-add-child-transform:69631', 'child-key-length-attribute:OMIT'];
  for (const impairment of notOffered) {
    it(`is refused when it chooses what was not offered: ${impairment}`, async () => {
      await lab.peer.impair([impairment]);
      await lab.load({});
      const { status, stdout, stderr } = await lab.subject.swanctl.call([
        ...['--initiate', '--child', 'net'],
      ]);
      assert.notEqual(status, 0);
      assert.match(`${stdout}${stderr}`, /chose what we never offered/);
      await lab.empty();
    });
  }
});
