// How every provider is doing.

import { $, copyOf, write } from "../common/dom.js";
import { providerTitle } from "../common/providers.js";
import { dollars, sentence } from "../common/words.js";

const NOTHING = "–";
const rows = new Map();

/** Shows them as the API tells; what they cost comes in US dollars by their names. */
export function showProviders(providers, costToday, costMonth) {
  for (const [name, provider] of Object.entries(providers).sort(byUse)) {
    const row = rows.get(name) ?? newRow(name);
    fill(row, provider, [costToday.get(name) ?? 0, costMonth.get(name) ?? 0]);
  }
  const inOrder = Object.keys(providers).sort((one, other) => byUse([one, providers[one]], [other, providers[other]]));
  inOrder.forEach((name, place) => {
    const present = $("providers").children[place];
    if (present !== rows.get(name)) $("providers").insertBefore(rows.get(name), present ?? null);
  });
}

/** Those that can speak come first, then those that should. */
function byUse([oneName, one], [otherName, other]) {
  return other.available - one.available || other.enabled - one.enabled || oneName.localeCompare(otherName);
}

function newRow(name) {
  const row = copyOf("provider-row");
  row.querySelector("h4").textContent = providerTitle(name);
  row.querySelector("code").textContent = name;
  rows.set(name, row);
  return row;
}

function fill(row, provider, costs) {
  const [state, words] = stateOf(provider);
  const badge = row.querySelector(".badge");
  badge.dataset.state = state;
  write(badge, words);
  row.classList.toggle("is-idle", !provider.enabled);
  write(row.querySelector(".reason"), provider.reason ? sentence(provider.reason) : "");
  const { workers, device, queue_depth, latency_ms, real_time_factor, requests, failures } = provider;
  const facts = {
    workers: workers === 0 ? "none" : [workers, device].filter(Boolean).join(" · "),
    waiting: queue_depth.toLocaleString("en"),
    latency: latency_ms.p50 === null ? NOTHING : `${time(latency_ms.p50)} · ${time(latency_ms.p95)}`,
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

function time(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
