// Dialogs: each is a copy of its template while it is open, and nothing when it is closed.

import { Problem } from "./api.js";
import { $, clearMarks, copyOf, element, markField } from "./dom.js";
import { sentence } from "./words.js";

/** Opens one; what has `data-close` closes it. */
export function openDialog(templateId) {
  const dialog = copyOf(templateId);
  document.body.append(dialog);
  for (const button of dialog.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => dialog.close());
  }
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
}

/** Does what a dialog's form is for, one thing at a time; what stands against it is shown there. */
export async function attemptIn(form, action) {
  if (form.dataset.busy) return;
  form.dataset.busy = "true";
  clearRefusal(form);
  try {
    await action();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Problem) return showRefusal(form, error);
    showRefusal(form, new Problem({ title: "This page made a mistake", detail: error.message }));
    throw error;
  } finally {
    delete form.dataset.busy;
  }
}

/** Takes back what stood against the last attempt. */
export function clearRefusal(form) {
  clearMarks(form);
  form.querySelector(".refusal").hidden = true;
}

function showRefusal(form, { title, message, errors }) {
  const unplaced = errors.filter((error) => !markField(form, error.field, sentence(error.message)));
  form.querySelector("[aria-invalid]")?.focus();
  if (errors.length > 0 && unplaced.length === 0) return;
  const place = form.querySelector(".refusal");
  place.replaceChildren(element("strong", title), element("p", message));
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

/** Asks whether something shall really be done, and does it; true when it was done. `kind` is "primary" if nothing is lost. */
export function confirmed({ title, text, yes, no = "Keep it", kind = "danger", action }) {
  const dialog = openDialog("confirm-dialog");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm-yes").className = kind;
  $("confirm-no").textContent = no;
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "done"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      attemptIn(form, async () => {
        await action();
        dialog.close("done");
      });
    });
  });
}
