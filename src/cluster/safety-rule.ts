/**
 * The rules that keep two nodes from transmitting for one segment, by name.
 *
 * Tests switch one off to show that it is needed. Nothing else does.
 */
export type SafetyRule =
  /** A majority of the nodes, not any node, lets one own a segment. */
  | 'majority'
  /** A voter accepts no other owner while the present one may still hold a lease. */
  | 'take-over-wait'
  /** A voter tells an owner what stands against its claims; such an answer gives no lease. */
  | 'refusal'
  /** A claim binds its voters before it has its majority. */
  | 'claims-bind'
  /** A node that starts neither answers nor claims until all that it may have promised is over. */
  | 'quarantine'
  /** A node whose lease ended gives up its segments, however soon it has contact again. */
  | 'lapse-gives-up'
  /** Of two owners the one with the lower ballot yields. */
  | 'lower-yields'
  /** A node that is alone believes so only after it listened without a break. */
  | 'listen-after-stall'
  /** A process that starts again is another one: its promises and claims are its own. */
  | 'one-life';
