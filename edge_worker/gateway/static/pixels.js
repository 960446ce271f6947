// The map of a result, decoded: `classes` has the class of each pixel, `persons` the person's place in the list + 1, or 0.
import { make } from "./dom.js";
import { paint } from "./rle.js";

export const BACKGROUND = 0;

export async function decode(result) {
  const bytes = Uint8Array.from(atob(result.colormap), (letter) => letter.charCodeAt(0));
  const map = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
  const { width, height } = result.image;
  return { width, height, classes: classesOf(pixelsOf(map, width, height), result.labels), persons: personsOf(result) };
}

// A colour as the pixels of a canvas have it.
export function word(colour, alpha = 255) {
  const value = parseInt(colour.slice(1), 16);
  return ((alpha << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

function pixelsOf(bitmap, width, height) {
  const context = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  return new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
}

function classesOf(pixels, labels) {
  const known = new Map(labels.map((label) => [word(label.color), label.id]));
  return Uint8Array.from(pixels, (pixel) => known.get(pixel) ?? BACKGROUND);
}

function personsOf(result) {
  const target = new Uint8Array(result.image.width * result.image.height);
  result.persons.forEach((person, index) => { if (person.rle) paint(person.rle, target, index + 1); });
  return target;
}
