import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { run } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { h2SecondAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, type Role, roles, useLab } from '../support/lab.ts';

describe('Negotiation with strongSwan (RFC 7296 §2.7, §2.9)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`narrows the selectors to the smaller ones as ${role}`, async () => {
      const { subjectChild, peerChild } = await lab.up(role, {
        g1: role === 'initiator' ? {} : { remoteTs: '10.2.0.0/24' },
        g2: role === 'initiator' ? { localTs: '10.2.0.0/24' } : {},
      });
      assert.deepEqual(subjectChild.remoteTs, ['10.2.0.0/24']);
      assert.deepEqual(peerChild.localTs, ['10.2.0.0/24']);
      await lab.carries();
      const outside = await ping(lab.topology, { to: h2SecondAddress, count: 2, waitSeconds: 0.5 });
      assert.equal(outside.received, 0, 'an address outside the narrowed selector is not reached');
    });

    it(`narrows to a protocol and port as ${role}`, async () => {
      const only = '10.2.0.0/16[tcp/5201]';
      const { subjectChild } = await lab.up(role, {
        g1: role === 'initiator' ? {} : { remoteTs: only },
        g2: role === 'initiator' ? { localTs: only } : {},
      });
      assert.deepEqual(subjectChild.remoteTs, ['10.2.0.0/16[tcp/5201]']);
      const { octets } = await lab.transfer({ octets: 1_000_000 });
      assert.ok(octets > 0);
      const echo = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
      assert.equal(echo.received, 0, 'an echo request is not TCP to port 5201');
    });

    it(`takes the first proposal both know, of lists in different order, as ${role}`, async () => {
      const { subject, subjectChild } = await lab.up(role, {
        g1: {
          proposals: 'aes256gcm16-prfsha512-ecp384,aes128-sha256-ecp256,aes256-sha384-ecp384',
          espProposals: 'chacha20poly1305,aes192-sha512,aes256gcm16',
        },
        g2: {
          proposals: 'aes256-sha384-ecp384,aes128-sha256-ecp256',
          espProposals: 'aes256gcm16,aes192-sha512',
        },
      });
      assert.ok(['AES_CBC'].includes(subject.encrAlg));
      assert.ok(['AES_CBC', 'AES_GCM_16'].includes(subjectChild.encrAlg));
      await lab.carries();
    });

    it(`goes another round after INVALID_KE_PAYLOAD as ${role}`, async () => {
      const initiator = lab.initiator(role);
      const initiatorNode = initiator.node;
      const responderNode = initiatorNode === 'g1' ? 'g2' : 'g1';
      const capture = await Capture.start(lab.topology.network, 'g1');
      const { subject } = await lab.up(role, {
        [initiatorNode]: { proposals: 'aes256-sha256-x25519-modp2048' },
        [responderNode]: { proposals: 'aes256-sha256-modp2048' },
      });
      assert.equal(subject.dhGroup, 'MODP_2048');
      await lab.carries();
      assert.deepEqual(await initNotifies(await capture.stop(), '17'), ['17']);
    });

    it(`refuses a wrong pre-shared key as ${role}`, async () => {
      await lab.load({ g1: { secret: 'one secret' }, g2: { secret: 'another secret' } });
      const { status, stdout, stderr } = await lab.initiate(role);
      assert.notEqual(status, 0, 'swanctl --initiate must not succeed');
      assert.match(
        `${stdout}${stderr}`,
        /AUTH/i,
        'the operator is told that authentication failed',
      );
      await lab.empty();
      const echo = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
      assert.equal(echo.received, 0);
    });

    it(`refuses a peer with no common IKE proposal as ${role}`, async () => {
      await lab.load({
        g1: { proposals: 'aes128-sha256-x25519' },
        g2: { proposals: 'aes256-sha512-modp4096' },
      });
      const { status, stdout, stderr } = await lab.initiate(role);
      assert.notEqual(status, 0);
      assert.match(`${stdout}${stderr}`, /NO_PROP/);
      await lab.empty();
    });

    it(`keeps the IKE SA and has no Child SA with no common ESP proposal as ${role}`, async () => {
      await lab.load({
        g1: { espProposals: 'aes128gcm16' },
        g2: { espProposals: 'aes256-sha512' },
      });
      const { status } = await lab.initiate(role);
      assert.notEqual(status, 0);
      await noChild(lab);
    });

    it(`keeps the IKE SA and has no Child SA with no common selectors as ${role}`, async () => {
      await lab.load({ g1: { remoteTs: '10.9.0.0/16' }, g2: {} });
      const { status } = await lab.initiate(role);
      assert.notEqual(status, 0);
      await noChild(lab);
    });
  }
});

describe('Cookies with strongSwan (RFC 7296 §2.6)', () => {
  const lab = useLab({
    subjectSettings: { ...impatient, cookieThreshold: 1 },
    peerSettings: { ...impatient, cookieThreshold: 1 },
  });
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`is gone through as ${role}`, async () => {
      await lab.load({ proposals: 'aes256-sha256-x25519' });
      const responder = role === 'initiator' ? lab.peer : lab.subject;
      await halfOpen(lab, role, responder);
      const capture = await Capture.start(lab.topology.network, 'g1');
      const { status, stdout } = await lab.initiate(role);
      assert.equal(status, 0, stdout);
      // The half-open SA is no tunnel and is listed until it times out.
      const { subjectChild } = await lab.tunnel();
      assert.equal(subjectChild.state, 'INSTALLED');
      await lab.carries();
      const cookies = await initNotifies(await capture.stop(), '16390');
      assert.ok(cookies.length >= 2, 'one COOKIE asked for, one returned');
    });
  }
});

/** Neither end has a Child SA, and traffic does not pass. */
async function noChild(lab: Lab): Promise<void> {
  for (const { swanctl } of [lab.subject, lab.peer]) {
    const children = (await swanctl.sas()).flatMap((sa) => sa.children);
    assert.deepEqual(children, []);
  }
  const echo = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
  assert.equal(echo.received, 0);
}

/** One IKE_SA_INIT the responder answered and will hear no more of. */
async function halfOpen(lab: Lab, role: Role, responder: Gateway): Promise<void> {
  const { network } = lab.topology;
  await run([
    ...network.at(lab.initiator(role).node),
    ...[process.execPath, 'build/lab/half-open.js', lab.address(responder), '1'],
  ]);
}

/** The notifies of one type in the IKE_SA_INIT messages of a capture. */
async function initNotifies(file: string, type: string): Promise<readonly string[]> {
  const packets = await dissect(file, {
    fields: ['isakmp.notify.msgtype'],
    filter: 'isakmp.exchangetype == 34',
  });
  return packets
    .flatMap((packet) => packet.get('isakmp.notify.msgtype') ?? [])
    .filter((found) => found === type);
}
