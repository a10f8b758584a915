// Asking the farm, and what went wrong in words for the person at the page.

import { count, sentence } from "./words.js";

const SIGN_IN =
  "Open the link that “make up” (or “voicefarm up”) printed when the farm started, or print a new one with " +
  "“voicefarm link”.";
const TITLES = {
  unauthorized: "This page is not signed in",
  forbidden: "That is not allowed here",
  not_found: "It is not there any more",
  conflict: "That does not go together",
  body_too_large: "That is too large",
  unsupported_media_type: "The farm does not take this kind of file",
  invalid_request: "That cannot be used as it is",
  ssml_not_supported: "That cannot be spoken as it is",
  language_not_supported: "Nobody here speaks this language",
  bad_sample: "No voice can be made of this",
  no_provider: "Nobody can speak right now",
  queue_full: "Too much is waiting already",
  rate_limited: "Too much was asked for at once",
  state_unavailable: "A part of the farm does not answer",
  synthesis_failed: "Nobody managed to speak it",
  deadline_exceeded: "It took too long",
  not_cached: "The cache did not take it",
};

/** What went wrong; made of a problem+json, or of a job's error. */
export class Problem extends Error {
  constructor({ code, title = "That did not work", detail, errors = [], attempts = [] }) {
    super(sentence(detail));
    Object.assign(this, { code, title: TITLES[code] ?? title, errors, attempts });
  }
}

/** Sends a request; gives status, headers and the body: JSON decoded, anything else a Blob. */
export async function call(path, options) {
  try {
    return await outcome(await fetch(path, options));
  } catch (error) {
    throw error.name === "AbortError" || error instanceof Problem ? error : notAnswered();
  }
}

/** Sends JSON. */
export function callWith(method, path, body, { signal, headers } = {}) {
  return call(path, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal,
  });
}

/** Sends a form with a file; tells `onProgress` which share of it, from 0 to 1, has left this machine. */
export function upload(method, path, form, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    // The one way in which browsers tell how far an upload is.
    const request = new XMLHttpRequest();
    request.responseType = "blob";
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    request.addEventListener("load", () => resolve(outcome(responseOf(request))));
    request.addEventListener("error", () => reject(notAnswered()));
    request.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open(method, path);
    request.send(form);
  });
}

function responseOf(request) {
  const { response, status, statusText } = request;
  const lines = request.getAllResponseHeaders().trim().split("\r\n");
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]);
  return new Response(response, { status, statusText, headers });
}

async function outcome(answer) {
  const isJson = /[/+]json\b/.test(answer.headers.get("Content-Type"));
  const body = await (isJson ? answer.json() : answer.blob());
  if (!answer.ok) throw problemOf(answer, body);
  return { status: answer.status, headers: answer.headers, body };
}

function notAnswered() {
  const detail = "It may have stopped: is “make up” still running?";
  return new Problem({ code: "not_answered", title: "The farm does not answer", detail });
}

function problemOf(answer, body) {
  let { detail = `The server answered ${answer.status} ${answer.statusText}` } = body;
  if (body.code === "unauthorized") {
    const used = location.hash === "#code-used" ? "The link you opened was used before or is too old. " : "";
    detail = `${used}${SIGN_IN} Each link works once.`;
  }
  const wait = answer.headers.get("Retry-After");
  if (wait) detail = `${sentence(detail)} It may work in ${count(wait, "second")}.`;
  return new Problem({ ...body, detail });
}
