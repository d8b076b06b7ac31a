/**
 * For tests that start many commands and only some of them node: those are the wrapper, while the
 * test's own node stays without the sanitizers, under which each start of a process takes long.
 */
process.execPath = process.env.TSGW_NODE;
