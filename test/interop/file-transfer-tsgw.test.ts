/**
 * A file each way at once between two tsgw, in modes of which each two settings come together in some row:
 * encapsulation, outer family, offload, and how the links treat packets larger than their MTU.
 */
import { carriesFiles, type Mode } from '../support/file-transfer.ts';
import { onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

/** Super-packets, or single packets of several workers, each with a queue of the device. */
const settings: readonly (readonly [Readonly<Record<string, string>>, readonly Mode[]])[] = [
  [
    { offload: 'auto' },
    [
      { links: 'off', outer: 'ipv4', inner: 'ipv4', encap: 'yes' },
      { links: 'wire', outer: 'ipv4', inner: 'ipv6', encap: 'no' },
      { links: 'on', outer: 'ipv6', inner: 'ipv4', encap: 'no' },
      { links: 'on', outer: 'ipv6', inner: 'ipv6', encap: 'yes' },
    ],
  ],
  [
    { offload: 'off', workers: '2' },
    [
      { links: 'off', outer: 'ipv6', inner: 'ipv6', encap: 'no' },
      { links: 'wire', outer: 'ipv6', inner: 'ipv4', encap: 'yes' },
      { links: 'on', outer: 'ipv4', inner: 'ipv4', encap: 'yes' },
    ],
  ],
];

for (const [own, modes] of settings) {
  describe(`A file each way between two tsgw, offload = ${own.offload}`, () => {
    onlyTsgw();
    const both = { subjectSettings: { own }, peerSettings: { own } };
    carriesFiles(useLab({ peer: subjectKind, ...both }), modes);
  });
}
