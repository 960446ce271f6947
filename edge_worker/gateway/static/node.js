// The view Node: what a worker says of itself, and commands to it.
import { askAgain, getJson, postJson } from "./api.js";
import { ask } from "./dialog.js";
import { make, notify, svg, swatch } from "./dom.js";
import { duration } from "./format.js";
import { className, number, reasonName, stageName, text } from "./i18n.js";

const KEPT = 60;
const MAX_ERRORS = 20;
const STATES = { online: "good", degraded: "warn", loading: "warn", starting: "warn", stopping: "warn", offline: "bad" };
const PARTS = { status: statusOf, model: modelOf, timings, accounts, errors: recent };
const PARTS_OF_EVENT = { status: ["status"], model: ["model"], stats: ["status", "timings", "accounts"] };
const nodes = new Map();
const errors = [];
let root = null, chosen = null, bodies = {}, select = null;

// Everything stays in place but what an event is about: lists that are open, the focus, what a screen reader reads.
export function draw(section) {
  root = section;
  bodies = Object.fromEntries(Object.keys(PARTS).map((part) => [part, make("div")]));
  bodies.accounts = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": text("node.accounts") });
  select = make("select", { id: "node", onchange: () => { chosen = select.value; enter(); } });
  root.replaceChildren(make("h2", { id: "tab-node-title" }, text("node.title")), make("p", { class: "dim", id: "node-none" }, text("node.none")),
    make("div", { id: "node-known" }, make("p", { class: "row" }, make("label", { for: "node" }, text("node.choose")), select),
      make("div", { class: "grid" }, card("status", commands()), card("model"), card("timings")), card("accounts"), card("errors")));
  render();
}

export async function enter() {
  try {
    for (const [name, parts] of Object.entries(await getJson("/nodes"))) {
      for (const kind of ["status", "model", "stats"]) if (parts[kind]) note(kind, { name, ...parts[kind] });
    }
    if (chosen) errors.splice(0, Infinity, ...(await getJson(`/nodes/${chosen}`)).errors.reverse());
  } catch (failure) { notify(failure.message); }
  render();
}

export function event(kind, data) {
  if (kind === "error") {
    errors.unshift(data);
    errors.splice(MAX_ERRORS);
    render(["errors"]);
  } else if (kind in PARTS_OF_EVENT) {
    note(kind, data);
    render(data.name === chosen ? PARTS_OF_EVENT[kind] : []); // a new worker can be chosen at once
  }
}

function note(kind, data) {
  const node = nodes.get(data.name) ?? { history: [] }, news = node[kind]?.published_at !== data.published_at;
  nodes.set(data.name, node);
  node[kind] = data;
  if (kind === "stats" && news) { node.history.push(data.frames_per_s); node.history.splice(0, node.history.length - KEPT); }
  chosen ??= data.name;
}

function render(parts = Object.keys(PARTS)) {
  const node = nodes.get(chosen);
  document.getElementById("node-none").hidden = Boolean(node);
  document.getElementById("node-known").hidden = !node;
  if (!node) return;
  const names = [...nodes.keys()].sort();
  if (names.join("/") !== [...select.options].map((one) => one.value).join("/")) select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  select.value = chosen;
  for (const part of parts) bodies[part].replaceChildren(PARTS[part](node));
}

const card = (part, ...more) => make("section", { class: "card" }, make("h3", {}, text(`node.${part}`)), bodies[part], ...more);
const facts = (rows) => make("dl", {}, ...rows.filter(([, value]) => value).flatMap(([key, value]) => [make("dt", {}, text(key)), make("dd", {}, value)]));

function statusOf({ status, stats, history }) {
  if (!status) return make("p", { class: "dim" }, text("node.no_stats"));
  const rows = [["node.detail", [status.reason && reasonName(status.reason), status.detail].filter(Boolean).join(": ")], ["node.since", new Date(status.since).toLocaleString(document.documentElement.lang)], ["node.version", status.version]];
  if (stats) {
    const memory = stats.rss_mb + stats.processes.reduce((sum, one) => sum + one.rss_mb, 0);
    rows.push(["node.uptime", duration(stats.uptime_s)], ["node.memory", `${number(memory)} MB`], ["node.rate", number(stats.frames_per_s, 1)]);
  }
  return make("div", {}, make("p", {}, make("strong", { class: `pill ${STATES[status.state] ?? ""}` }, text(`state.${status.state}`))), facts(rows), spark(history));
}

