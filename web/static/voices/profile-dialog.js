// The dialog in which a personality is made, changed or removed.

import { Problem, call } from "../common/api.js";
import { $ } from "../common/dom.js";
import { attemptIn, confirmed, openDialog } from "../common/dialog.js";
import { languageHint } from "../common/languages.js";
import { roster } from "../common/personalities.js";

const NEW = { name: "", language: "en", is_active: true, is_default: false, voice_config: {} };
const IS_DEFAULT = "Speaks when a request names nobody. To change that, make another one the default.";
const MAY_BE_DEFAULT = "Speaks when a request names nobody, in place of the one who does so now.";

/** Opens it for a personality, or for a new one; `onSaved` gets what was saved. */
export function openProfile(before, onSaved) {
  const dialog = openDialog("profile-dialog");
  const form = $("profile");
  const profile = before ?? NEW;
  $("profile-title").textContent = before ? `Edit ${before.personality_name}` : "New personality";
  $("profile-save").textContent = before ? "Save" : "Create";
  fill(form, profile);
  const told = asked(form);
  $("profile-language").addEventListener("input", nameLanguage);
  $("profile-remove").hidden = !before;
  $("profile-remove").disabled = profile.is_default;
  $("profile-remove").addEventListener("click", async () => {
    if (await confirmRemoval(before)) dialog.close();
  });
  $("profile-cache").hidden = !before;
  $("profile-clear").addEventListener("click", () =>
    attemptIn(form, async () => {
      const { body } = await call(`/api/voice/personalities/${before.id}/cache`, { method: "DELETE" });
      $("profile-cleared").textContent = body.message;
    }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attemptIn(form, async () => {
      checkBefore(form);
      const saved = await save(before, told, asked(form));
      dialog.close();
      onSaved(saved);
    });
  });
}

function fill(form, { name, personality_name, language, is_active, is_default, voice_config }) {
  const { gender, voice_settings } = voice_config;
  const values = {
    name,
    personality_name: personality_name === name ? "" : (personality_name ?? ""),
    language,
    "voice_config.gender": gender ?? "",
    "voice_config.voice_settings.speed": voice_settings?.speed ?? 1,
    "voice_config.voice_settings.pitch": voice_settings?.pitch ?? 0,
  };
  for (const [field, value] of Object.entries(values)) form.elements[field].value = value;
  form.elements.is_active.checked = is_active;
  form.elements.is_default.checked = is_default;
  form.elements.is_active.disabled = form.elements.is_default.disabled = is_default;
  $("profile-default-hint").textContent = is_default ? IS_DEFAULT : MAY_BE_DEFAULT;
  nameLanguage();
}

function nameLanguage() {
  $("profile-language-hint").textContent = languageHint($("profile-language").value.trim());
}

/** Gives what the form says, by the API's names of the fields; what is empty is null, which is the default. */
function asked({ elements }) {
  const text = (field) => elements[field].value.trim() || null;
  const number = (field) => (text(field) === null ? null : Number(text(field)));
  return {
    name: text("name"),
    personality_name: text("personality_name"),
    language: text("language"),
    is_active: elements.is_active.checked,
    is_default: elements.is_default.checked,
    "voice_config.gender": text("voice_config.gender"),
    "voice_config.voice_settings.speed": number("voice_config.voice_settings.speed"),
    "voice_config.voice_settings.pitch": number("voice_config.voice_settings.pitch"),
  };
}

/** Tells what the page itself knows to be wrong; the farm would get what is no number as nothing at all. */
function checkBefore({ elements }) {
  const errors = elements.name.value.trim() ? [] : [{ field: "name", message: "A name is needed." }];
  for (const { name, validity, min, max } of elements) {
    if (validity?.badInput) errors.push({ field: name, message: "Must be a number." });
    if (validity?.rangeUnderflow || validity?.rangeOverflow) {
      errors.push({ field: name, message: `Must be between ${Number(min)} and ${Number(max)}.` });
    }
  }
  if (errors.length === 0) return;
  throw new Problem({ code: "invalid_request", detail: "See the marked fields.", errors });
}

async function save(before, told, now) {
  const isNews = ([field, value]) => (before ? value !== told[field] : value !== null);
  const fields = Object.entries(now).filter(isNews);
  try {
    return before ? await roster.change(before.id, nested(fields)) : await roster.create(nested(fields));
  } catch (error) {
    // The name is the one thing here that can be in conflict, unless somebody has just moved the default.
    if (error.code !== "conflict" || now.name === told.name) throw error;
    const { code, message } = error;
    throw new Problem({ code, detail: message, errors: [{ field: "name", message }] });
  }
}

/** Gives fields with dotted names as the JSON they stand for. */
function nested(fields) {
  const whole = {};
  for (const [field, value] of fields) {
    const path = field.split(".");
    const last = path.pop();
    let place = whole;
    for (const part of path) place = place[part] ??= {};
    place[last] = value;
  }
  return whole;
}

function confirmRemoval({ id, personality_name }) {
  return confirmed({
    title: `Remove ${personality_name}?`,
    text: "Its voice sample and its cached audio go with it, for good. Jobs keep what they have spoken.",
    yes: "Remove",
    action: () => roster.remove(id),
  });
}
