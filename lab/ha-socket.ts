/**
 * The socket of one node of a strongSwan HA cluster, for a program outside its namespace: datagrams from
 * the other node are lines of hex on standard output, lines of standard input go to the other node.
 *
 *   node build/lab/ha-socket.js LOCAL REMOTE
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const PORT = 4510;

function main([local = '', remote = '']: readonly string[]): void {
  const socket = createSocket('udp4');
  socket.on('message', (octets, { address }) => {
    if (address === remote) process.stdout.write(`${octets.toString('hex')}\n`);
  });
  // Nobody listens at the other node yet, or no longer.
  socket.on('error', () => undefined);
  socket.bind(PORT, local, () => process.stdout.write('ready\n'));
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => socket.send(Buffer.from(line, 'hex'), PORT, remote, () => undefined));
  lines.on('close', () => process.exit(0));
}

main(process.argv.slice(2));
