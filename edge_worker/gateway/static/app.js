// The page: three views, a language, and whether the gateway is ready.
import * as liveView from "./live.js";
import * as nodeView from "./node.js";
import * as tryView from "./try.js";
import { listen } from "./api.js";
import { chooseLanguage, preferredLanguage, problemText, text } from "./i18n.js";

const views = { try: tryView, live: liveView, node: nodeView };
const shown = () => (location.hash.slice(1).split("/")[0] in views ? location.hash.slice(1).split("/")[0] : "try");
let eventsOpen = null;

function show() {
  const name = shown();
  for (const [one, view] of Object.entries(views)) {
    const section = document.getElementById(`view-${one}`);
    const active = one === name;
    if (section.hidden === active) (active ? view.enter : view.leave)?.();
    section.hidden = !active;
    const tab = document.querySelector(`nav a[href="#${one}"]`);
    if (active) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
  }
  document.title = `${text(`tab.${name}`)} – edge-worker`;
  if (name !== "try") startEvents();
}

function startEvents() {
  eventsOpen ??= listen(
    (kind, data) => { for (const view of Object.values(views)) view.event?.(kind, data); },
    (open) => { for (const view of Object.values(views)) view.connected?.(open); },
  );
}

async function health() {
  const pill = document.getElementById("health");
  let state = ["bad", "health.away", ""];
  try {
    const response = await fetch("/readyz");
    const problem = response.ok ? {} : await response.json();
    state = response.ok ? ["good", "health.ready", ""] : ["warn", "health.not", problemText(problem)];
  } catch { /* the gateway is away */ }
  pill.className = `pill ${state[0]}`;
  if (pill.textContent !== text(state[1])) pill.textContent = text(state[1]);
  pill.title = state[2];
}

function redraw() {
  for (const [name, view] of Object.entries(views)) view.draw(document.getElementById(`view-${name}`));
  show();
  health();
}

const language = document.getElementById("language");
language.addEventListener("change", () => { chooseLanguage(language.value); redraw(); });
window.addEventListener("hashchange", show);
chooseLanguage(preferredLanguage());
language.value = document.documentElement.lang.slice(0, 2);
redraw();
setInterval(health, 5000);
