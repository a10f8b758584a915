// Where to look closer: Flower and its password.

import { Problem, call } from "../common/api.js";
import { makeCopyButton } from "../common/copying.js";
import { $ } from "../common/dom.js";

const LOOPBACK = ["127.0.0.1", "[::1]", "localhost"];

let password = "";

/** Tells where Flower is, if anybody knows. */
export async function loadFlower() {
  let flower = { url: null };
  try {
    flower = (await call("/api/voice/flower")).body;
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // the part itself tells of trouble
  }
  $("flower").hidden = flower.url === null;
  $("no-flower").hidden = flower.url !== null;
  if (flower.url === null) return;
  $("flower-link").href = flower.url;
  const isAfar = LOOPBACK.includes(new URL(flower.url).hostname) && !LOOPBACK.includes(location.hostname);
  $("flower-afar").hidden = !isAfar;
  $("flower-user").textContent = flower.user;
  $("flower-copy").hidden = !flower.password;
  password = flower.password;
}

export function startWatching() {
  makeCopyButton($("flower-copy"), () => password);
}
