/**
 * The IKE engine's two doors: `handle(input, now)` and `nextDeadline()`.
 *
 * Holds what lives longer than a turn; datagrams go through `reception.ts` to their exchanges.
 */
import { equalAddresses, formatEndpoint, type IpAddress } from '../wire/address.ts';
import { earliest, type Instant } from '../wire/instant.ts';
import type { Action, Input } from './action.ts';
import { Admission } from './admission.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { withdraw } from './deletion.ts';
import { answerHeldRequest } from './dispatch.ts';
import { doubt, doubtMore } from './doubt.ts';
import { repeatSync } from './exchange/message-id-sync.ts';
import { heedOwnAddresses, probeOtherPaths } from './exchange/mobike.ts';
import { measurePath } from './exchange/path-probe.ts';
import type { IkeSa } from './ike-sa.ts';
import { initiate, settleReauthentication, tryAgain } from './initiation.ts';
import { keepAlive, livenessDeadline } from './liveness.ts';
import type { IkeSpi } from './message/message.ts';
import { exchangeName } from './message/payload-rules.ts';
import { PassiveSas } from './passive-sas.ts';
import { Reception } from './reception.ts';
import { RedirectHistory } from './redirect-history.ts';
import { redirectClients } from './redirection.ts';
import { followNat } from './relocation.ts';
import { reopen } from './reopening.ts';
import { expireRequest, repeatRequest } from './repetition.ts';
import { startReplacements } from './replacement.ts';
import { Replication } from './replication.ts';
import { SaNumbers } from './sa-numbers.ts';
import { SaRegistry } from './sa-registry.ts';
import type { IkeSaSnapshot, SnapshotBundle } from './snapshot.ts';
import { activate, deactivate, type TakeOverParts } from './take-over.ts';
import { Terminations } from './termination.ts';
import { type IkeEnvironment, Turn } from './turn.ts';
import { expireChild, rekeyChild, replaceChildSas, upkeep, upkeepDeadline } from './upkeep.ts';

/** What `shutdown` deletes. */
const EVERYTHING = { selector: {}, force: false };

export class IkeEndpoint {
  readonly #environment: IkeEnvironment;
  readonly #numbers: SaNumbers;
  readonly #registry: SaRegistry;
  readonly #admission: Admission;
  readonly #reception: Reception;
  readonly #terminations = new Terminations();
  readonly #deadlines = new DeadlineQueue<IkeSpi>();
  readonly #redirects = new RedirectHistory();
  readonly #passive: PassiveSas;
  readonly #replication: Replication;
  #ownAddresses: readonly IpAddress[] = [];

  constructor(environment: IkeEnvironment) {
    this.#environment = environment;
    this.#numbers = new SaNumbers(environment.random);
    this.#registry = new SaRegistry(environment.random);
    this.#admission = new Admission(this.#registry, environment.random);
    this.#reception = new Reception(this.#registry, this.#admission);
    this.#passive = new PassiveSas(environment, this.#registry);
    this.#replication = new Replication(environment, this.#registry, this.#passive);
  }

