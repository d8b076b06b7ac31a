/**
 * Rules about peers: identities without a secret, secrets that are weak or too widely shared, and
 * peers that go away unnoticed.
 */
import { type Connection, isProtecting, wantsStart, wantsTrap } from '../ipsec/connection.ts';
import { type IdentityPattern, matchIdentity } from '../ipsec/identity.ts';
import { type Lint, pathOf } from './lint-findings.ts';
import type { ConfiguredSecret } from './secrets.ts';

/** Shorter ones can be tried out by whoever recorded one IKE_AUTH (RFC 7296 §2.15). */
const LEAST_SECRET_OCTETS = 16;

export function lintPeers(lint: Lint): void {
  for (const connection of lint.config.connections) {
    lintSecrets(lint, connection);
    lintPresence(lint, connection);
    lintIdentities(lint, connection);
  }
  for (const { id, secret } of lint.config.secrets) {
    if (secret.length >= LEAST_SECRET_OCTETS) continue;
    lint.warn(
      'short-secret',
      ['secrets', id, 'secret'],
      `${secret.length} octets: whoever records or answers one handshake can try out every secret of that length`,
      'write 32 random octets, as head -c 32 /dev/urandom | base64 makes them, with 0s before them',
    );
  }
}

/** Both identities must be among the owners of one secret, or it has none. */
function lintSecrets(lint: Lint, connection: Connection): void {
  const { local, remote } = connection;
  const { secrets } = lint.config;
  // Secrets often stand in a file of their own.
  if (secrets.length === 0) return;
  for (const [side, pattern] of [
    ['remote', remote.id],
    ['local', local.id],
  ] as const) {
    if (!pattern?.identity || secrets.some((secret) => owns(secret, pattern))) continue;
    lint.warn(
      'no-secret',
      pathOf({ connection }, side, 'id'),
      `no secret belongs to ${pattern.text}`,
      `write id-1 = ${pattern.text} into the section of secrets that both ends share`,
    );
    return;
  }
}

function owns({ owners }: ConfiguredSecret, { identity }: IdentityPattern): boolean {
  if (owners.length === 0 || !identity) return true;
  return owners.some((owner) => matchIdentity(owner, identity) > 0);
}

function lintPresence(lint: Lint, connection: Connection): void {
  const { dpdDelaySeconds } = connection;
  for (const child of connection.children) {
    if (!isProtecting(child.mode)) continue;
    const kept = wantsStart(child.startAction) || wantsTrap(child.startAction);
    if (kept && dpdDelaySeconds === 0) {
      lint.warn(
        'dpd-off',
        pathOf({ connection }, 'dpd_delay'),
        `child ${child.name} is started by itself, and a peer that goes away is not noticed until something is sent to it`,
        'write dpd_delay = 30s',
      );
    }
    if (wantsStart(child.startAction) && child.dpdAction === 'clear') {
      lint.warn(
        'not-restarted',
        pathOf({ connection, child }, 'dpd_action'),
        'it is started by itself, but stays down once its peer did not answer',
        'write dpd_action = restart',
      );
    }
    if (wantsStart(child.startAction) && child.closeAction === 'none') {
      const what = 'it is started by itself, and stays down once its peer has closed it';
      lint.note('not-reopened', pathOf({ connection, child }, 'close_action'), what);
    }
  }
}

function lintIdentities(lint: Lint, connection: Connection): void {
  const { remoteAddresses, remote } = connection;
  if (!remote.id && remoteAddresses.some(({ kind }) => kind === 'any')) {
    lint.warn(
      'any-peer',
      pathOf({ connection }, 'remote', 'id'),
      'peers from anywhere and of any identity are let in: all that share one secret can pose as each other',
      'write the identity, or a pattern such as *@example.org',
    );
  }
  if (connection.unique === 'no' && connection.pools.length > 0) {
    const what = 'clients of one identity hold one address each; unique = replace would leave one';
    lint.note('unique', pathOf({ connection }, 'unique'), what);
  }
}
