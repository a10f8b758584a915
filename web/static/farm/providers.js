// How every provider is doing.

import { $, copyOf, write } from "../common/dom.js";
import { providerTitle } from "../common/providers.js";
import { showRows } from "../common/rows.js";
import { elapsed } from "../common/times.js";
import { dollars, sentence } from "../common/words.js";

const NOTHING = "–";

/** Shows them as the API tells; what they cost comes in US dollars by their names. */
export function showProviders(providers, costToday, costMonth) {
  const items = Object.entries(providers).map(([id, provider]) => ({
    id,
    ...provider,
    costs: [costToday.get(id) ?? 0, costMonth.get(id) ?? 0],
  }));
  showRows($("providers"), items.sort(byUse), { newRow, fill });
}

/** Those that can speak come first, then those that should. */
function byUse(one, other) {
  return other.available - one.available || other.enabled - one.enabled || one.id.localeCompare(other.id);
}

function newRow({ id }) {
  const row = copyOf("provider-row");
  row.querySelector("h4").textContent = providerTitle(id);
  row.querySelector("code").textContent = id;
  return row;
}

function fill(row, provider) {
  const [state, words] = stateOf(provider);
  const badge = row.querySelector(".badge");
  badge.dataset.state = state;
  write(badge, words);
  row.classList.toggle("is-idle", !provider.enabled);
  write(row.querySelector(".reason"), provider.reason ? sentence(provider.reason) : "");
  const { workers, device, queue_depth, latency_ms, real_time_factor, requests, failures, costs } = provider;
  const facts = {
    workers: workers === 0 ? "none" : [workers, device].filter(Boolean).join(" · "),
    waiting: queue_depth.toLocaleString("en"),
    latency: latency_ms.p50 === null ? NOTHING : `${elapsed(latency_ms.p50)} · ${elapsed(latency_ms.p95)}`,
    speed: real_time_factor === null ? NOTHING : real_time_factor.toPrecision(2),
    attempts: `${requests.toLocaleString("en")} · ${failures.toLocaleString("en")}`,
    cost: costs.map(dollars).join(" · "),
  };
  for (const [fact, words] of Object.entries(facts)) write(row.querySelector(`[data-fact=${fact}]`), words);
}

function stateOf({ enabled, available, workers, circuit }) {
  if (!enabled) return ["off", "Not set up"];
  if (circuit === "half_open") return ["trial", "On trial"];
  if (available) return ["good", "Speaks"];
  return workers === 0 ? ["bad", "No worker"] : ["bad", "Paused"];
}
