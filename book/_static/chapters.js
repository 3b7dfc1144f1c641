// Print opens all folds, and closes them again.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});

// Equations in a closed fold of a reference are set when it opens: there are more of them than a
// reader waits for.
const FOLDED = "details.sd-dropdown:not([open])";

function setEquations(scope) {
  const waiting = [...scope.querySelectorAll(".math")].filter(
    (each) => !each.querySelector("mjx-container") && !each.closest(FOLDED),
  );
  return MathJax.typesetPromise(waiting);
}

if (window.MathJax) {
  let tell;
  const promise = new Promise((done) => (tell = done)); // as MathJax's own, before there is one
  const pageReady = () =>
    document.querySelector(FOLDED) ? setEquations(document) : MathJax.startup.defaultPageReady();
  MathJax.startup = { promise, pageReady: () => pageReady().then(tell) };
  document.addEventListener(
    "toggle",
    ({ target }) => target.matches("details.sd-dropdown[open]") && setEquations(target),
    true,
  );
}

// A table as lines of values with commas between, for a spreadsheet.
function asCSV(table) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const value = (cell) => {
    const text = cell.textContent.trim().replaceAll("−", "-");
    return cell.matches("td.number") ? text.replaceAll(",", "") : quoted(text);
  };
  return [...table.rows].map((row) => [...row.cells].map(value).join(",")).join("\n");
}

function offerCSV(results) {
  const button = document.createElement("button");
  button.textContent = "Copy as CSV";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(asCSV(results.querySelector("table")));
    button.textContent = "Copied";
  });
  results.append(button);
}

// On a phone a row of such a table is a card, whose values say their heads.
function nameCells(table) {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) {
    heads.forEach((head, column) => (row.cells[column].dataset.head = head));
  }
}

// A formula in a line is as wide as its signs are: what is said in words beside it has no width.
function widthInside(box) {
  const formula = box.matches("span.math") && box.querySelector("mjx-math");
  return formula ? formula.getBoundingClientRect().width : box.scrollWidth;
}

// What goes on beyond its right edge says so, and can have the focus, so that keys move it.
function markWhatGoesOn() {
  const boxes = ".bd-article :is(.math, mjx-container[display], .results, .highlight pre, "
    + ".pst-scrollable-table-container, .cell_output :is(figure, .output, .lm-Panel, .widget-html-content))";
  for (const box of document.querySelectorAll(boxes)) {
    const beyond = widthInside(box) - box.clientWidth;
    box.classList.toggle("is-wide", beyond > 2);
    box.classList.toggle("goes-on", beyond > 2 && box.scrollLeft < beyond - 2);
    if (beyond > 2 && !box.matches("mjx-container")) box.tabIndex = 0;
  }
}

// An equation is hidden from those who hear it in words, so that no key may lead into it.
function leaveEquations() {
  for (const link of document.querySelectorAll("mjx-math a")) link.tabIndex = -1;
}

document.addEventListener("DOMContentLoaded", () => {
  if (navigator.clipboard) document.querySelectorAll(".results").forEach(offerCSV);
  document.querySelectorAll(".cards table").forEach(nameCells);
  new ResizeObserver(markWhatGoesOn).observe(document.body);
  document.addEventListener("scroll", markWhatGoesOn, { capture: true, passive: true });
  window.MathJax?.startup?.promise?.then(markWhatGoesOn).then(leaveEquations);
});
