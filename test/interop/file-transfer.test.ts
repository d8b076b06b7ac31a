/**
 * A file each way at once between tsgw and strongSwan, in modes of which each two settings come together
 * in some row: outer family, offload, and how the links treat packets larger than their MTU.
 */
import { carriesFiles, type Mode } from '../support/file-transfer.ts';
import { useLab } from '../support/lab.ts';

/** With super-packets at the device and at the sockets, or with single packets. */
const settings: readonly (readonly [string, readonly Mode[]])[] = [
  [
    'auto',
    [
      { links: 'off', outer: 'ipv4', inner: 'ipv6', encap: 'yes' },
      { links: 'wire', outer: 'ipv6', inner: 'ipv4', encap: 'yes' },
      { links: 'on', outer: 'ipv4', inner: 'ipv4', encap: 'yes' },
    ],
  ],
  [
    'off',
    [
      { links: 'off', outer: 'ipv6', inner: 'ipv6', encap: 'yes' },
      { links: 'wire', outer: 'ipv4', inner: 'ipv4', encap: 'yes' },
      { links: 'on', outer: 'ipv6', inner: 'ipv6', encap: 'yes' },
    ],
  ],
];

for (const [offload, modes] of settings) {
  describe(`A file each way between strongSwan and tsgw, offload = ${offload}`, () => {
    carriesFiles(useLab({ subjectSettings: { own: { offload } } }), modes);
  });
}
