/** Numbers of nodes: 1 to 64, from the configuration, the same on every node. */

/** A small integer that names a node on the wire. */
export type NodeId = number;

export const FIRST_NODE = 1;
export const LAST_NODE = 64;

export function isNodeId(value: number): value is NodeId {
  return Number.isInteger(value) && value >= FIRST_NODE && value <= LAST_NODE;
}
