/**
 * A NAT that shows the peer under another address and port in the middle of a conversation: ESP alone
 * says so, and both directions go on (RFC 7296 §2.23).
 */
import assert from 'node:assert/strict';
import { sleep, until } from '../../lab/command.ts';
import { hostAddress, natAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, onlyTsgw, useLab } from '../support/lab.ts';

const OTHER_ADDRESS = '192.0.2.253';

/** The NAT box forgets its mappings with the address they had, and makes new ones. */
async function rebind({ topology: { network } }: Lab, from: string, to: string): Promise<void> {
  // A second address of a network goes with its first: one after the other.
  await network.ip('nat', [
    `address del ${from}/24 dev outside`,
    `address add ${to}/24 dev outside`,
  ]);
}

describe('A NAT mapping that changes under an SA', () => {
  onlyTsgw();
  const lab = useLab({ nat: true, subjectAt: 'g2', subjectSettings: impatient });

  it('is followed by the first packet that comes through the new one', async () => {
    await lab.up('responder', { g2: { remoteAddress: '%any' } });
    const before = await lab.tunnel();
    assert.equal(before.subject.remoteHost, natAddress);
    const stream = ping(lab.topology, {
      ...{ from: 'h1', to: hostAddress('h2', 'ipv4') },
      ...{ count: 300, intervalSeconds: 0.01 },
    });
    await sleep(1_000);
    await rebind(lab, natAddress, OTHER_ADDRESS);
    const { received } = await stream;
    // What was under way through the old mapping is the NAT's loss.
    assert.ok(received >= 270, `${received} of 300 came back`);
    await until('the peer to be where the NAT box shows it', async () => {
      const { subject } = await lab.tunnel();
      return subject.remoteHost === OTHER_ADDRESS || undefined;
    });
    const after = await lab.tunnel();
    assert.equal(after.subject.uniqueId, before.subject.uniqueId, 'the same IKE SA');
    assert.equal(after.subjectChild.raw['spi-in'], before.subjectChild.raw['spi-in']);
    const { lossPercent } = await ping(lab.topology, { from: 'h2', to: '10.1.0.10', count: 20 });
    assert.equal(lossPercent, 0, 'and from our side on');
  });
});
