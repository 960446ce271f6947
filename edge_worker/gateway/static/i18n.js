// Strings of the page, by key; one file for each language. A key that a language lacks is shown in English.
import en from "./strings/en.js";
import zh from "./strings/zh.js";

const languages = { en, zh };
let current = "en";

export function chooseLanguage(wanted) {
  current = wanted in languages ? wanted : "en";
  document.documentElement.lang = current === "zh" ? "zh-Hans" : "en";
  try { localStorage.setItem("language", current); } catch { /* private mode: the choice lasts for this page */ }
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
}

export function preferredLanguage() {
  try {
    const kept = localStorage.getItem("language");
    if (kept) return kept;
  } catch { /* private mode */ }
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function text(key, values = {}) {
  const found = languages[current][key] ?? en[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// Names of classes, reasons and stages are those of the messages where this language has none of its own.
const own = (kind) => (name) => languages[current][`${kind}.${name}`] ?? name;
export const className = own("class"), reasonName = own("reason"), stageName = own("stage");
// The details are in English: they come from the gateway and the workers.
export const problemText = ({ reason = "", detail = "", title = "" }) =>
  (reasonName(reason) === reason ? detail || title : text("problem", { reason: reasonName(reason), detail: detail || title }));
export const number = (value, digits = 0) => value.toLocaleString(current, { maximumFractionDigits: digits, minimumFractionDigits: digits });
export function percent(value) {
  const told = (share) => share.toLocaleString(current, { style: "percent", maximumFractionDigits: 1 });
  return value > 0 && value < 0.0005 ? `< ${told(0.001)}` : told(value);
}
