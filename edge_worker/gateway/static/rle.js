// COCO's compressed run lengths, as in pycocotools: column by column, six bits a character, differences to two runs before.
export function runs(counts) {
  const found = [];
  for (let at = 0; at < counts.length;) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const bits = counts.charCodeAt(at++) - 48;
      value |= (bits & 0x1f) << (5 * shift++);
      more = Boolean(bits & 0x20);
      if (!more && (bits & 0x10)) value |= -1 << (5 * shift);
    }
    found.push(found.length > 2 ? value + found[found.length - 2] : value);
  }
  return found;
}

// Writes `mark` to `target` (row by row, width × height) where the mask is set.
export function paint(rle, target, mark) {
  const [height, width] = rle.size;
  let at = 0, set = false;
  for (const length of runs(rle.counts)) {
    for (let end = at + length; set && at < end; at += 1) target[(at % height) * width + Math.floor(at / height)] = mark;
    at = set ? at : at + length;
    set = !set;
  }
}
