/**
 * Mocha's dots or its tree, whichever is asked for, and in a file the totals of the run and which
 * tests failed, each with the beginning of its error.
 *
 * TSGW_TEST_REPORTER: `spec` or `dot`; TSGW_TEST_TOTALS: the file.
 */
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const { Spec, Dot } = Mocha.reporters;
const Shown = process.env.TSGW_TEST_REPORTER === 'spec' ? Spec : Dot;

// Mocha takes the default export of a reporter.
// biome-ignore lint/style/noDefaultExport: the interface of mocha
export default class TotalsReporter extends Shown {
  constructor(runner, options) {
    super(runner, options);
    const file = process.env.TSGW_TEST_TOTALS;
    if (file !== undefined) {
      const failed = [];
      runner.on('fail', (test, { message = '' }) => {
        failed.push({ title: test.fullTitle(), error: message.replace(/\s+/g, ' ').slice(0, 300) });
      });
      runner.once('end', () => {
        const { passes, failures, pending } = runner.stats;
        writeFileSync(file, JSON.stringify({ passes, failures, pending, failed }));
      });
    }
  }
}