function spark(history) {
  if (history.length < 2) return "";
  const top = Math.max(...history, 0.1);
  const points = history.map((value, index) => `${index ? "L" : "M"}${(100 * index) / (history.length - 1)},${30 - (28 * value) / top}`);
  return svg("svg", { class: "spark", viewBox: "0 0 100 31", preserveAspectRatio: "none", role: "img", "aria-label": text("node.history") }, svg("path", { d: points.join("") }));
}

function modelOf({ model }) {
  if (!model) return make("p", { class: "dim" }, text("node.no_stats"));
  const { in_force: held = [], refused = {} } = model.sandbox ?? {};
  const threads = Object.entries(model.threads.effective).map(([name, value]) => `${name} ${value}`).join(", ");
  const classes = model.classes.map((one) => make("span", { class: "row small" }, swatch(one.color), className(one.name)));
  return make("div", {}, facts([
    ["node.model", `${model.model.name} (${model.model.sha256.slice(0, 12)})`], ["node.engine", `${model.model.engine}, ${model.model.precision}`],
    ["node.choice", model.choice], ["node.warning", model.warning], ["node.threads", threads], ["node.sandbox", [...held, ...Object.keys(refused).map((one) => `✗ ${one}`)].join(", ")],
  ]), make("details", {}, make("summary", {}, text("view.legend")), make("div", { class: "row" }, ...classes)));
}

function timings({ stats }) {
  const rows = Object.entries(stats?.timings_ms ?? {}).filter(([, spread]) => spread.count);
  if (!rows.length) return make("p", { class: "dim" }, text("node.no_stats"));
  const top = Math.max(...rows.map(([, spread]) => spread.p95), 0.1);
  const bar = ({ p50, p95 }) => svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "p95", width: (100 * p95) / top, height: 10 }), svg("rect", { class: "p50", width: (100 * p50) / top, height: 10 }));
  return make("div", { class: "bars" }, ...rows.map(([name, spread]) => make("div", {}, make("span", {}, stageName(name)), bar(spread),
    make("span", { class: "small" }, `${number(spread.p50, 1)} / ${number(spread.p95, 1)}`))));
}

function accounts({ stats }) {
  if (!stats) return make("p", { class: "dim" }, text("node.no_stats"));
  const columns = ["received", "processed", "rejected", "dropped", "waiting", "in_work"];
  const cell = (value) => (typeof value === "object" ? Object.entries(value).map(([reason, count]) => `${reasonName(reason)} ${number(count)}`).join(", ") || "0" : number(value));
  const rows = Object.entries(stats.cameras).map(([name, account]) => make("tr", {}, make("th", { scope: "row" }, name), ...columns.map((one) => make("td", {}, cell(account[one] ?? 0)))));
  const head = ["camera", ...columns].map((one) => make("th", { scope: "col" }, text(`node.${one}`)));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

function recent() {
  const found = errors.filter((one) => one.node === chosen);
  if (!found.length) return make("p", { class: "dim" }, text("node.no_errors"));
  return make("ul", {}, ...found.map((one) => make("li", {}, `${new Date(one.published_at).toLocaleTimeString(document.documentElement.lang)} ${one.camera}: `, make("strong", {}, reasonName(one.reason)), ` ${one.detail}`)));
}

function commands() {
  const button = (name) => make("button", { type: "button", "data-key": `command-${name}`, onclick: () => send(name) }, text(`command.${name}`));
  return make("div", { class: "row", role: "group", "aria-label": text("node.commands") }, ...["pause", "resume", "set", "snapshot", "restart"].map(button));
}

async function send(command) {
  const node = chosen, value = command === "set" ? '{"score_threshold": 0.5}' : "";
  const typed = await ask({ title: `${text(`command.${command}`)}: ${node}`, message: text(`command.${command}.text`), input: { value } });
  if (typed === null) return;
  try {
    if (command === "restart" && typed.trim() !== node) throw new Error(text("command.mismatch"));
    askAgain();
    const response = await postJson(`/nodes/${node}/commands/${command}`, argumentsOf(command, typed.trim()));
    notify(text("node.asked", { command: text(`command.${command}`), status: response.error ?? response.status }), response.error ? "bad" : "good");
  } catch (failure) { notify(failure.message); }
}

function argumentsOf(command, typed) {
  if (command === "set") return JSON.parse(typed);
  return command === "restart" || !typed ? {} : { camera: typed };
}
