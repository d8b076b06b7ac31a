/**
 * SAs replaced again and again under traffic (RFC 7296 §1.3.2, §1.3.3, §2.8): no packet is lost.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { impatient, useLab } from '../support/lab.ts';
import { agreed, counters, more, tunnelDrops, underStream } from '../support/tunnel-life.ts';

/** What stands still for less than so long still finds the SA that was replaced. */
const settings = { ...impatient, deleteRekeyedDelaySeconds: 3 };
/** Of the Child SA; one each second. */
const REKEYS = 3;

describe('Rekeying under 1000 packets a second each way (RFC 7296 §2.8)', () => {
  const lab = useLab({ subjectSettings: settings, peerSettings: settings });
  afterEach(() => lab.clear());

  for (const pfs of [false, true]) {
    for (const rekeyer of ['subject', 'peer'] as const) {
      const keys = pfs ? 'with' : 'without';
      it(`loses nothing while the ${rekeyer} rekeys the Child SA each second, ${keys} KE`, async () => {
        await lab.up(rekeyer === 'subject' ? 'initiator' : 'responder', rekeyedBy(rekeyer, pfs));
        const ends = [lab.subject, lab.peer];
        const before = await Promise.all(ends.map((end) => counters(end)));
        const dropsBefore = await tunnelDrops(lab);
        await underStream(lab, async () => {
          for (const [index, end] of ends.entries()) {
            const asked = end === lab[rekeyer] ? 'create-child-out-req' : 'create-child-in-req';
            const rekeyed = async () => {
              const counted = more(before[index], await counters(end));
              const ike = counted('ike-rekey-init') + counted('ike-rekey-resp');
              const enough = counted('child-rekey') >= REKEYS && counted(asked) >= REKEYS;
              return (enough && ike >= 1) || undefined;
            };
            await until(`${end.kind} to have rekeyed`, rekeyed, REKEYS * 4_000, 200);
          }
        });
        assert.deepEqual(await tunnelDrops(lab), dropsBefore, 'nothing was dropped on the way');
        await agreed(lab);
        const [sa] = await lab.subject.swanctl.sas();
        assert.equal(sa?.children[0]?.raw['dh-group'], pfs ? 'CURVE_25519' : undefined);
      });
    }
  }

  function rekeyedBy(rekeyer: 'subject' | 'peer', pfs: boolean): PairSettings {
    const rekeys = { child: { rekey_time: '1s', rand_time: '0s', life_time: '60s' } };
    const stays = { child: { rekey_time: '0s' } };
    const [subject, peer] = rekeyer === 'subject' ? [rekeys, stays] : [stays, rekeys];
    return {
      espProposals: pfs ? 'aes128gcm16-x25519' : 'aes128gcm16',
      // Of both ends, at the same time.
      connection: { rekey_time: '2s', rand_time: '0s', over_time: '60s' },
      [lab.subjectNode]: subject,
      [lab.peerNode]: peer,
    };
  }
});
