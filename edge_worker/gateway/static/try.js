// The view Try: photos in, a table of them, and the one that is chosen in full.
import { Failure, parse } from "./api.js";
import { coco } from "./coco.js";
import { download, make, notify } from "./dom.js";
import { number, text } from "./i18n.js";
import { prepare, Viewer } from "./viewer.js";
import { closeWebcam, webcamPanel } from "./webcam.js";

const AT_ONCE = 2;
const MAX_KEPT = 100;
const items = [];
let viewer = null, root = null, working = 0, chosen = null;

export function draw(section) {
  root = section;
  const input = make("input", { type: "file", accept: "image/*", multiple: true, id: "files", class: "visually-hidden", onchange: () => take(input.files) });
  const drop = make("div", { class: "drop", ondragover: over, ondragleave: out, ondrop: dropped },
    make("h2", { id: "tab-try-title" }, text("try.title")),
    make("div", { class: "row" }, make("span", {}, text("try.drop")),
      make("button", { class: "primary", type: "button", onclick: () => input.click() }, text("try.choose")), input,
      make("button", { type: "button", onclick: () => webcamPanel(document.getElementById("webcam"), take) }, text("try.webcam"))),
    make("p", { class: "dim small" }, text("try.private")), make("div", { id: "webcam" }));
  input.setAttribute("aria-label", text("try.choose"));
  closeWebcam();
  section.replaceChildren(drop, make("div", { id: "batch" }), make("div", { id: "result" }));
  drawBatch();
  if (chosen) showItem(chosen);
}

export const leave = closeWebcam;

document.addEventListener("paste", (event) => {
  if (root && !root.hidden && event.clipboardData?.files.length) take(event.clipboardData.files);
});

function over(event) { event.preventDefault(); event.currentTarget.classList.add("over"); }
function out(event) { event.currentTarget.classList.remove("over"); }
function dropped(event) { event.preventDefault(); out(event); take(event.dataTransfer.files); }

function take(files) {
  for (const file of files) items.push({ file, name: file.name || "photo", state: "waiting" });
  forget();
  drawBatch();
  work();
}

// Parsed photos make room for new ones, the oldest first; what still waits is never dropped.
function forget() {
  for (const item of items.filter((one) => one.state === "done" || one.state === "failed")) {
    if (items.length <= MAX_KEPT) return;
    items.splice(items.indexOf(item), 1);
  }
}

function work() {
  while (working < AT_ONCE) {
    const next = items.find((item) => item.state === "waiting");
    if (!next) return;
    working += 1;
    next.state = "working";
    run(next).finally(() => { working -= 1; drawBatch(); work(); });
  }
}

async function run(item) {
  drawBatch();
  const began = performance.now();
  try {
    item.result = await parse(item.file);
    item.ms = performance.now() - began;
    item.state = "done";
    if (!chosen || items.filter((one) => one.result).length === 1) await showItem(item);
  } catch (failure) {
    item.state = "failed";
    item.problem = failure.message;
    if (!(failure instanceof Failure)) console.error(failure);
    if (items.length === 1) notify(failure.message);
  }
}

function drawBatch() {
  const area = document.getElementById("batch");
  if (!area || !items.length) return;
  const done = items.filter((item) => item.state === "done" || item.state === "failed").length;
  const told = text("try.progress", { done, total: items.length });
  area.replaceChildren(
    make("p", { role: "status" }, told),
    make("progress", { max: items.length, value: done, "aria-label": told, hidden: done === items.length }),
    items.length > 1 ? make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": text("try.table") }, table()) : "",
    items.length > 1 ? make("button", { type: "button", disabled: !items.some((one) => one.result), onclick: saveAll }, text("save.coco_all")) : "");
}

function table() {
  const head = ["try.file", "try.state", "try.persons", "try.classes", "try.time"].map((key) => make("th", { scope: "col" }, text(key)));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...items.map(row)));
}

function row(item) {
  const name = item.result
    ? make("button", { type: "button", "aria-pressed": String(item === chosen), "aria-label": text("try.show", { name: item.name }), onclick: () => showItem(item) }, item.name)
    : item.name;
  const cells = item.result
    ? ["✓", number(item.result.persons.length), number(item.result.labels.length), `${number(item.ms)} ms`]
    : [item.state === "failed" ? item.problem : text(`try.${item.state}`), "", "", ""];
  return make("tr", {}, make("td", {}, name), ...cells.map((cell) => make("td", {}, cell)));
}

async function showItem(item) {
  chosen = item;
  item.prepared ??= await prepare(item.file, item.result);
  viewer = new Viewer(item.name, item.result, item.prepared);
  document.getElementById("result").replaceChildren(viewer.element, saving(item));
  drawBatch();
}

function saving(item) {
  const stem = item.name.replace(/\.\w+$/, "");
  const { colormap, ...labels } = item.result;
  const bytes = () => Uint8Array.from(atob(colormap), (letter) => letter.charCodeAt(0));
  const png = () => download(`${stem}.colormap.png`, new Blob([bytes()], { type: "image/png" }));
  const json = () => download(`${stem}.labels.json`, JSON.stringify(labels, null, 1), "application/json");
  const set = () => download(`${stem}.coco.json`, JSON.stringify(coco([item])), "application/json");
  return make("div", { class: "row", role: "group", "aria-label": text("save.title") },
    ...[["save.png", png], ["save.json", json], ["save.coco", set]]
      .map(([key, act]) => make("button", { type: "button", onclick: act }, text(key))));
}

function saveAll() {
  download("edge-worker.coco.json", JSON.stringify(coco(items.filter((item) => item.result))), "application/json");
}
