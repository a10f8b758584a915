// What the farm can be asked of jobs.

import { Problem, call, callWith } from "../common/api.js";

const ADDRESS = "/api/voice/jobs";
const PAGE_LENGTH = 25;

/** Gives a page of the list, newest first: `items`, and the next one's `next_cursor`. */
export async function pageOf(filter, { cursor = "", signal }) {
  const wanted = Object.entries(filter).filter(([, value]) => value);
  const asked = new URLSearchParams([...wanted, ["limit", PAGE_LENGTH], ["cursor", cursor]]);
  return (await call(`${ADDRESS}?${asked}`, { signal })).body;
}

/** Gives a job as it stands now; null when it is no longer kept. */
export async function jobOf(id, { signal } = {}) {
  try {
    return (await call(`${ADDRESS}/${id}`, { signal })).body;
  } catch (error) {
    if (error instanceof Problem && error.code === "not_found") return null;
    throw error;
  }
}

/** Cancels a job; gives it as it stands then, which is as it ended if it was faster, or null as `jobOf` does. */
export async function cancelJob(id) {
  try {
    return (await call(`${ADDRESS}/${id}`, { method: "DELETE" })).body;
  } catch (error) {
    if (error instanceof Problem && ["conflict", "not_found"].includes(error.code)) return jobOf(id);
    throw error;
  }
}

/** Asks for the same once more; gives the new job. */
export async function askAgain({ request }) {
  return (await callWith("POST", ADDRESS, request)).body;
}

export function audioOf(id) {
  return `${ADDRESS}/${id}/audio`;
}
