// The results as a COCO data set, as `edge-worker export --format coco` writes it: an annotation for each class in
// each person, and for what no person has.
import { decode } from "./pixels.js";
import { encode } from "./rle.js";

export async function coco(items) {
  const images = [], annotations = [], categories = new Map();
  for (const { name, result } of items) {
    images.push({ id: images.length + 1, file_name: name, ...result.image });
    for (const segment of await segments(result)) {
      categories.set(segment.id, segment.name);
      annotations.push({
        id: annotations.length + 1, image_id: images.length, category_id: segment.id, segmentation: segment.rle, area: segment.pixels,
        bbox: segment.box, iscrowd: 0, score: segment.score, attributes: segment.person === undefined ? {} : { person: segment.person },
      });
    }
  }
  const named = [...categories].sort(([one], [other]) => one - other).map(([id, name]) => ({ id, name, supercategory: "person" }));
  return { images, annotations, categories: named };
}

async function segments(result) {
  const inside = result.persons.flatMap((person) => person.parts.map((part) => ({ ...part, person: person.id })));
  if (!result.unassigned.length) return inside;
  const { width, height, classes, persons } = await decode(result);
  const scores = new Map(result.labels.map((label) => [label.id, label.score]));
  const rest = ({ id, name }) => ({ id, name, score: scores.get(id), ...encode(width, height, (at) => classes[at] === id && !persons[at]) });
  return [...inside, ...result.unassigned.map(rest)];
}
