/**
 * The public library: the engines without the operating system, and the gateway with it.
 *
 * `IkeEndpoint` takes clock, randomness and transport from the caller.
 */
export { type Config, loadConfig } from './config/config.ts';
export { ConfigErrors, type ConfigWarning } from './config/findings.ts';
export { ConfigError } from './config/section.ts';
export type { RandomBytes } from './crypto/random.ts';
export { SecretBytes } from './crypto/secret-bytes.ts';
export { DropReason, dropReasonName } from './events/drop-reason.ts';
export type { Event } from './events/event.ts';
export { logLine } from './events/log-line.ts';
export { Gateway, type GatewayOptions } from './gateway.ts';
export type { Action, Input, Outcome, SaSelector } from './ike/action.ts';
export { IkeEndpoint } from './ike/endpoint.ts';
export { decodeMessage, encodeMessage } from './ike/message/codec.ts';
export type { IkeMessage, Payload } from './ike/message/message.ts';
export { DEFAULT_IKE_SETTINGS, type IkeSettings } from './ike/settings.ts';
export type { IkeEnvironment, TrafficClock } from './ike/turn.ts';
export { AddressPools } from './ipsec/address-pools.ts';
export type { ChildSa } from './ipsec/child-sa.ts';
export type { ChildPolicy, Connection } from './ipsec/connection.ts';
export { Pad } from './ipsec/pad.ts';
export { ReplayWindow } from './ipsec/replay-window.ts';
export { ViciClient } from './vici/client.ts';
export { formatAddress, type IpAddress, parseAddress } from './wire/address.ts';
export { type Instant, instant } from './wire/instant.ts';
export { MalformedError } from './wire/octets.ts';
