// Decode Label Studio's brushes, a JSON array of arrays of bytes, with the package that its editor uses.
// Writes an array of the bytes' runs: [value, length, value, length, …].
import { readFileSync } from "node:fs";
import { decode } from "@thi.ng/rle-pack";

const runs = (bytes) => {
  const found = [];
  for (const byte of bytes) {
    if (found.length && found[found.length - 2] === byte) found[found.length - 1] += 1;
    else found.push(byte, 1);
  }
  return found;
};
const brushes = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(brushes.map((brush) => runs(decode(Uint8Array.from(brush))))));
