// The results as a COCO data set: an annotation for each person, and one for each of its parts.
export function coco(items) {
  const categories = new Map([["person", 0]]);
  const images = [], annotations = [];
  for (const { name, result } of items) {
    const image = { id: images.length + 1, file_name: name, ...result.image };
    images.push(image);
    for (const person of result.persons) {
      const group = add(annotations, image, 0, person);
      for (const part of person.parts) {
        categories.set(part.name, part.id);
        add(annotations, image, part.id, part).parent = group.id;
      }
    }
  }
  const named = [...categories].map(([name, id]) => ({ id, name, supercategory: id ? "part" : "person" }));
  return { info: { description: "edge-worker" }, images, annotations, categories: named };
}

function add(annotations, image, category, thing) {
  const annotation = {
    id: annotations.length + 1, image_id: image.id, category_id: category, bbox: thing.box, area: thing.pixels,
    score: thing.score, iscrowd: 0, ...(thing.rle ? { segmentation: thing.rle } : {}),
  };
  annotations.push(annotation);
  return annotation;
}
