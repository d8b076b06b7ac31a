/**
 * The command `tsgw-trace`: what would become of a packet. One answer, however many policies there
 * are; the keys of SAs are those of `list-sas`.
 */
import { failure } from './answers.ts';
import type { Control, TraceResult } from './control.ts';
import { childSaPairs, ikeSaPairs } from './list-sa.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import { parseTraceQuestion, type TraceWords } from './trace-question.ts';
import type {
  BudgetView,
  CarrierView,
  EncapsulationView,
  LimitsView,
  TracedPacketView,
  TracedPolicyView,
} from './trace-view.ts';

export function traceRequest(words: TraceWords): ViciSection {
  return viciSection([
    ['source', words.source],
    ['destination', words.destination],
    ['traffic', words.traffic],
    ['source-port', words.sourcePort],
    ['size', words.size],
    ['dont-fragment', words.dontFragment || undefined],
    ['inbound', words.inbound || undefined],
  ]);
}

export function traceAnswer(control: Control, request: ViciSection): ViciSection {
  const text = (name: string): string => viciText(request, name) ?? '';
  const question = parseTraceQuestion({
    source: text('source'),
    destination: text('destination'),
    traffic: text('traffic'),
    sourcePort: viciText(request, 'source-port'),
    size: viciText(request, 'size'),
    dontFragment: text('dont-fragment') === 'yes',
    inbound: text('inbound') === 'yes',
  });
  return typeof question === 'string' ? failure(question) : resultSection(control.trace(question));
}

function resultSection({ trace: view, childSa, ikeSa }: TraceResult): ViciSection {
  const { direction, device, passed, all, action, carrier, others, notes, verdict } = view;
  return viciSection([
    ['success', true],
    ['direction', direction],
    ['packet', packetSection(view.packet)],
    [
      'device',
      viciSection([
        ['name', device.name],
        ['mtu', device.mtu],
        ['route', device.route],
      ]),
    ],
    ['policies', viciSection(view.policies.map((one, at) => [`${at + 1}`, policySection(one)]))],
    ['passed', passed],
    ['all', all],
    ['action', action],
    ['child-sa', childSa && viciSection(childSaPairs(childSa))],
    ['ike-sa', ikeSa && viciSection([['connection', ikeSa.connection], ...ikeSaPairs(ikeSa)])],
    ['carrier', carrier && carrierSection(carrier)],
    [
      'others',
      viciSection(
        others.map(({ ike, child, uniqueId, state, why }) => [
          `${child}-${uniqueId}`,
          viciSection([
            ['ike', ike],
            ['child', child],
            ['uniqueid', uniqueId],
            ['state', state],
            ['why', why],
          ]),
        ]),
      ),
    ],
    ['notes', notes],
    [
      'verdict',
      viciSection([
        ['outcome', verdict.outcome],
        ['reason', verdict.reason],
        ['what', verdict.what],
        ['next', verdict.next],
      ]),
    ],
  ]);
}

function packetSection(packet: TracedPacketView): ViciSection {
  return viciSection([
    ['source', packet.source],
    ['destination', packet.destination],
    ['traffic', packet.traffic],
    ['source-port', packet.sourcePort],
    ['source-port-assumed', packet.sourcePortAssumed || undefined],
    ['size', packet.size],
    ['size-assumed', packet.sizeAssumed || undefined],
    ['dont-fragment', packet.dontFragment || undefined],
  ]);
}

function policySection(policy: TracedPolicyView): ViciSection {
  return viciSection([
    ['ike', policy.ike],
    ['child', policy.child],
    ['action', policy.action],
    ['local', policy.local],
    ['remote', policy.remote],
    ['priority', policy.priority],
    ['spi', policy.spi],
    ['fits', policy.misses.length === 0 || undefined],
    ['misses', policy.misses],
  ]);
}

function carrierSection(carrier: CarrierView): ViciSection {
  const { pathMtu, sequence } = carrier;
  return viciSection([
    ['encapsulation', encapsulationSection(carrier.encapsulation)],
    [
      'path-mtu',
      viciSection([
        ['octets', pathMtu.octets],
        ['learned', pathMtu.learned || undefined],
        ['seconds', pathMtu.seconds],
      ]),
    ],
    ['inner-mtu', carrier.innerMtu],
    ['budget', budgetSection(carrier.budget)],
    ['mss', carrier.mss],
    [
      'sequence',
      viciSection([
        ['last', sequence.last],
        ['bits', sequence.bits],
        ['replay-window', sequence.replayWindow],
      ]),
    ],
    ['limits', limitsSection(carrier.limits)],
  ]);
}

function encapsulationSection(one: EncapsulationView): ViciSection {
  return viciSection([
    ['protocol', one.protocol],
    ['local', one.local],
    ['local-port', one.localPort],
    ['remote', one.remote],
    ['remote-port', one.remotePort],
    ['dont-fragment', one.dontFragment || undefined],
  ]);
}

function budgetSection(budget: BudgetView): ViciSection {
  return viciSection([
    ['outer-ip', budget.outerIp],
    ['udp', budget.udp],
    ['esp-header', budget.espHeader],
    ['iv', budget.iv],
    ['inner', budget.inner],
    ['tfc-padding', budget.tfcPadding],
    ['padding', budget.padding],
    ['trailer', budget.trailer],
    ['icv', budget.icv],
    ['total', budget.total],
  ]);
}

function limitsSection(limits: LimitsView): ViciSection {
  return viciSection([
    ['reached', limits.reached],
    ['packets', limits.packets],
    ['octets', limits.octets],
    ['soft-packets', limits.softPackets],
    ['hard-packets', limits.hardPackets],
    ['soft-octets', limits.softOctets],
    ['hard-octets', limits.hardOctets],
  ]);
}
