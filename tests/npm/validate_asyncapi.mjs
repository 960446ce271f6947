// Read an AsyncAPI document from standard input; write the errors and warnings of the parser as JSON.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const problems = diagnostics
  .filter(({ severity }) => severity <= 1)
  .map(({ path, message }) => `${path.join("/")}: ${message}`);
console.log(JSON.stringify(document ? problems : ["no document", ...problems]));
