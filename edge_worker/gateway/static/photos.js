// The photos of the view Try: how far they are, and a table of them.
import { make } from "./dom.js";
import { number, text } from "./i18n.js";

const COLUMNS = ["try.file", "try.state", "try.persons", "try.classes", "try.time"];

export class Photos {
  constructor({ show, save }) {
    this.show = show;
    this.status = make("p", { role: "status" });
    this.progress = make("progress", { hidden: true });
    this.body = make("tbody");
    const head = COLUMNS.map((key) => make("th", { scope: "col" }, text(key)));
    this.table = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": text("try.table"), hidden: true },
      make("table", {}, make("thead", {}, make("tr", {}, ...head)), this.body));
    this.save = make("button", { type: "button", hidden: true, onclick: save }, text("save.coco_all"));
    this.element = make("div", { id: "batch" }, this.status, this.progress, this.table, this.save);
    this.rows = new Map();
  }

  // Brings all up to date. Only rows that changed are drawn, so that the focus stays where it is.
  update(items, chosen) {
    const failed = items.filter((item) => item.state === "failed").length;
    const done = failed + items.filter((item) => item.state === "done").length;
    const told = text("try.progress", { done: done - failed, total: items.length }) + (failed ? ` · ${text("try.failed", { failed })}` : "");
    if (items.length && this.status.textContent !== told) this.status.textContent = told;
    Object.assign(this.progress, { max: items.length || 1, value: done, ariaLabel: told, hidden: done === items.length });
    this.table.hidden = items.length < 2 && !failed;
    this.save.hidden = items.length < 2;
    this.save.disabled = !items.some((item) => item.result);
    this.forget(items);
    for (const item of items) this.place(item, item === chosen);
  }

  forget(items) {
    const kept = new Set(items);
    for (const [item, row] of this.rows) {
      if (kept.has(item)) continue;
      row.remove();
      this.rows.delete(item);
    }
  }

  place(item, pressed) {
    let row = this.rows.get(item);
    if (!row) this.body.append(row = make("tr"));
    this.rows.set(item, row);
    if (row.dataset.state !== item.state) row.replaceChildren(...this.cells(item).map((cell) => make("td", {}, cell)));
    row.dataset.state = item.state;
    row.querySelector("button")?.setAttribute("aria-pressed", String(pressed));
  }

  cells(item) {
    if (item.state === "failed") return [item.name, make("span", { class: "bad" }, item.problem), "", "", ""];
    if (!item.result) return [item.name, text(`try.${item.state}`), "", "", ""];
    const { persons, labels } = item.result;
    const button = make("button", { type: "button", "aria-label": text("try.show", { name: item.name }), onclick: () => this.show(item) }, item.name);
    return [button, "✓", number(persons.length), number(labels.length), `${number(item.ms)} ms`];
  }
}
