import assert from 'node:assert/strict';
import { lose } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { roles, useLab } from '../support/lab.ts';

describe('Five packets lost in a hundred, each way (RFC 7296 §2.1)', () => {
  const lab = useLab();
  beforeEach(() => lose(lab.topology, 5));
  afterEach(async () => {
    await lose(lab.topology, 0);
    await lab.clear();
  });

  for (const role of roles) {
    it(`comes up ten times of ten as ${role}`, async function tenTimes() {
      this.timeout(120_000);
      for (let round = 0; round < 10; round += 1) {
        await lab.up(role);
        await lab.clear();
      }
    });

    it(`loses what the wire loses and no more as ${role}`, async () => {
      await lab.up(role);
      const answer = await ping(lab.topology, { count: 300, intervalSeconds: 0.005 });
      assert.ok(answer.lossPercent < 20, `${answer.lossPercent} % lost, 9.75 % expected`);
      const { octets } = await lab.transfer({ seconds: 3 });
      assert.ok(octets > 50_000, `${octets} octets arrived in three seconds`);
    });
  }
});
