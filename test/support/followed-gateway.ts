/**
 * A gateway whose snapshots go to a file, and that has those of the file as PASSIVE when it starts; on
 * SIGUSR2 it goes on with them, on SIGHUP so too but asks peers where they stand. Two of these, one after the other, are two nodes with one path between.
 *
 * Run as a program: `followed-gateway.js SID FILE --config CONF --vici URI --keylog DIRECTORY`.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { loadConfig } from '../../src/config/config.ts';
import { eventLevel, isShown, logLine } from '../../src/events/log-line.ts';
import { Gateway } from '../../src/gateway.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { readFiles, readSettings } from '../../src/io/settings-files.ts';

/** Bundles behind their lengths. */
function recorded(file: string): readonly Uint8Array[] {
  if (!existsSync(file)) return [];
  const octets = readFileSync(file);
  const bundles: Uint8Array[] = [];
  for (let at = 0; at < octets.length; ) {
    const length = octets.readUInt32BE(at);
    bundles.push(Uint8Array.from(octets.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return bundles;
}

const [sid = '', file = '', , settings = '', , viciUri = ''] = process.argv.slice(2);
const config = loadConfig(readSettings(settings), settings, readFiles);
const bundles = recorded(file);
const gateway = await Gateway.start({
  config,
  viciUri,
  following: {
    sid: Number(sid),
    changed: (bundle) => {
      const octets = encodeBundle(bundle);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(octets.length);
      appendFileSync(file, Buffer.concat([length, octets]));
    },
  },
  log: (event) => {
    if (isShown(eventLevel(event), 'debug')) process.stderr.write(`${logLine(event)}\n`);
  },
  failed: (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
});
for (const octets of bundles) {
  gateway.follow({ kind: 'install-snapshots', bundle: decodeBundle(octets) });
}
for (const [signal, unsure] of [
  ['SIGUSR2', false],
  ['SIGHUP', true],
] as const) {
  process.on(signal, () => {
    gateway.follow({ kind: 'activate', spis: gateway.passiveSpis(), unsure });
  });
}
const stop = (): void => {
  void gateway.stop().then(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
process.stdout.write(`ready device=${config.gateway.device} vici=${viciUri}\n`);
