// The view Try: photos in, a table of them, and the one that is chosen in full.
import { askAgain, Failure, parse } from "./api.js";
import { coco } from "./coco.js";
import { download, make, notify } from "./dom.js";
import { text } from "./i18n.js";
import { Photos } from "./photos.js";
import { prepare, Viewer } from "./viewer.js";
import { closeWebcam, webcamPanel } from "./webcam.js";

const AT_ONCE = 2;
const MAX_KEPT = 100;
const items = [];
let photos = null, root = null, drop = null, working = 0, chosen = null, newest = 0, shownOf = 0; // batches are what is added at once

export function draw(section) {
  root = section;
  const input = make("input", { type: "file", accept: "image/*", multiple: true, id: "files", class: "visually-hidden", tabindex: -1, "aria-label": text("try.choose"), onchange: () => { take(input.files); input.value = ""; } });
  drop = make("div", { class: "drop" },
    make("h2", { id: "tab-try-title" }, text("try.title")),
    make("div", { class: "row" }, make("span", {}, text("try.drop")),
      make("button", { class: "primary", type: "button", onclick: () => input.click() }, text("try.choose")), input,
      make("button", { type: "button", onclick: () => webcamPanel(document.getElementById("webcam"), take) }, text("try.webcam"))),
    make("p", { class: "dim small" }, text("try.private")), make("div", { id: "webcam" }));
  closeWebcam();
  photos = new Photos({ show: showItem, save: saveAll });
  section.replaceChildren(drop, photos.element, make("div", { id: "result" }));
  update();
  if (chosen) showItem(chosen);
}

export const leave = closeWebcam;

// Photos may be dropped anywhere: elsewhere the browser would leave the page to show them.
const shown = () => root && !root.hidden;
document.addEventListener("paste", (event) => { if (shown() && event.clipboardData?.files.length) take(event.clipboardData.files); });
document.addEventListener("dragover", (event) => { event.preventDefault(); drop?.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop?.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop?.classList.remove("over");
  if (shown()) take(event.dataTransfer.files);
});

function take(files) {
  newest += 1;
  for (const file of files) items.push({ file, name: file.name || "photo", state: "waiting", batch: newest });
  askAgain();
  forget();
  update();
  work();
}

const update = () => photos.update(items, chosen);

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
    run(next).finally(() => { working -= 1; update(); work(); });
  }
}

async function run(item) {
  update();
  const began = performance.now();
  try {
    item.result = await parse(item.file);
    item.ms = performance.now() - began;
    item.state = "done";
    if (item.batch > shownOf) await showItem(item);
  } catch (failure) {
    item.state = "failed";
    item.problem = failure.message;
    if (!(failure instanceof Failure)) console.error(failure);
    if (items.length === 1) notify(failure.message);
  }
}

// Chosen by hand, or the first that is parsed of a batch.
async function showItem(item) {
  chosen = item;
  shownOf = item.batch;
  const prepared = await prepare(item.file, item.result);
  if (chosen !== item) return; // another was chosen meanwhile
  const viewer = new Viewer(item.name, item.result, prepared);
  viewer.left.append(saving(item));
  document.getElementById("result").replaceChildren(viewer.element);
  update();
}

function saving(item) {
  const stem = item.name.replace(/\.\w+$/, "");
  const { colormap, ...labels } = item.result;
  const bytes = () => Uint8Array.from(atob(colormap), (letter) => letter.charCodeAt(0));
  const png = () => download(`${stem}.colormap.png`, new Blob([bytes()], { type: "image/png" }));
  const json = () => download(`${stem}.labels.json`, JSON.stringify(labels, null, 1), "application/json");
  const set = async () => download(`${stem}.coco.json`, JSON.stringify(await coco([item])), "application/json");
  return make("div", { class: "row", role: "group", "aria-label": text("save.title") },
    make("span", { class: "dim" }, text("save.title")), ...[["save.png", png], ["save.json", json], ["save.coco", set]]
      .map(([key, act]) => make("button", { type: "button", onclick: act }, text(key))));
}

async function saveAll() {
  download("edge-worker.coco.json", JSON.stringify(await coco(items.filter((item) => item.result))), "application/json");
}
