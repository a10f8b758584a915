// The part Voices: who can speak, and with whose voice.

import { $, copyOf, element, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { rowOf, showRows } from "../common/rows.js";
import { showTrouble } from "../common/trouble.js";
import { seconds } from "../common/times.js";
import { languageName } from "../common/words.js";
import { openProfile } from "./profile-dialog.js";
import { openVoice } from "./voice-dialog.js";

let speakWith;

function show() {
  const { everyone, problem } = roster;
  $("voices-loading").hidden = true;
  showTrouble("voices", problem, { isStale: everyone !== null });
  $("nobody").hidden = everyone === null || everyone.length > 0;
  $("new-personality").disabled = everyone === null;
  write($("voices-news"), "");
  showRows($("roster"), everyone ?? [], { newRow, fill });
}

function newRow({ id }) {
  const row = copyOf("roster-row");
  const on = (name, action) =>
    row.querySelector(`[data-action=${name}]`).addEventListener("click", () => action(roster.get(id)));
  on("speak", speakWith);
  on("voice", (personality) => openVoice(personality, { onSpeak: speakWith }));
  on("edit", (personality) => openProfile(personality, () => {}));
  return row;
}

function fill(row, personality) {
  const { name, personality_name: shownName, language, is_active, is_default, voice_config } = personality;
  const hasSample = voice_config.sample_metadata !== null;
  row.querySelector(".portrait").textContent = [...shownName][0].toUpperCase();
  row.querySelector(".shown-name").textContent = shownName;
  const badges = [is_default && "Default", !is_active && "Inactive"].filter(Boolean);
  row.querySelector(".badges").replaceChildren(
    ...badges.map((badge) => element("span", badge, { className: `badge is-${badge.toLowerCase()}` })),
  );
  const about = name === shownName ? [] : [name];
  row.querySelector(".about").textContent = [...about, languageName(language)].join(" · ");
  row.querySelector(".sample").textContent = sampleOf(personality);
  row.querySelector(".sample").classList.toggle("has-sample", hasSample);
  const button = (action, text, label) => {
    const found = row.querySelector(`[data-action=${action}]`);
    found.textContent = text;
    found.ariaLabel = `${text}: ${label}`;
    return found;
  };
  button("speak", "Speak", shownName).disabled = !is_active;
  button("voice", hasSample ? "Voice" : "Give a voice", shownName);
  button("edit", "Edit", shownName);
}

function sampleOf({ id, voice_config: { sample_metadata: metadata } }) {
  if (!metadata) return "No voice sample";
  const verdict = roster.verdicts.get(id);
  const judged = verdict ? `, ${verdict.rating} (${verdict.score})` : "";
  return `Sample of ${seconds(metadata.duration)}${judged}`;
}

function create() {
  openProfile(null, ({ id, personality_name }) => {
    write($("voices-news"), `${personality_name} is there, and can be given a voice.`);
    const row = rowOf($("roster"), id);
    row?.scrollIntoView({ block: "nearest" });
    row?.querySelector("[data-action=voice]").focus();
  });
}

/** `onSpeak` gets the personality that shall speak next. */
export function startVoices({ onSpeak }) {
  speakWith = onSpeak;
  $("new-personality").addEventListener("click", create);
  $("voices-again").addEventListener("click", () => roster.load());
  addEventListener("online", () => {
    if (roster.problem) roster.load();
  });
  roster.addEventListener("change", show);
}
