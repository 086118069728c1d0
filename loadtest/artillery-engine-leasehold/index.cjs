// Artillery loads engines by `require`, and Node takes an ES module there since 20.19.
module.exports = require('../../dist/loadtest/engine/leasehold-engine.js').LeaseholdEngine;
