/**
 * IKE SAs that come up without a Child SA (RFC 6023), and clients that a gateway sends to another
 * address (RFC 5685).
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { connectionName, type PairSettings } from '../../lab/swanctl-conf.ts';
import { impatient, type Lab, roles, useLab } from '../support/lab.ts';
import { settled, underStream } from '../support/tunnel-life.ts';

describe('An IKE SA without a Child SA (RFC 6023)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const role of roles) {
    for (const { asks, answers, ends } of [
      { asks: 'force', answers: 'allow', ends: 'has no child' },
      // strongSwan 5.9.8 has no `prefer` yet.
      ...(role === 'initiator' ? [{ asks: 'prefer', answers: 'allow', ends: 'has no child' }] : []),
      ...(role === 'initiator'
        ? [{ asks: 'prefer', answers: 'never', ends: 'has the child' }]
        : []),
      { asks: 'allow', answers: 'never', ends: 'has the child' },
      { asks: 'force', answers: 'never', ends: 'fails' },
      { asks: 'never', answers: 'force', ends: 'fails' },
    ]) {
      it(`${asks} meets ${answers}: IKE_AUTH ${ends}, as ${role}`, async () => {
        const [subject, peer] = role === 'initiator' ? [asks, answers] : [answers, asks];
        await lab.load({
          [lab.subjectNode]: { connection: { childless: subject } },
          [lab.peerNode]: { connection: { childless: peer } },
        });
        const before = lab.peer.log().length;
        const { status, stdout, stderr } = await lab.initiate(role);
        if (ends === 'fails') {
          assert.notEqual(status, 0, stdout);
          return;
        }
        assert.equal(status, 0, `${stdout}${stderr}`);
        const log = lab.peer.log().slice(before);
        const [request] = /IKE_AUTH request 1 \[[^\]]*\]/.exec(log) ?? [];
        assert.equal(request?.includes(' TSi '), ends !== 'has no child', request);
        assert.equal(log.includes('CREATE_CHILD_SA request'), ends === 'has no child');
        await lab.carries();
      });
    }

    it(`comes up alone when only it is asked for, and gets its child later, as ${role}`, async () => {
      await lab.load({ connection: { childless: 'allow' } });
      await lab.initiator(role).swanctl.must(['--initiate', '--ike', connectionName]);
      for (const { swanctl } of [lab.subject, lab.peer]) {
        const [sa] = await swanctl.sas();
        assert.deepEqual([sa?.state, sa?.children.length], ['ESTABLISHED', 0]);
      }
      assert.equal((await lab.initiate(role)).status, 0);
      await lab.carries();
    });
  }
});

describe('A client that is sent elsewhere (RFC 5685)', () => {
  const lab = useLab({ subjectSettings: impatient, peerSettings: impatient });
  const other = { g1: '192.0.2.11', g2: '192.0.2.22' };
  before(async () => {
    for (const node of ['g1', 'g2'] as const) {
      await lab.topology.network.ip(node, [`address add ${other[node]}/24 dev wan`]);
    }
  });
  afterEach(() => lab.clear());

  for (const role of roles) {
    const [client, gateway] = role === 'initiator' ? ['we', 'strongSwan'] : ['strongSwan', 'us'];
    it(`${client} by ${gateway} while the tunnel is up, which goes on there`, async () => {
      const pair: PairSettings = {
        [lab.initiator(role) === lab.subject ? lab.peerNode : lab.subjectNode]: {
          connection: { local_addrs: '%any' },
        },
      };
      const before = await lab.up(role, pair);
      const sender = lab.initiator(role) === lab.subject ? lab.peer : lab.subject;
      const to = other[sender.node];
      await underStreamOf(lab, role, async () => {
        const redirect = ['--redirect', '--ike', connectionName, '--gateway', to];
        await sender.swanctl.must(redirect);
        await until('the client to be there', async () => {
          const sas = await lab.initiator(role).swanctl.sas();
          return (sas.length === 1 && sas[0]?.remoteHost === to) || undefined;
        });
      });
      const after = await settled(lab);
      assert.notEqual(after.subject.raw['initiator-spi'], before.subject.raw['initiator-spi']);
      await lab.carries();
    });
  }
});

/** We lose nothing on the way; strongSwan breaks before it makes. */
async function underStreamOf(lab: Lab, role: string, body: () => Promise<void>): Promise<void> {
  if (role === 'initiator') await underStream(lab, body);
  else await body();
}
