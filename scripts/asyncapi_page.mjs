// Render docs/asyncapi.yaml as one HTML page: `make asyncapi-page`.
//
//     node scripts/asyncapi_page.mjs FOLDER_WITH_NODE_MODULES PAGE.html
import { createRequire } from "node:module";
import { basename, dirname, resolve } from "node:path";

const [tools, page] = process.argv.slice(2).map((path) => resolve(path));
const Generator = createRequire(`${tools}/`)("@asyncapi/generator");
const generator = new Generator(`${tools}/node_modules/@asyncapi/html-template`, dirname(page), {
  forceWrite: true,
  templateParams: { singleFile: "true", outFilename: basename(page) },
});
await generator.generateFromFile(resolve(import.meta.dirname, "../docs/asyncapi.yaml"));
