/**
 * Policies in the order of look-up as `tsgw spd` shows them: outbound those of the SPD, inbound what
 * each Child SA takes (RFC 4301 §4.4.1). `owner` knows whose the policies without an SA are.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { SpdRow } from '../ipsec/spd.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { formatSelector } from '../ipsec/traffic-selector.ts';
import type { SpdView } from '../vici/control.ts';

export function spdViews(
  rows: readonly SpdRow[],
  childSas: readonly ChildSa[],
  owner: (id: number) => { readonly ike: string; readonly child: string } | undefined,
): readonly SpdView[] {
  const byId = new Map(childSas.map((childSa) => [childSa.id, childSa]));
  const outbound = rows.map(({ entry, local, remote }): SpdView => {
    const childSa = byId.get(entry.id);
    const { ike, child } = owner(entry.id) ?? { ike: childSa?.connection, child: childSa?.name };
    return {
      direction: 'out',
      action: entry.action,
      local: formatSelector(local),
      remote: formatSelector(remote),
      child: child ?? '',
      ike: ike ?? '',
      spi: childSa ? formatSpi(childSa.spiOut) : '',
    };
  });
  const inbound = childSas.flatMap((childSa) =>
    childSa.localTs.flatMap((local) =>
      childSa.remoteTs.map(
        (remote): SpdView => ({
          direction: 'in',
          action: 'protect',
          local: formatSelector(local),
          remote: formatSelector(remote),
          child: childSa.name,
          ike: childSa.connection,
          spi: formatSpi(childSa.spiIn),
        }),
      ),
    ),
  );
  return [...outbound, ...inbound];
}
