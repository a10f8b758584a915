// API keys: listed, made and revoked.

import { call, callWith } from "../common/api.js";
import { makeCopyButton } from "../common/copying.js";
import { attemptIn, confirmed, openDialog } from "../common/dialog.js";
import { $, copyOf, write } from "../common/dom.js";
import { rowOf, showRows } from "../common/rows.js";
import { fromNow } from "../common/times.js";

const ADDRESS = "/api/voice/keys";
const DAY_MS = 86_400_000;
const PAGE = 50;

let wanted = PAGE;
let changed;

/** Asks for as many as are shown, newest first; `hasMore` tells whether there are older ones. */
export async function askForKeys(signal) {
  const items = [];
  let cursor = "";
  while (cursor !== null && items.length < wanted) {
    const { body } = await call(`${ADDRESS}?${new URLSearchParams({ limit: PAGE, cursor })}`, { signal });
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  return { items, hasMore: cursor !== null };
}

export function showKeys({ items, hasMore }) {
  showRows($("keys"), items, { newRow, fill });
  if (!hasMore && document.activeElement === $("more-keys")) nameIn(items.at(-1)).focus();
  $("more-keys").hidden = !hasMore;
}

function newRow(key) {
  const row = copyOf("key-row");
  row.querySelector(".key-name").textContent = key.name;
  const button = row.querySelector("button");
  button.ariaLabel = `Revoke ${key.name}…`;
  button.addEventListener("click", () => revoke(key));
  return row;
}

function fill(row, key) {
  const [state, words] = stateOf(key);
  const badge = row.querySelector(".badge");
  write(badge, words);
  badge.dataset.state = state;
  write(row.querySelector(".about"), about(key).join(" · "));
  const button = row.querySelector("button");
  const isOver = state === "off" || isFromSettings(key);
  if (isOver && document.activeElement === button) row.querySelector(".key-name").focus();
  button.hidden = isOver;
}

const nameIn = ({ id }) => rowOf($("keys"), id).querySelector(".key-name");
const isFromSettings = ({ prefix }) => prefix === null;

const hasEnded = (expires_at) => expires_at !== null && Date.parse(expires_at) < Date.now();

function stateOf({ scope, revoked_at, expires_at }) {
  if (revoked_at) return ["off", "Revoked"];
  if (hasEnded(expires_at)) return ["off", "Ended"];
  return [scope, scope];
}

function about({ prefix, created_at, expires_at, last_used_at, revoked_at }) {
  const facts = [prefix ? `${prefix}…` : "from the settings (VOICEFARM_ADMIN_KEY)", `made ${fromNow(created_at)}`];
  if (revoked_at) return [...facts, `revoked ${fromNow(revoked_at)}`];
  facts.push(last_used_at ? `used ${fromNow(last_used_at)}` : "not used yet");
  if (expires_at) facts.push(`${hasEnded(expires_at) ? "ended" : "ends"} ${fromNow(expires_at)}`);
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
  await changed();
  write($("keys-news"), `${name} is revoked.`);
  $("new-key").focus();
}

function make() {
  const dialog = openDialog("key-dialog");
  const form = $("key");
  write($("keys-news"), "");
  let secret = "";
  makeCopyButton($("key-copy"), () => secret);
  dialog.addEventListener("close", () => changed());
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

/** `onChange` is told when they shall be asked for at once. */
export function startKeys({ onChange }) {
  changed = onChange;
  $("new-key").addEventListener("click", make);
  $("more-keys").addEventListener("click", async () => {
    const before = $("keys").childElementCount;
    wanted += PAGE;
    await changed();
    $("keys").children[before]?.querySelector(".key-name").focus();
  });
}
