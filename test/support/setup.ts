/** A rejected promise nobody awaited is a failed run, not a warning. */
process.on('unhandledRejection', (reason) => {
  throw reason;
});
