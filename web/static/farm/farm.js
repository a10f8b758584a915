// The part Farm: who speaks and how well, what the cache does, and who may ask.

import { call } from "../common/api.js";
import { confirmed } from "../common/dialog.js";
import { $, write } from "../common/dom.js";
import { Poll } from "../common/poll.js";
import { showTrouble } from "../common/trouble.js";
import { dollars, size } from "../common/words.js";
import { historyPoll, startHistory } from "./history.js";
import { askForKeys, showKeys, startKeys } from "./keys.js";
import { showProviders } from "./providers.js";
import { loadFlower, startWatching } from "./watching.js";

const EVERY_MS = 5000;

async function ask(signal) {
  const today = new Date().toISOString().slice(0, 10); // a day of the farm is one of UTC
  const paths = ["providers/status", "cache/stats", `usage?from=${today}&to=${today}`, "usage"];
  const [keys, status, stats, ofToday, ofMonth] = await Promise.all([
    askForKeys(signal),
    ...paths.map(async (path) => (await call(`/api/voice/${path}`, { signal })).body),
  ]);
  return { keys, status, cache: stats.cache, ofToday, ofMonth };
}

function show({ keys, status, cache, ofToday, ofMonth }) {
  showTrouble("farm", null, {});
  $("farm-loading").hidden = true;
  $("farm-now").hidden = false;
  const { hits, misses, coalesced } = cache;
  const total = hits + misses + coalesced;
  write($("farm-hit-rate"), total === 0 ? "–" : `${cache.hit_rate.toFixed(1)} %`);
  write($("farm-requests"), total.toLocaleString("en"));
  write($("farm-entries"), `${cache.entries.toLocaleString("en")} · ${size(cache.bytes)}`);
  write($("farm-cost-today"), dollars(ofToday.total.cost_usd));
  write($("farm-cost-month"), dollars(ofMonth.total.cost_usd));
  showProviders(status.providers, costs(ofToday), costs(ofMonth));
  showKeys(keys);
}

/** Gives what each provider cost. */
function costs({ items }) {
  return new Map(items.map(({ provider, cost_usd }) => [provider, cost_usd]));
}

const now = new Poll({
  ask,
  everyMs: EVERY_MS,
  onAnswer: show,
  onTrouble(problem) {
    $("farm-loading").hidden = true;
    showTrouble("farm", problem, { isStale: !$("farm-now").hidden });
  },
});

function clearCache() {
  return confirmed({
    title: "Clear the cache?",
    text: "Everything that was spoken is made anew when somebody asks for it. Jobs keep what they have.",
    yes: "Clear it",
    async action() {
      await call("/api/voice/cache/clear", { method: "DELETE" });
      await now.now();
    },
  });
}

export function startFarm() {
  $("farm-again").addEventListener("click", () => now.now());
  $("clear-cache").addEventListener("click", clearCache);
  startHistory();
  startKeys({ onChange: () => now.now() });
  startWatching();
  return {
    enter() {
      now.start();
      historyPoll.start();
      loadFlower();
    },
    leave() {
      now.stop();
      historyPoll.stop();
    },
  };
}
