import assert from 'node:assert/strict';
import { impatient, useLab } from '../support/lab.ts';

describe('What tsgw leaves behind', () => {
  const lab = useLab();

  it('is nothing after it ended', async () => {
    await lab.subject.stop();
    const before = await traces();
    await lab.subject.start(impatient);
    await lab.up('initiator');
    await lab.carries();
    assert.notEqual(await traces(), before, 'a running tunnel can be seen');
    await lab.subject.stop();
    assert.equal(await traces(), before);
    await lab.empty().catch(() => undefined);
    await lab.subject.start(impatient);
    await lab.load({});
  });

  it('is nothing stale after kill -9 and a new start, and the tunnel comes back', async () => {
    await lab.subject.stop();
    const before = await traces();
    await lab.subject.start(impatient);
    const idle = await traces();
    await lab.up('initiator');
    await lab.carries();
    const up = await traces();
    await lab.subject.kill();
    await lab.subject.start(impatient);
    assert.equal(await traces(), idle, 'device, routes and rules are those of a fresh start');
    await lab.up('initiator');
    await lab.carries();
    assert.equal(await traces(), up, 'and those of a fresh tunnel once it is up');
    await lab.subject.stop();
    assert.equal(await traces(), before);
    await lab.subject.start(impatient);
  });

  it('is nothing stale after kill -9 while the peer initiates again', async () => {
    await lab.up('responder');
    await lab.carries();
    await lab.subject.kill();
    await lab.subject.start(impatient);
    await lab.peer.swanctl.call(['--terminate', '--ike', 'peer', '--force']);
    await lab.up('responder');
    await lab.carries();
    await lab.clear();
  });

  /** Everything of the network a daemon could have changed, without counters and times. */
  async function traces(): Promise<string> {
    const { network } = lab.topology;
    const commands = [
      ['ip', '-o', 'link', 'show'],
      ['ip', '-o', 'addr', 'show'],
      ['ip', 'rule', 'show'],
      ['ip', '-6', 'rule', 'show'],
      ['ip', 'route', 'show', 'table', 'all'],
      ['ip', '-6', 'route', 'show', 'table', 'all'],
      ['nft', 'list', 'ruleset'],
    ];
    const shown: string[] = [];
    for (const command of commands) {
      const { stdout } = await network.exec(lab.subjectNode, command);
      const lines = stdout.split('\n').map((line) => line.replaceAll(changing, '').trimEnd());
      shown.push(
        lines
          .filter((line) => line !== '')
          .toSorted()
          .join('\n'),
      );
    }
    return shown.join('\n');
  }
});

/** Interface numbers, lifetimes and link-local addresses differ from one device to the next. */
const changing = /^\d+: |expires \d+sec|fe80::[0-9a-f:]+(\/\d+)?|(pref|proto) kernel .*fe80.*$/g;
