// One parsed photo: the photo, the map over it, and what is under the pointer.
import { make, swatch } from "./dom.js";
import { className, number, percent, text } from "./i18n.js";
import { BACKGROUND, decode, word } from "./pixels.js";

const MAX_SIDE = 1600;

// Decodes photo and map once.
export async function prepare(file, result) {
  const photo = await createImageBitmap(file, { imageOrientation: "from-image" });
  return { photo, ...await decode(result) };
}

export class Viewer {
  constructor(name, result, prepared) {
    Object.assign(this, { result, prepared, hidden: new Set(), lit: null, split: 0, opacity: 0.6, mode: "overlay" });
    this.left = make("div", {}, this.makeStage(name), this.controls());
    this.element = make("div", { class: "result" }, this.left, make("div", { class: "card" }, this.legend(), this.people()));
    this.draw();
    this.place();
  }

  makeStage(name) {
    const { width, height, photo } = this.prepared;
    const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
    this.photo = make("canvas", { width: width * scale, height: height * scale, "aria-hidden": "true" });
    this.photo.getContext("2d").drawImage(photo, 0, 0, this.photo.width, this.photo.height);
    photo.close();
    const count = this.result.persons.length;
    const told = text("view.stage", { name, persons: count === 1 ? text("live.person") : text("live.persons", { count }) });
    this.canvas = make("canvas", { class: "paint", width, height, role: "img", "aria-label": told });
    this.edge = make("div", { class: "edge" });
    this.tip = make("div", { class: "tip", hidden: true });
    const point = (event) => this.point(event);
    const leave = (event) => { if (event.pointerType === "mouse") this.light(null); }; // what was tapped stays
    this.stage = make("div", { class: "stage", onpointermove: point, onpointerdown: point, onpointerleave: leave }, this.photo, this.canvas, this.edge, this.tip);
    this.stage.style.setProperty("--ratio", width / height);
    return this.stage;
  }

  controls() {
    const slide = (key, value, change) => make("label", {}, text(key), make("input", { type: "range", min: 0, max: 100, value, oninput: (event) => change(event.target.value) }));
    const mode = (name) => make("button", { type: "button", "aria-pressed": String(this.mode === name), onclick: (event) => this.choose(name, event.target) }, text(`view.${name}`));
    return make("div", { class: "controls" },
      slide("view.split", 0, (value) => { this.split = value; this.place(); }),
      slide("view.opacity", 100 * this.opacity, (value) => { this.opacity = value / 100; this.place(); }),
      make("div", { class: "row", role: "group", "aria-label": text("view.mode") }, mode("overlay"), mode("map")));
  }

  choose(name, button) {
    this.mode = name;
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    this.place();
  }

  place() {
    this.stage.style.setProperty("--split", `${this.split}%`);
    this.canvas.style.setProperty("--split", `${this.split}%`);
    this.edge.hidden = this.split === 0;
    const map = this.mode === "map";
    this.canvas.style.opacity = map ? 1 : this.opacity;
    this.canvas.style.background = map ? "#000" : "none";
  }

  legend() {
    const rows = this.result.labels.map((label) => make("li", {}, make("button", {
      type: "button", "aria-pressed": "true",
      onclick: (event) => this.toggle(label.id, event.currentTarget),
      onpointerenter: () => this.light({ kind: "class", id: label.id }), onpointerleave: () => this.light(null),
    }, swatch(label.color), className(label.name), make("span", { class: "value" }, percent(label.fraction)))));
    return make("div", {}, make("h3", {}, text("view.legend")), make("ul", { class: "plain legend" }, ...rows));
  }

  people() {
    const persons = this.result.persons.map((person, index) => make("li", {}, this.thing(text("view.person", { id: person.id }), person, index, null),
      make("ul", { class: "plain nested" }, ...person.parts.map((part) => make("li", {}, this.thing(className(part.name), part, index, part.id))))));
    return make("div", {}, make("h3", {}, text("view.persons")),
      persons.length ? make("ul", { class: "plain" }, ...persons) : make("p", { class: "dim" }, text("view.none")));
  }

  thing(name, thing, index, id) {
    const target = { kind: "person", index, id };
    return make("button", { type: "button", onclick: () => this.light(target), onpointerenter: () => this.light(target), onpointerleave: () => this.light(null), onfocus: () => this.light(target), onblur: () => this.light(null) },
      name, make("span", { class: "value" }, `${number(thing.score, 2)} · ${percent(this.share(thing.pixels))}`));
  }

  share(pixels) { return pixels / (this.prepared.width * this.prepared.height); }

  toggle(id, button) {
    if (!this.hidden.delete(id)) this.hidden.add(id);
    button.setAttribute("aria-pressed", String(!this.hidden.has(id)));
    this.draw();
  }

  light(target) {
    if (target === null) this.tip.hidden = true;
    if (JSON.stringify(target) === JSON.stringify(this.lit)) return;
    this.lit = target;
    this.draw();
  }

  point(event) {
    const box = this.stage.getBoundingClientRect(), { width, height, classes, persons } = this.prepared;
    const x = Math.min(width - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * width)));
    const y = Math.min(height - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * height)));
    const id = classes[y * width + x], index = persons[y * width + x] - 1;
    this.light(id === BACKGROUND ? null : index < 0 ? { kind: "class", id } : { kind: "person", index, id });
    this.say(id, index, event.clientX - box.left, event.clientY - box.top, box.width);
  }

  say(id, index, left, top, width) {
    const label = this.result.labels.find((one) => one.id === id);
    this.tip.hidden = !label;
    if (!label) return;
    const person = this.result.persons[index], part = person?.parts.find((one) => one.id === id) ?? label;
    const who = person ? `${text("view.person", { id: person.id })} · ` : "";
    this.tip.textContent = `${who}${className(label.name)} · ${text("view.score", { score: number(part.score, 2) })} · ${text("view.area", { percent: percent(this.share(part.pixels)) })}`;
    this.tip.style.left = `${Math.min(left + 12, width * 0.6)}px`;
    this.tip.style.top = `${top + 16}px`;
  }

  draw() {
    const { width, height, classes, persons } = this.prepared, image = new ImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const table = new Map(this.result.labels.filter((label) => !this.hidden.has(label.id)).map((label) => [label.id, label.color]));
    const bright = new Uint32Array(256), faint = new Uint32Array(256);
    for (const [id, colour] of table) { bright[id] = word(colour); faint[id] = word(colour, 60); }
    const lit = this.lit;
    for (let at = 0; at < words.length; at += 1) {
      const id = classes[at];
      const on = !lit || (lit.kind === "class" ? lit.id === id : persons[at] - 1 === lit.index && (lit.id === null || lit.id === id));
      words[at] = on ? bright[id] : faint[id];
    }
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }
}
