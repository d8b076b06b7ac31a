/** How `tsgw` ends; scripts may rely on these. */
export const ExitCode = {
  OK: 0,
  FAILED: 1,
  USAGE: 2,
  NOT_CONNECTED: 3,
  REFUSED: 4,
  AUTHENTICATION_FAILED: 5,
  TIMEOUT: 6,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What each code means, for the help. */
export const EXIT_CODES: readonly (readonly [ExitCode, string])[] = [
  [ExitCode.OK, 'done'],
  [ExitCode.FAILED, 'failed'],
  [ExitCode.USAGE, 'the command line is wrong'],
  [ExitCode.NOT_CONNECTED, 'no daemon answers'],
  [ExitCode.REFUSED, 'the negotiation was refused, by us or by the peer'],
  [ExitCode.AUTHENTICATION_FAILED, 'the authentication failed'],
  [ExitCode.TIMEOUT, 'the peer did not answer in time'],
];

/** The exit code of how an operation failed, as the daemon's `tsgw-outcome` says it. */
export function outcomeExitCode(outcome: string | undefined): ExitCode {
  switch (outcome) {
    case 'refused':
      return ExitCode.REFUSED;
    case 'authentication-failed':
      return ExitCode.AUTHENTICATION_FAILED;
    case 'timeout':
      return ExitCode.TIMEOUT;
    default:
      return ExitCode.FAILED;
  }
}
