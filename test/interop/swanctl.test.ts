/**
 * The real swanctl against tsgw: every verb an administrator uses, and the shape of its listings
 * beside charon's.
 */
import assert from 'node:assert/strict';
import { events, type RawSection } from '../../lab/swanctl.ts';
import { childName, connectionName } from '../../lab/swanctl-conf.ts';
import { useLab } from '../support/lab.ts';

describe('swanctl', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  it('loads connections and secrets into an empty daemon, and unloads what is gone', async () => {
    await lab.load({}, { name: 'second', childName: 'other' });
    const conns = await lab.subject.swanctl.must(['--list-conns', '--raw']);
    const names = events(conns, 'list-conn').flatMap((event) => Object.keys(event));
    assert.deepEqual(names.toSorted(), [connectionName, 'second']);
    await lab.load({});
    const left = await lab.subject.swanctl.must(['--list-conns', '--raw']);
    assert.deepEqual(
      events(left, 'list-conn').flatMap((event) => Object.keys(event)),
      [connectionName],
    );
  });

  it('lists a connection in the shape charon lists it', async () => {
    await lab.load({});
    const [own, charons] = await both(['--list-conns', '--raw']);
    assert.deepEqual(shape(events(own, 'list-conn')), shape(events(charons, 'list-conn')));
  });

  it('lists an SA in the shape charon lists it', async () => {
    await lab.up('initiator');
    await lab.carries();
    const own = await lab.subject.swanctl.must(['--list-sas', '--raw']);
    const charons = await lab.peer.swanctl.must(['--list-sas', '--raw']);
    // Each end is the initiator's or the responder's, and sees a NAT of its own.
    const differs = /^(initiator|nat-(local|remote|fake|any))=/;
    const without = (text: string) =>
      shape(events(text, 'list-sa')).filter((key) => !differs.test(key.trim()));
    assert.deepEqual(without(own), without(charons));
  });

  it('prints SAs, connections and policies for people', async () => {
    await lab.up('initiator');
    const sas = await lab.subject.swanctl.must(['--list-sas']);
    assert.match(sas, /^peer: #\d+, ESTABLISHED, IKEv2, [0-9a-f]{16}_i\* [0-9a-f]{16}_r$/m);
    assert.match(sas, /^ {2}local {2}'g1\.lab' @ 192\.0\.2\.1\[4500\]$/m);
    assert.match(sas, /^ {2}remote 'g2\.lab' @ 192\.0\.2\.2\[4500\]$/m);
    assert.match(sas, /^ {2}AES_CBC-256\/HMAC_SHA2_256_128\/PRF_HMAC_SHA2_256\/CURVE_25519$/m);
    assert.match(sas, /INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128$/m);
    assert.match(sas, /^ {4}local {2}10\.1\.0\.0\/16$/m);
    const conns = await lab.subject.swanctl.must(['--list-conns']);
    assert.match(conns, /^ {2}net: TUNNEL/m);
    await lab.subject.swanctl.must(['--list-pols']);
  });

  it('is answered by every listing and statistic', async () => {
    await lab.load({});
    const verbs: readonly (readonly string[])[] = [
      ['--stats'],
      ['--version', '--daemon'],
      ['--counters'],
      ['--counters', '--all'],
      ['--counters', '--reset'],
      ['--list-algs'],
      ['--list-pools'],
      ['--list-certs'],
      ['--list-authorities'],
      ['--list-sas', '--noblock'],
    ];
    for (const verb of verbs) {
      await lab.subject.swanctl.must(verb);
    }
  });

  it('counts IKE messages', async () => {
    await lab.subject.swanctl.must(['--counters', '--reset']);
    await lab.up('initiator');
    const counters = await lab.subject.swanctl.must(['--counters', '--raw']);
    assert.match(counters, /ike-init-out-req=1 .*ike-auth-out-req=1 /);
  });

  it('initiates and terminates by IKE SA, by child and by number', async () => {
    const { swanctl } = lab.subject;
    await lab.up('initiator');
    await swanctl.must(['--terminate', '--child', childName]);
    await swanctl.must(['--terminate', '--ike', connectionName]);
    await lab.empty();
    await swanctl.must(['--initiate', '--child', childName, '--ike', connectionName]);
    const { subject } = await lab.tunnel();
    await swanctl.must(['--terminate', '--ike-id', subject.uniqueId]);
    await lab.empty();
  });

  it('is told what it asks for does not exist', async () => {
    await lab.load({});
    for (const verb of [
      ['--initiate', '--child', 'nobody'],
      ['--terminate', '--ike', 'nobody'],
    ]) {
      const { status, stdout, stderr } = await lab.subject.swanctl.call(verb);
      assert.notEqual(status, 0, verb.join(' '));
      assert.match(`${stdout}${stderr}`, /failed/);
    }
  });

  async function both(verb: readonly string[]): Promise<readonly [string, string]> {
    return [await lab.subject.swanctl.must(verb), await lab.peer.swanctl.must(verb)];
  }
});

/** The keys of a listing in order, indented; values only where they are names. */
function shape(sections: readonly RawSection[], indent = ''): readonly string[] {
  return sections.flatMap((section) =>
    Object.entries(section).flatMap(([key, value]) => {
      if (typeof value === 'string') {
        return [`${indent}${key}=${/^[A-Z_0-9]*[A-Z][A-Z_0-9]*$/.test(value) ? value : ''}`];
      }
      if (isList(value)) {
        return [`${indent}${key}[${value.length}]`];
      }
      // The name of a Child SA carries its number.
      return [`${indent}${key.replace(/-\d+$/, '-#')} {`, ...shape([value], `${indent}  `)];
    }),
  );
}

function isList(value: RawSection | readonly string[]): value is readonly string[] {
  return Array.isArray(value);
}
