// The form of the part Pre-warm: phrases, who speaks them, and how.

import { Problem } from "../common/api.js";
import { confirmed } from "../common/dialog.js";
import { $, copyOf, write } from "../common/dom.js";
import { acceptDrops } from "../common/drop.js";
import { languageHint } from "../common/languages.js";
import { roster } from "../common/personalities.js";
import { showRows } from "../common/rows.js";
import { count, grouped } from "../common/words.js";
import { parsePhrases, readPhrases, tooLarge } from "./phrases.js";

const GROUPS = {
  personality_ids: { place: "prewarm-voices", unit: ["voice"], missing: "Choose who speaks." },
  qualities: { place: "prewarm-qualities", unit: ["quality", "qualities"], missing: "Choose a quality." },
  formats: { place: "prewarm-formats", unit: ["format"], missing: "Choose a format." },
};

const form = $("prewarm-form");
const area = $("prewarm-phrases");
const language = $("prewarm-language");
const maxItems = Number(form.dataset.maxItems);
const maxBytes = Number(form.dataset.maxBytes);
let list = parsePhrases("");

// ---- What it says

const boxes = (group) => [...$(GROUPS[group].place).querySelectorAll("input")];
const picked = (group) => boxes(group).filter(({ checked }) => checked).map(({ value }) => value);
const factors = () => [list.phrases.length, ...Object.keys(GROUPS).map((group) => picked(group).length)];
const product = () => factors().reduce((number, factor) => number * factor);

/** Gives what is asked for, by the API's names; throws a Problem that names the fields that cannot be used. */
export function asked() {
  const errors = objections();
  if (errors.length > 0) throw new Problem({ code: "invalid_request", detail: "See the marked fields.", errors });
  const groups = Object.fromEntries(Object.keys(GROUPS).map((group) => [group, picked(group)]));
  const tag = language.value.trim();
  const body = { phrases: list.phrases, ...groups, ...(tag && { language: tag }) };
  const bytes = new Blob([JSON.stringify(body)]).size;
  if (bytes > maxBytes) throw tooLarge("All these phrases have", bytes, maxBytes);
  return body;
}

function objections() {
  const groups = Object.entries(GROUPS).filter(([group]) => picked(group).length === 0);
  const errors = groups.map(([field, { missing: message }]) => ({ field, message }));
  const objection = list.phrases.length === 0 ? "Write a phrase, or open a file of them." : tooMany();
  return objection ? [{ field: "phrases", message: objection }, ...errors] : errors;
}

function tooMany() {
  if (product() <= maxItems) return "";
  return `These make ${grouped(product())} pieces of audio, and ${grouped(maxItems)} is the most for one batch.`;
}

/** Gives the number of the line in which a phrase that was asked for stands. */
export function lineNumber(index) {
  return list.lines[index];
}

export function hasPhrase(line) {
  return list.phrases.includes(line);
}

/** Says why a suggestion would not be made as it was asked for if its phrase were in the form as it stands; empty if it would. */
export function obstacle({ personality_id, language: tag, speed, pitch, provider, fallback }) {
  const speaker = roster.everyone?.find(({ id, is_active }) => id === personality_id && is_active);
  if (!speaker) return "cannot speak now";
  if (speed !== 1) return "at another speed";
  if (pitch !== 0) return "at another pitch";
  if (provider !== null || fallback !== "any") return "of its own provider";
  const spoken = language.value.trim() || speaker.language;
  return spoken.toLowerCase() === tag.toLowerCase() ? "" : "in another language";
}

// ---- Showing that

/** Follows what was written, chosen or filled in. */
function follow() {
  const before = list;
  list = parsePhrases(area.value);
  if (list.language !== null && list.language !== before.language) language.value = list.language;
  const { phrases, repeated } = list;
  const without = repeated > 0 ? `, ${count(repeated, "repeated line")} left out` : "";
  $("prewarm-count").textContent = phrases.length > 0 ? count(phrases.length, "phrase") + without : "";
  const tag = language.value.trim();
  write($("prewarm-language-hint"), tag === "" ? "Each voice's own, if left empty." : languageHint(tag));
  showProduct();
}

function showProduct() {
  const [phrases, ...others] = factors();
  const units = Object.values(GROUPS).map(({ unit }, place) => count(others[place], ...unit));
  const sum = [count(phrases, "phrase"), ...units].join(" × ");
  const isOver = product() > maxItems;
  const over = isOver ? `; ${grouped(maxItems)} is the most` : "";
  $("prewarm-sum").textContent = `${sum} = ${count(product(), "piece")} of audio${over}`;
  $("prewarm-sum").classList.toggle("over", isOver);
}

/** Offers who can speak now; who was ticked or not stays so, and at first the default is. */
function offerVoices() {
  if (roster.everyone === null) return;
  const place = $("prewarm-voice-picks");
  const able = roster.everyone.filter(({ is_active }) => is_active);
  const isFirst = place.childElementCount === 0;
  showRows(place, able, {
    newRow({ id, is_default }) {
      const pick = copyOf("voice-pick");
      Object.assign(pick.querySelector("input"), { value: id, checked: isFirst && is_default });
      return pick;
    },
    fill: (pick, { personality_name }) => write(pick.querySelector("span"), personality_name),
  });
  $("prewarm-controls").disabled = able.length === 0;
  $("prewarm-nobody").hidden = able.length > 0;
  follow();
}

// ---- Filling it in

/** Adds lines to what is written, and ticks what they want: lists of values, by the API's names. */
export function addPhrases(text, wanted = {}) {
  const written = area.value.trimEnd();
  put(written ? `${written}\n${text}` : text, wanted);
}

/** Lets phrases take the place of what is written, once its writer agrees, with just what they want ticked. */
export async function fillForm(phrases, wanted, note) {
  const others = list.phrases.filter((phrase) => !phrases.includes(phrase)).length;
  const fill = async () => {
    for (const box of Object.keys(wanted).flatMap(boxes)) box.checked = false;
    put(phrases.join("\n"), wanted);
    write($("prewarm-file-news"), note);
  };
  const question = {
    title: "Replace what is in the form?",
    text: `It holds ${count(others, "other phrase")}.`,
    yes: "Replace",
    action: fill,
  };
  if (others === 0) await fill();
  else if (!(await confirmed(question))) return;
  area.focus();
}

function put(text, wanted) {
  area.value = text;
  for (const group of Object.keys(wanted)) {
    for (const box of boxes(group)) box.checked ||= wanted[group].includes(box.value);
  }
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

async function open(file) {
  write($("prewarm-file-error"), "");
  write($("prewarm-file-news"), "");
  try {
    const text = await readPhrases(file, maxBytes);
    addPhrases(text);
    write($("prewarm-file-news"), `${file.name}: ${count(parsePhrases(text).phrases.length, "phrase")}.`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    write($("prewarm-file-error"), error.message);
  }
}

/** `onChange` is told whenever the form says something else, or others can speak. */
export function startForm({ onChange }) {
  form.addEventListener("input", () => {
    follow();
    onChange();
  });
  $("prewarm-file").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) open(target.files[0]);
    target.value = ""; // so that the same file can be opened again
  });
  acceptDrops($("prewarm"), open);
  roster.addEventListener("change", () => {
    offerVoices();
    onChange();
  });
  follow();
}
