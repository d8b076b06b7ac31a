/**
 * A request as it was wished: what waits is composed when its turn comes, by whoever has the IKE SA then.
 */
import { childDeletion, ikeDeletion, withdrawal } from './deletion.ts';
import { childCreation } from './exchange/create-child-initiator.ts';
import { livenessCheck } from './exchange/informational.ts';
import { addressList, addressUpdate, routabilityCheck } from './exchange/mobike.ts';
import { ikeRekeying } from './exchange/rekey-ike-sa-initiator.ts';
import type { RequestPurpose, RequestWish } from './ike-sa.ts';
import { redirection } from './redirection.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';

/** The request was out and nobody will answer it: the same once more, or nothing where that is moot. */
export function wishAgain(
  turn: Turn,
  registry: SaRegistry,
  purpose: RequestPurpose,
): RequestWish | undefined {
  if (purpose.kind === 'create-child' && purpose.attempt) {
    turn.numbers.releaseSpi(purpose.attempt.spiIn);
  }
  return wishOf(registry, purpose);
}

export function wishOf(registry: SaRegistry, purpose: RequestPurpose): RequestWish | undefined {
  switch (purpose.kind) {
    case 'liveness':
      return livenessCheck();
    case 'update-addresses':
      return addressUpdate();
    case 'tell-addresses':
      return addressList();
    case 'check-routability':
      return routabilityCheck(purpose.cookie);
    case 'redirect':
      return redirection(purpose.gateway);
    case 'delete-ike-sa':
      return ikeDeletion();
    case 'delete-child-sa':
      return childDeletion(purpose.child);
    case 'withdraw-child-sa':
      return withdrawal(purpose.spiIn);
    case 'create-child':
      return childCreation(purpose.wish);
    case 'rekey-ike-sa':
      return ikeRekeying(registry, purpose.method);
    // The first two never wait; nobody reads a measurement of another process.
    case 'ike-sa-init':
    case 'ike-auth':
    case 'probe-path':
      return undefined;
    default:
      return purpose satisfies never;
  }
}
