// Finding, making and marking elements of the page.

export const $ = (id) => document.getElementById(id);

export function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}

/** Gives a copy of what a template holds. */
export function copyOf(templateId) {
  return $(templateId).content.cloneNode(true).firstElementChild;
}

/** Writes a text only when it changes, so that a screen reader says it once. */
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** Puts an error beside the field it is about; false when the form has no such field. */
export function markField(form, field, message) {
  const control = form.elements[field];
  const place = control instanceof Element && $(`${control.id}-error`);
  if (!place) return false;
  control.setAttribute("aria-invalid", "true");
  place.textContent = message;
  return true;
}

/** Takes back what `markField` did; what a part of the form says of itself stays. */
export function clearMarks(form) {
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    $(`${control.id}-error`).textContent = "";
  }
}
