// Artillery imports processors by a path beside the scenario.
export { countRedirect, recordResponse } from '../../dist/loadtest/engine/http-responses.js';
