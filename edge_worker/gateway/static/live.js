// The view Live: a tile for each camera, kept up by one stream of events.
import { getJson, imageAddress } from "./api.js";
import { make } from "./dom.js";
import { duration } from "./format.js";
import { number, reasonName, text } from "./i18n.js";

const STALE_S = 10;
const MIN_INTERVAL_MS = 400; // of fetching a camera's image
const INTERVAL_PER_CAMERA_MS = 100; // so that many cameras together stay far below the gateway's rate limit
const cameras = new Map();
const accounts = new Map();
let root = null, open = true, timer = null;

export function draw(section) {
  root = section;
  section.replaceChildren(make("h2", { id: "tab-live-title" }, text("live.title")),
    make("p", { class: "warn", role: "status", id: "live-lost", hidden: open }, text("live.lost")),
    make("p", { class: "dim", id: "live-none" }, text("live.none")), make("div", { class: "grid", id: "tiles" }));
  for (const camera of cameras.values()) Object.assign(camera, { tile: null, shown: null, fetchedAt: -Infinity });
  for (const name of cameras.keys()) update(name);
}

export async function enter() {
  timer ??= setInterval(() => { for (const name of cameras.keys()) update(name); }, 1000);
  try {
    const [known, nodes] = await Promise.all([getJson("/cameras"), getJson("/nodes")]);
    for (const node of Object.values(nodes)) if (node.stats) event("stats", node.stats);
    for (const camera of known) event("labels", { name: camera.camera, ...camera });
  } catch { /* the events say that the gateway is away */ }
}

export function leave() { clearInterval(timer); timer = null; }

export function connected(state) {
  open = state;
  const notice = document.getElementById("live-lost");
  if (notice) notice.hidden = state;
}

export function event(kind, data) {
  if (kind === "stats") for (const [name, account] of Object.entries(data.cameras)) accounts.set(name, account);
  if (kind !== "labels") return;
  const camera = cameras.get(data.name) ?? { fetching: false, fetchedAt: -Infinity, shown: null, tile: null };
  cameras.set(data.name, Object.assign(camera, { data, seen: performance.now() - 1000 * (data.age_s ?? Infinity) }));
  update(data.name);
}

function update(name) {
  if (!root || root.hidden) return;
  const camera = cameras.get(name);
  camera.tile ??= addTile(name);
  facts(name);
  refresh(name);
}

function addTile(name) {
  const view = make("div", { class: "view" });
  const tile = make("article", { class: "card tile", "data-camera": name }, view, make("div", { class: "facts" },
    make("h2", {}, name), make("p", { class: "dim small", "data-part": "age" }), make("p", { "data-part": "found" }), make("p", { class: "small dim", "data-part": "losses" })));
  document.getElementById("tiles").append(tile);
  document.getElementById("live-none").hidden = true;
  return tile;
}

function facts(name) {
  const { data, seen, tile } = cameras.get(name);
  if (!tile) return;
  const age = (performance.now() - seen) / 1000, stale = !(age < STALE_S);
  tile.classList.toggle("stale", stale);
  let mark = tile.querySelector(".stale-mark");
  if (stale && !mark) tile.querySelector(".view").append(mark = make("div", { class: "stale-mark" }));
  if (mark) { mark.hidden = !stale; mark.textContent = text("live.stale", { age: duration(age) }); }
  const persons = data.persons === 1 ? text("live.person") : text("live.persons", { count: number(data.persons ?? 0) });
  put(tile, "age", text("live.age", { age: duration(age) }));
  put(tile, "found", `${persons} · ${text("live.fps", { fps: number(stale ? 0 : data.fps ?? 0, 1) })} · ${number(data.total_ms ?? 0)} ms`);
  put(tile, "losses", losses(accounts.get(name)));
}

function put(tile, part, content) {
  const place = tile.querySelector(`[data-part="${part}"]`);
  if (place.textContent !== content) place.textContent = content;
}

function losses(account) {
  const told = (reasons) => Object.entries(reasons ?? {}).map(([reason, count]) => `${reasonName(reason)} ${number(count)}`).join(", ");
  const dropped = told(account?.dropped), rejected = told(account?.rejected);
  return [dropped && text("live.dropped", { reasons: dropped }), rejected && text("live.rejected", { reasons: rejected })].filter(Boolean).join(" · ");
}

// The newest overlay; without one, the frame with the map over it. Called at every event and every second: what is not
// fetched now, because the tile is out of sight or its last image is too young, is fetched then.
async function refresh(name) {
  const camera = cameras.get(name), { data, tile } = camera;
  const tooSoon = performance.now() - camera.fetchedAt < Math.max(MIN_INTERVAL_MS, cameras.size * INTERVAL_PER_CAMERA_MS);
  if (!tile || camera.fetching || camera.shown === data.frame_id || tooSoon || document.hidden || !inSight(tile)) return;
  camera.fetching = true;
  camera.fetchedAt = performance.now();
  try {
    const kinds = data.images?.includes("overlay") ? ["overlay.jpg"] : ["frame.jpg", "colormap.png"];
    await show(camera, name, kinds);
    camera.shown = data.frame_id;
  } catch { /* nothing has been seen yet, or the gateway is away: the age tells */ }
  camera.fetching = false;
}

function inSight(tile) {
  const { top, bottom } = tile.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}

async function show(camera, name, kinds) {
  const path = `/cameras/${encodeURIComponent(name)}/latest/`;
  const addresses = await Promise.all(kinds.map((kind) => imageAddress(path + kind)));
  const images = addresses.map((address, index) => {
    const image = make("img", { src: address, alt: index ? "" : text("live.image", { camera: name }) });
    if (index) image.className = "blend";
    return image;
  });
  await Promise.all(images.map((image) => image.decode()));
  const view = camera.tile.querySelector(".view");
  for (const old of view.querySelectorAll("img")) { URL.revokeObjectURL(old.src); old.remove(); }
  view.prepend(...images);
}

