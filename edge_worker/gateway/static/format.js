// Durations for people.
import { number, text } from "./i18n.js";

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return text("unit.s", { n: number(Math.max(0, seconds), 1) });
  if (seconds < 120) return text("unit.s", { n: number(seconds) });
  if (seconds < 7200) return text("unit.min", { n: number(seconds / 60) });
  if (seconds < 172800) return text("unit.h", { n: number(seconds / 3600) });
  return text("unit.d", { n: number(seconds / 86400) });
}
