// API keys: listed, made and revoked.

import { Problem, call, callWith } from "../common/api.js";
import { makeCopyButton } from "../common/copying.js";
import { attemptIn, confirmed, openDialog } from "../common/dialog.js";
import { $, copyOf, write } from "../common/dom.js";
import { fromNow } from "../common/times.js";

const ADDRESS = "/api/voice/keys";
const DAY_MS = 86_400_000;

let next = null;

/** Shows the newest keys. */
export function loadKeys() {
  return told(async () => {
    const page = await ask("");
    $("keys").replaceChildren(...page.map(row));
  });
}

function loadMore() {
  return told(async () => {
    const page = (await ask(next)).map(row);
    $("keys").append(...page);
    page[0]?.querySelector("button").focus();
  });
}

async function ask(cursor) {
  const { body } = await call(`${ADDRESS}?${new URLSearchParams({ limit: 50, cursor })}`);
  next = body.next_cursor;
  $("more-keys").hidden = next === null;
  return body.items;
}

async function told(action) {
  try {
    await action();
    write($("keys-news"), "");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    write($("keys-news"), `${error.title}. ${error.message}`);
  }
}

function row(key) {
  const item = copyOf("key-row");
  item.querySelector(".key-name").textContent = key.name;
  const [state, words] = stateOf(key);
  const badge = item.querySelector(".badge");
  badge.textContent = words;
  badge.dataset.state = state;
  item.querySelector(".about").textContent = about(key).join(" · ");
  const button = item.querySelector("button");
  button.hidden = key.revoked_at !== null;
  button.ariaLabel = `Revoke ${key.name}…`;
  button.addEventListener("click", () => revoke(key));
  return item;
}

function stateOf({ scope, revoked_at, expires_at }) {
  if (revoked_at) return ["off", "Revoked"];
  if (expires_at && Date.parse(expires_at) < Date.now()) return ["off", "Ended"];
  return [scope, scope];
}

function about({ prefix, created_at, expires_at, last_used_at, revoked_at }) {
  const facts = [prefix ? `${prefix}…` : "from the settings", `made ${fromNow(created_at)}`];
  if (revoked_at) return [...facts, `revoked ${fromNow(revoked_at)}`];
  facts.push(last_used_at ? `used ${fromNow(last_used_at)}` : "not used yet");
  if (expires_at) facts.push(`ends ${fromNow(expires_at)}`);
  return facts;
}

async function revoke({ id, name }) {
  const isRevoked = await confirmed({
    title: `Revoke ${name}?`,
    text: "Whoever uses it is refused from then on, for good.",
    yes: "Revoke",
    action: () => call(`${ADDRESS}/${id}`, { method: "DELETE" }),
  });
  if (!isRevoked) return;
  await loadKeys();
  write($("keys-news"), `${name} is revoked.`);
  $("new-key").focus();
}

function make() {
  const dialog = openDialog("key-dialog");
  const form = $("key");
  let secret = "";
  makeCopyButton($("key-copy"), () => secret);
  dialog.addEventListener("close", () => loadKeys());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attemptIn(form, async () => {
      ({ secret } = (await callWith("POST", ADDRESS, asked(form))).body);
      $("key-asking").hidden = true;
      $("key-made").hidden = false;
      $("key-secret").textContent = secret;
      $("key-once").focus();
    });
  });
}

function asked({ elements }) {
  const days = Number(elements.expires_at.value);
  return {
    name: elements.name.value.trim() || null,
    scope: elements.scope.value,
    expires_at: days ? new Date(Date.now() + days * DAY_MS).toISOString() : null,
  };
}

export function startKeys() {
  $("new-key").addEventListener("click", make);
  $("more-keys").addEventListener("click", loadMore);
}
