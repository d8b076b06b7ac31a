/**
 * A UDP socket in a namespace for a program outside of it: what arrives is a line on standard output, a
 * line of standard input is sent. A line is the other end's address and port, and the octets in hex.
 *
 *   node build/lab/udp-relay.js ADDRESS PORT
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

function main([local = '', localPort = '']: readonly string[]): void {
  const socket = createSocket('udp4');
  socket.on('message', (octets, { address, port }) => {
    process.stdout.write(`${address} ${port} ${octets.toString('hex')}\n`);
  });
  // Nobody listens there yet, or no longer.
  socket.on('error', () => undefined);
  socket.bind(Number(localPort), local, () => process.stdout.write('ready\n'));
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [address = '', port = '', hex = ''] = line.split(' ');
    socket.send(Buffer.from(hex, 'hex'), Number(port), address, () => undefined);
  });
  lines.on('close', () => process.exit(0));
}

main(process.argv.slice(2));
