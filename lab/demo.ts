/**
 * `npm run demo`: a tunnel between tsgw and strongSwan, drawn, pinged and filled.
 *
 *   h1 ---- g1 ================= g2 ---- h2
 *           tsgw    IKEv2, ESP   strongSwan
 *
 * Ends 0 only when every ping came back.
 */
import assert from 'node:assert/strict';
import { Capture } from './capture.ts';
import { requirePrerequisites } from './prerequisites.ts';
import { drawn, onStage, pingAcross, type Stage } from './scenario.ts';
import { siteToSite } from './scenarios/site-to-site.ts';
import { childName, connectionName } from './swanctl-conf.ts';
import { TransferServer } from './traffic.ts';

async function demo(): Promise<void> {
  requirePrerequisites();
  console.log(
    'h1 10.1.0.10 ---- g1 tsgw ==== wan 192.0.2.0/24 ==== g2 strongSwan ---- h2 10.2.0.10',
  );
  await onStage(siteToSite, console.log, async (stage) => {
    const capture = await Capture.start(stage.topology.network, 'g1');
    await stage.g1.swanctl.must(['--initiate', '--child', childName]);
    console.log(
      '\nswanctl --initiate --child net, at tsgw; on the wire, opened with its key log:\n',
    );
    console.log(await drawn(await capture.stop(), stage));
    console.log('\nswanctl --list-sas, at tsgw:\n');
    console.log((await stage.g1.swanctl.must(['--list-sas'])).trimEnd());
    console.log('');
    await pingAcross(stage, { count: 20 });
    await throughput(stage);
    await stage.g1.swanctl.must(['--terminate', '--ike', connectionName]);
    for (const { node, swanctl } of [stage.g1, stage.g2]) {
      assert.deepEqual(await swanctl.sas(), [], `an SA is left at ${node}`);
    }
    console.log(`swanctl --terminate --ike ${connectionName}: both ends are empty again`);
  });
}

async function throughput({ topology, say }: Stage): Promise<void> {
  const server = await TransferServer.start(topology);
  for (const reverse of [false, true]) {
    const { bitsPerSecond } = await server.transfer({ seconds: 3, reverse });
    const direction = reverse ? 'h2 -> h1' : 'h1 -> h2';
    say(`TCP ${direction}: ${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s through the tunnel`);
  }
  await server.stop();
}

try {
  await demo();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