  /** Every IKE SA that is not closed, oldest first. */
  ikeSas(): readonly IkeSa[] {
    return [...this.#registry.all()].filter(({ state }) => state.name !== 'Closed');
  }

  /** IKE SAs of other nodes, as they would go on here. */
  passiveSas(now: Instant): readonly IkeSa[] {
    return this.#passive.views({ now, numbers: this.#numbers });
  }

  /** Our SPIs of all of them, those too that are listed nowhere because they are at their end. */
  passiveSpis(): readonly IkeSpi[] {
    return [...this.#passive.spis()];
  }

  /** How many of those there are. */
  get passive(): number {
    return this.#passive.size;
  }

  /**
   * What changed since the last call, for other nodes to follow; undefined for nothing, and always
   * where nobody follows (`replicated`). Called after each `handle`, before its actions are performed.
   */
  takeChanges(now: Instant): SnapshotBundle | undefined {
    return this.#replication.take(now);
  }

  /** Every IKE SA that is active here. */
  snapshots(now: Instant): SnapshotBundle {
    const snapshots = [...this.#registry.all()].map((sa) =>
      this.#replication.snapshot({ now }, sa),
    );
    return { snapshots, gone: [] };
  }

  /** Our SPIs of every IKE SA that is active here, closed ones that still answer too. */
  activeSpis(): readonly IkeSpi[] {
    return [...this.#registry.all()].map(({ ownSpi }) => ownSpi);
  }

  /** Snapshots of other nodes as they came, and when. */
  passiveSnapshots(): readonly { readonly snapshot: IkeSaSnapshot; readonly at: Instant }[] {
    return [...this.#passive.all()].map(({ snapshot, at }) => ({ snapshot, at }));
  }

  /** As it is now, or as it came of another node and when; undefined where it is not here. */
  snapshotOf(
    spi: IkeSpi,
    now: Instant,
  ): { readonly snapshot: IkeSaSnapshot; readonly at: Instant } | undefined {
    const sa = this.#registry.bySpi(spi);
    if (sa) return { snapshot: this.#replication.snapshot({ now }, sa), at: now };
    return this.#passive.get(spi);
  }

  /** IKE SAs of responders that have not authenticated. */
  get halfOpen(): number {
    return this.#registry.halfOpen;
  }

  /** Inbound ESP SPIs that are taken: of Child SAs, and of those under way. */
  get inboundSpis(): number {
    return this.#numbers.spisIn;
  }

  handle(input: Input, now: Instant): readonly Action[] {
    const turn = new Turn(this.#environment, this.#numbers, now);
    turn.redirects = this.#redirects;
    turn.ownAddresses = this.#ownAddresses;
    switch (input.kind) {
      case 'datagram':
        this.#reception.receive(turn, input);
        break;
      case 'initiate':
        initiate(turn, this.#registry, input);
        break;
      case 'terminate':
        this.#terminations.start(turn, this.ikeSas(), input.request, input);
        break;
      case 'shutdown':
        this.#terminations.start(turn, this.ikeSas(), input.request, EVERYTHING);
        break;
      case 'rekey':
        startReplacements(turn, this.#registry, this.ikeSas(), input);
        break;
      case 'traffic-limit':
        this.#reachedLimit(turn, input);
        break;
      case 'measure-path':
        measurePath(turn, this.ikeSas(), input);
        break;
      case 'redirect':
        redirectClients(turn, this.ikeSas(), input);
        break;
      case 'peer-moved':
        this.#peerMoved(turn, input);
        break;
      case 'local-addresses':
        this.#ownAddresses = input.addresses;
        turn.ownAddresses = input.addresses;
        for (const sa of this.ikeSas()) heedOwnAddresses(turn, sa);
        break;
      case 'address-came':
        for (const sa of this.ikeSas()) {
          if (equalAddresses(sa.local.address, input.address)) repeatRequest(turn, sa);
        }
        break;
      case 'install-snapshots':
        this.#passive.install(turn, input.bundle);
        break;
      case 'activate':
        activate(turn, this.#parts(), input);
        break;
      case 'make-sure':
        this.#makeSure(turn, input);
        break;
      case 'replace-child-sas':
        replaceChildSas(turn, this.ikeSas(), new Set(input.spisIn));
        break;
      case 'deactivate':
        deactivate(turn, this.#parts(), input.spis);
        break;
      case 'addresses-decided':
        this.#addressesDecided(turn, input.spi);
        break;
      case 'token-secrets':
        this.#admission.share(input.secrets);
        break;
      case 'deadline':
        this.#expire(turn);
        break;
      default:
        return input satisfies never;
    }
    this.#terminations.complete(turn);
    // Reviewing one may touch others, which then come after it.
    for (const spi of turn.touched) this.#review(turn, spi);
    for (const spi of turn.reviewed) if (!turn.touched.has(spi)) this.#review(turn, spi);
    this.#replication.note(turn.touched);
    return turn.actions;
  }

  #parts(): TakeOverParts {
    return {
      registry: this.#registry,
      passive: this.#passive,
      replication: this.#replication,
      terminations: this.#terminations,
    };
  }

  /** When to hand in `deadline`. Traffic of Child SAs may have put it off: then nothing happens. */
  nextDeadline(): Instant | undefined {
    return earliest(this.#deadlines.first, this.#reception.deadline);
  }

  /** After something happened to an IKE SA: does it count as half-open, when does it want a call? */
  #review(turn: Turn, ownSpi: IkeSpi): void {
    const sa = this.#registry.bySpi(ownSpi);
    if (sa && 'peer' in sa.state) this.#registry.settle(sa);
    if (sa) settleReauthentication(turn, sa);
    const environment = this.#environment;
    const deadline =
      sa &&
      earliest(
        sa.nextDeadline(),
        livenessDeadline(sa, environment),
        upkeepDeadline(sa, environment),
      );
    this.#deadlines.set(ownSpi, deadline);
  }

  /** Another node said something else over it. */
  #makeSure(turn: Turn, { spi, strangers }: Extract<Input, { readonly kind: 'make-sure' }>): void {
    const sa = this.#registry.bySpi(spi);
    if (!sa) return;
    doubt(turn, sa);
    for (const spiIn of strangers) withdraw(turn, sa, spiIn);
  }

  /** The packet loop counted a Child SA to its limit. */
  #reachedLimit(
    turn: Turn,
    { childSaId, limit }: Extract<Input, { readonly kind: 'traffic-limit' }>,
  ): void {
    const sa = this.#registry.find(({ children }) => children.has(childSaId));
    const child = sa?.children.get(childSaId);
    if (!sa || !child) return;
    if (limit === 'hard') expireChild(turn, sa, child, 'it carried what it may carry');
    else if (child.state.name === 'Installed') rekeyChild(turn, sa, child);
  }

  #addressesDecided(turn: Turn, spi: IkeSpi): void {
    const sa = this.#registry.bySpi(spi);
    if (!sa) return;
    turn.touched.add(spi);
    answerHeldRequest(turn, this.#registry, sa);
  }

  // RFC 7296 §2.23, RFC 4555 §3.8: packets of ESP that are authentic show where a NAT put the peer.
  #peerMoved(turn: Turn, input: Extract<Input, { readonly kind: 'peer-moved' }>): void {
    const sa = this.#registry.find(({ children }) => children.has(input.childSaId));
    if (sa) followNat(turn, sa, input, 'a packet came from there');
  }

  #expire(turn: Turn): void {
    this.#reception.expire(turn);
    for (const ownSpi of this.#deadlines.due(turn.now)) {
      turn.reviewed.add(ownSpi);
      const sa = this.#registry.bySpi(ownSpi);
      if (!sa) continue;
      if (sa.state.name === 'Closed') {
        if (turn.now >= sa.state.until) this.#remove(turn, sa);
        continue;
      }
      if (sa.state.name === 'AwaitingIkeAuthRequest' && turn.now >= sa.state.until) {
        turn.emit({
          kind: 'ike-drop',
          reason: 'half-open-timeout',
          peer: formatEndpoint(sa.remote),
        });
        this.#remove(turn, sa);
        continue;
      }
      repeatSync(turn, sa);
      doubtMore(turn, this.#registry, sa);
      if (expireRequest(turn, sa) === 'give-up') {
        this.#giveUp(turn, sa);
        continue;
      }
      probeOtherPaths(turn, sa);
      keepAlive(turn, sa);
      upkeep(turn, this.#registry, sa);
    }
  }

  #remove(turn: Turn, sa: IkeSa): void {
    this.#registry.remove(sa);
    turn.touched.add(sa.ownSpi);
  }

  /** Nobody answers (RFC 7296 §2.4): another try, or the end and what `dpd_action` wants. */
  #giveUp(turn: Turn, sa: IkeSa): void {
    const attempts = this.#environment.settings.retransmitTries + 1;
    const header = sa.window.inFlight?.header;
    const exchange = header && { exchange: exchangeName(header.exchangeType) };
    // That nobody answers for an IKE SA that was replaced is nobody's loss.
    if (!sa.replaced) {
      turn.emit({ kind: 'peer-unreachable', attempts, ...exchange, ...sa.subject });
    }
    if (tryAgain(turn, this.#registry, sa)) return;
    const lost = sa.isClosing ? [] : sa.childrenUp;
    const what = `no answer after ${attempts} transmissions`;
    sa.close(turn, what, { kind: 'timeout', what });
    reopen(turn, sa, lost, 'lost');
  }
}
