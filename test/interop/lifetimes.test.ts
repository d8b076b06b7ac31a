/**
 * Child SAs that end by what they carried or by what they did not (RFC 4301 §4.4.2.1, RFC 7296
 * §2.8). The limits are ours: strongSwan's userspace ESP knows those of time only.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, onlyTsgw, roles, useLab } from '../support/lab.ts';
import { agreed, counters, dropped, more, underStream } from '../support/tunnel-life.ts';

const settings = { ...impatient, deleteRekeyedDelaySeconds: 1 };

describe('The life of a Child SA (RFC 4301 §4.4.2.1)', () => {
  onlyTsgw();
  const lab = useLab({ subjectSettings: settings, peerSettings: settings });
  afterEach(() => lab.clear());

  for (const { what, child } of [
    { what: 'packets', child: { rekey_packets: '1000', life_packets: '3000', rand_packets: '0' } },
    // Of 228 octets each.
    { what: 'octets', child: { rekey_bytes: '228000', life_bytes: '684000', rand_bytes: '0' } },
  ]) {
    it(`is renewed before its ${what} are used up, and nothing is lost`, async () => {
      await lab.up('initiator', { [lab.subjectNode]: { child } });
      const before = await counters(lab.subject);
      const renewals = async () => more(before, await counters(lab.subject))('child-rekey');
      const { there, back } = await underStream(lab, () =>
        until('two renewals', async () => (await renewals()) >= 2 || undefined, 12_000, 200).then(),
      );
      // What two directions carry is counted for each alone.
      const [renewed, packets] = [await renewals(), Math.max(there.sent, back.sent)];
      assert.ok(renewed <= packets / 1000, `${renewed} times in ${packets} packets`);
      await agreed(lab);
      await lab.carries();
    });
  }

  it('ends with its packets where nothing renews it', async () => {
    await lab.up('initiator', {
      [lab.subjectNode]: { child: { rekey_packets: '0', life_packets: '50' } },
    });
    const before = await dropped(lab, 'outbound-hard-limit');
    const { received } = await ping(lab.topology, {
      ...{ count: 60, intervalSeconds: 0.005, waitSeconds: 1 },
    });
    assert.ok(received >= 48 && received <= 50, `${received} answers`);
    await childless(lab);
    const refused = (await dropped(lab, 'outbound-hard-limit')) - before;
    assert.ok(refused <= 10, `${refused} packets after the end`);
  });

  for (const role of roles) {
    it(`ends with its time where nothing renews it, as ${role}`, async () => {
      const began = performance.now();
      await lab.up(role, {
        [lab.subjectNode]: { child: { rekey_time: '0s', life_time: '3s', rand_time: '0s' } },
        [lab.peerNode]: { child: { rekey_time: '0s' } },
      });
      await lab.carries();
      await childless(lab);
      const lasted = performance.now() - began;
      assert.ok(lasted > 3_000 && lasted < 10_000, `${lasted} ms`);
      assert.equal((await ping(lab.topology, { count: 2, waitSeconds: 0.5 })).received, 0);
    });

    it(`ends when nothing passes, and not before, as ${role}`, async () => {
      await lab.up(role, { [lab.subjectNode]: { child: { inactivity: '2s' } } });
      const { lossPercent } = await ping(lab.topology, { count: 6, intervalSeconds: 0.5 });
      assert.equal(lossPercent, 0, 'it is kept by what passes');
      const [sa] = await lab.subject.swanctl.sas();
      assert.equal(sa?.children.length, 1);
      await childless(lab);
    });
  }
});

/** Waits until both ends have the IKE SA without a Child SA. */
async function childless(lab: Lab): Promise<void> {
  for (const end of [lab.subject, lab.peer]) {
    await until(
      `${end.kind} to have an IKE SA without a Child SA`,
      async () => {
        const sas = await end.swanctl.sas();
        return (sas.length === 1 && sas[0]?.children.length === 0) || undefined;
      },
      8_000,
    );
  }
}
