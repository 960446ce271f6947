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

// The region of the pixels where `isSet(index)` holds: its run lengths, box [x, y, width, height] and number of pixels.
export function encode(width, height, isSet) {
  const found = [], box = { left: width, top: height, right: 0, bottom: 0 };
  let set = false, length = 0, pixels = 0;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      if (isSet(y * width + x) !== set) { found.push(length); length = 0; set = !set; }
      length += 1;
      if (!set) continue;
      pixels += 1;
      Object.assign(box, { left: Math.min(box.left, x), top: Math.min(box.top, y), right: Math.max(box.right, x + 1), bottom: Math.max(box.bottom, y + 1) });
    }
  }
  found.push(length);
  return { rle: { size: [height, width], counts: packed(found) }, box: [box.left, box.top, box.right - box.left, box.bottom - box.top], pixels };
}

function packed(found) {
  let text = "";
  found.forEach((length, index) => {
    let value = index > 2 ? length - found[index - 2] : length, more = true;
    while (more) {
      const bits = value & 0x1f;
      value >>= 5;
      more = value !== (bits & 0x10 ? -1 : 0);
      text += String.fromCharCode((more ? bits | 0x20 : bits) + 48);
    }
  });
  return text;
}
