// What runs for each cell of a page: what its notebook for the browser has, which is tested.
export const LITE = new URL("../../lite/", import.meta.url);

const text = ({ source }) => [source].flat().join("");

// Cells that the page hides run with the next one that it shows. One that is only told in a browser
// has no code, or that of the cell before it, which does the same in small.
export function sources({ cells }) {
  const found = [];
  let before = [];
  let small;
  for (const cell of cells) {
    const tags = cell.metadata.tags ?? [];
    if (tags.includes("in-browser")) small = text(cell);
    else if (tags.includes("not-in-browser")) {
      found.push({ before, code: small, inSmall: true });
      before = [];
      small = undefined;
    } else if (tags.includes("remove-cell")) before = [...before, text(cell)];
    else if (cell.cell_type === "code" && !tags.includes("start")) {
      found.push({ before, code: text(cell), inSmall: false });
      before = [];
    }
  }
  return found;
}

export async function notebook(page) {
  const answer = await fetch(new URL(`files/${page}.ipynb`, LITE)).catch(() => null);
  if (!answer?.ok) throw new Error("this copy of the book lacks the chapter's notebook.");
  return answer.json();
}
