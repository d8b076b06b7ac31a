/**
 * The questions about IKE and about ciphers, and all there are.
 */
import { measureAead } from './aead.ts';
import { clusterSyncQuestions } from './cluster-sync-question.ts';
import { dataQuestions } from './data-questions.ts';
import { failoverQuestions } from './failover-question.ts';
import { measureFlood } from './flood.ts';
import { measureHandshakes } from './handshakes.ts';
import { type Question, UsageError, whole, wholes } from './question.ts';
import { measureRekey } from './rekey.ts';
import { aeadTable, floodTable, handshakesTable, rekeyTable } from './tables.ts';
import { noneMissed } from './verdict.ts';

const MOST_FLOOD_SECONDS = 60;

const otherQuestions: Readonly<Record<string, Question>> = {
  aead: {
    summary: 'sealing and opening a packet: each cipher by OpenSSL and by ipsec-mb',
    help: `nanoseconds for sealing and for opening a packet of 64 and of 1400 octets in the native layer,
batches of 32, each cipher by each library that has it, in turns in one run.`,
    options: { rounds: '9', calls: '500' },
    async ask(values, progress) {
      const [rounds, calls] = [whole(values, 'rounds'), whole(values, 'calls')];
      const report = await measureAead({ rounds, calls, progress });
      return { report, table: aeadTable(report), kept: true };
    },
  },
  handshakes: {
    summary: 'IKE_SA_INIT and IKE_AUTH: rate, CPU, and with many SAs up',
    help: `IKE_SA_INIT and IKE_AUTH with one Child SA, tsgw and strongSwan as responder in turns, with
x25519, ecp256 and modp2048; then tsgw with 1, 10,000 and 50,000 SAs up. Ends 1 where a limit is
missed.`,
    options: { rounds: '3', handshakes: '2000', standing: '1,10000,50000' },
    async ask(values, progress) {
      const standing = wholes(values, 'standing');
      const [rounds, handshakes] = [whole(values, 'rounds'), whole(values, 'handshakes')];
      const report = await measureHandshakes({ rounds, handshakes, standing, progress });
      return { report, table: handshakesTable(report), kept: noneMissed(report.verdicts) };
    },
  },
  flood: {
    summary: 'clients that come while strangers flood the gateway',
    help: `clients come 20 a second while strangers send spoofed IKE_SA_INIT requests, --rate a second: who
is served, what a spoofed request costs, and what memory; tsgw, then strongSwan.`,
    options: { rate: '20000', seconds: '10' },
    async ask(values, progress) {
      const [perSecond, seconds] = [whole(values, 'rate'), whole(values, 'seconds')];
      if (seconds > MOST_FLOOD_SECONDS) {
        throw new UsageError(`--seconds ${seconds}: ${MOST_FLOOD_SECONDS} at most`);
      }
      const report = await measureFlood({ perSecond, seconds, progress });
      const kept = report.cases.every(({ served, clients, name }) => {
        return name !== 'tsgw' || served === clients;
      });
      return { report, table: floodTable(report), kept };
    },
  },
  rekey: {
    summary: 'packets lost and reordered while SAs are rekeyed',
    help: `numbered packets each way, --rate a second, while both ends rekey in turns, 100 times unless told,
about a minute a case: tsgw - tsgw, tsgw - strongSwan, strongSwan - strongSwan.`,
    options: { rekeys: '100', rate: '1000' },
    async ask(values, progress) {
      const [rekeys, perSecond] = [whole(values, 'rekeys'), whole(values, 'rate')];
      const report = await measureRekey({ rekeys, perSecond, progress });
      return { report, table: rekeyTable(report), kept: true };
    },
  },
};

export const questions: Readonly<Record<string, Question>> = {
  ...dataQuestions,
  ...failoverQuestions,
  ...clusterSyncQuestions,
  ...otherQuestions,
};
