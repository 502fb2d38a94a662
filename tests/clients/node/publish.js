// Publishes known totals: `publish.js BASE_URI STEP_SECONDS ROUNDS`.
const spectator = require('nflx-spectator');

const [base, step, rounds] = process.argv.slice(2);
const registry = new spectator.Registry({
  commonTags: {'nf.app': 'node'},
  uri: base + '/api/v4/update',
  frequency: Number(step) * 1000,
  strictMode: true,
});
registry.start();
let left = Number(rounds);
const timer = setInterval(() => {
  registry.counter('st.counter', {kind: 'plain'}).increment(10);
  registry.timer('st.timer').record(0, 20 * 1000 * 1000);
  registry.distributionSummary('st.summary').record(1000);
  registry.gauge('st.gauge').set(42.5);
  left -= 1;
  if (left === 0) {
    clearInterval(timer);
    // The last of it goes out with the next round.
    setTimeout(() => {
      registry.stop();
      setTimeout(() => process.exit(0), 1000);
    }, (Number(step) + 1) * 1000);
  }
}, 100);
