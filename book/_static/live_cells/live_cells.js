// Each cell of a chapter can be run and edited in its place. What does that is loaded when it is
// asked for, or at once where the reader has run cells of another chapter before; where the book is
// opened as a file it cannot be.
const chapterPage = document.currentScript.dataset.page;

function offerToRun(input, n, act) {
  const bar = Object.assign(document.createElement("div"), { className: "live-bar" });
  for (const name of ["Run", "Edit", "Reset", "Stop"]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.className = `live-${name.toLowerCase()}`;
    button.setAttribute("aria-label", `${name} cell ${n + 1}`);
    button.hidden = name === "Stop" || name === "Reset";
    button.addEventListener("click", () => act(name.toLowerCase(), n));
    bar.append(button);
  }
  const status = Object.assign(document.createElement("p"), { className: "live-status" });
  status.setAttribute("role", "status");
  input.append(bar, status);
}

document.addEventListener("DOMContentLoaded", () => {
  if (location.protocol === "file:") return;
  const cells = [...document.querySelectorAll("article div.cell")];
  let chapter;
  const open = () => (chapter ??= import("./cells.js").then(({ opened }) => opened(chapterPage, cells)));
  const act = async (name, n) => {
    try {
      (await open())[name](n);
    } catch (error) {
      chapter = undefined;
      cells[n].querySelector(".live-status").textContent = `The cells cannot be run here: ${error.message}`;
    }
  };
  cells.forEach((cell, n) => {
    const input = cell.querySelector(".cell_input");
    if (input) offerToRun(input, n, act);
  });
  if (cells.length && sessionStorage.getItem("cells-ran"))
    open()
      .then(({ start }) => start())
      .catch(() => (chapter = undefined)); // it is told when a cell is run
});
