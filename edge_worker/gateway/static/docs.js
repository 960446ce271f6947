// The API, shown from its OpenAPI document; everything comes from this gateway.
import { getJson } from "./api.js";
import { make } from "./dom.js";

const main = document.getElementById("main");

const typeOf = (schema) => schema.enum?.join(", ") ?? schema.type ?? schema.anyOf?.map(typeOf).filter((type) => type !== "null").join(", ") ?? "";

function operation(method, path, described) {
  const parameters = (described.parameters ?? []).map((one) => make("tr", {}, make("th", { scope: "row" }, one.name), make("td", {}, one.in),
    make("td", {}, one.description ?? ""), make("td", {}, typeOf(one.schema ?? {}))));
  const bodies = Object.keys(described.requestBody?.content ?? {}).join(", ");
  const responses = Object.entries(described.responses ?? {}).map(([status, one]) => `${status} ${one.description}`).join(" · ");
  return make("section", { class: "card" }, make("h2", {}, make("code", {}, `${method.toUpperCase()} ${path}`)), make("p", {}, (described.description ?? described.summary ?? "").replaceAll("`", "")),
    bodies ? make("p", {}, make("strong", {}, "Body: "), bodies) : null,
    parameters.length ? make("div", { class: "scroll" }, make("table", {}, make("tbody", {}, ...parameters))) : null, make("p", { class: "small dim" }, responses));
}

getJson("/openapi.json").then((api) => {
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, described] of Object.entries(methods)) main.append(operation(method, path, described));
  }
});
