/**
 * What an administrator may tune in the IKE engine; `config/` supplies the values.
 */
export interface IkeSettings {
  /** Transmissions after the first before a peer counts as dead. */
  readonly retransmitTries: number;
  /** Seconds before the first retransmission; each further one waits `retransmitBase` times longer. */
  readonly retransmitTimeoutSeconds: number;
  readonly retransmitBase: number;
  /** A responder's IKE SA that does not authenticate within this time is dropped. */
  readonly halfOpenTimeoutSeconds: number;
  /** Half-open IKE SAs from which on an initiator must return a cookie. */
  readonly cookieThreshold: number;
  /** The same for one source address. */
  readonly cookieThresholdPerAddress: number;
  /** Half-open IKE SAs in all; further IKE_SA_INIT requests are dropped. */
  readonly maxHalfOpen: number;
  /** Established and half-open IKE SAs in all. */
  readonly maxIkeSas: number;
  /** Seconds between NAT keepalives while we are behind a NAT; 0 = none. */
  readonly keepAliveSeconds: number;
  /** UDP port for IKE and UDP-encapsulated ESP once a NAT is seen. */
  readonly portNatT: number;
  /** Child SAs of one IKE SA; a request for one more is answered NO_ADDITIONAL_SAS. */
  readonly maxChildren: number;
  /** Established IKE SAs of one peer identity within one connection; 0 = no limit. */
  readonly maxIkeSasPerIdentity: number;
  /** Octets of an IP packet that a fragment of an IKE message fills at most (RFC 7383 §2.5.1). */
  readonly fragmentSize: number;
  /** Seconds for which a replaced Child SA still receives after its Delete (RFC 7296 §2.8). */
  readonly deleteRekeyedDelaySeconds: number;
}

export const DEFAULT_IKE_SETTINGS: IkeSettings = {
  retransmitTries: 5,
  retransmitTimeoutSeconds: 4,
  retransmitBase: 1.8,
  halfOpenTimeoutSeconds: 30,
  cookieThreshold: 30,
  cookieThresholdPerAddress: 3,
  maxHalfOpen: 1000,
  maxIkeSas: 30_000,
  keepAliveSeconds: 20,
  portNatT: 4500,
  maxChildren: 256,
  maxIkeSasPerIdentity: 64,
  fragmentSize: 1280,
  deleteRekeyedDelaySeconds: 5,
};
