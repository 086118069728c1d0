// A reporter of artillery's, by CUSTOM_REPORTERS: writes what became of the thresholds to a file, which artillery itself only
// prints.
const { writeFileSync } = require('node:fs');

module.exports = () => {
  global.artillery.globalEvents.on('checks', (checks) => {
    const results = checks.map(({ original, strict, result }) => ({
      expression: original,
      strict,
      passed: result === 1 || result === true,
    }));
    writeFileSync(process.env.LOADTEST_CHECKS, JSON.stringify(results));
  });
  return {};
};
