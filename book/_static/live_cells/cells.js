// The cells of a page, run in order: what stands above one has run before it, as it stands there.
import { asking } from "../asking.js";
import { notebook, sources } from "./notebook.js";
import { addOutput, element } from "./outputs.js";

const BROKEN = "Python in this page has broken down, and what the cells had computed is lost: run one again.";
const STOPPED = "Stopped. What the cells had computed is lost: the next run begins at the first one.";
const TOLD = "This cell takes minutes in a browser, or needs what none has: the result of the build stays.";
const BUSY = "Another cell runs: wait for it, or stop it.";

const started = () => new Worker(new URL("live_cells_worker.js", import.meta.url), { type: "module" });

// A cell of the page: `code` is what would run, `ran` what has run last.
function cellOf(place, { before, code, inSmall }) {
  const input = place.querySelector(".cell_input");
  const part = (name) => input?.querySelector(`.live-${name}`);
  const [run, stop, edit, reset, status] = ["run", "stop", "edit", "reset", "status"].map(part);
  const shown = { input, run, stop, edit, reset, status, built: place.querySelector(".cell_output") };
  return { place, before, original: code, code, inSmall, ran: undefined, ...shown };
}

function say({ status }, words, isError = false) {
  status?.replaceChildren(isError ? element("strong", {}, words) : words);
}

// The place for what a cell gives, in place of what it gave when the book was built.
function freshArea(cell) {
  cell.area?.remove();
  const whose = element("p", { className: "live-whose" }, cell.inSmall ? "Your result, in small" : "Your result");
  cell.area = element("div", { className: "cell_output live-output" }, whose);
  if (cell.built) {
    cell.built.hidden = true;
    cell.built.after(cell.area);
  } else cell.place.append(cell.area);
  if (cell.reset) cell.reset.hidden = false;
}

export async function opened(page, places) {
  const found = sources(await notebook(page));
  if (found.length !== places.length) throw new Error("this page and its notebook are not of one build.");
  const cells = places.map((place, n) => cellOf(place, found[n]));
  let wanted; // the cell that the reader has asked for
  let current; // the one that runs, on the way there
  let loading; // Python, which starts, or has started
  let isLoaded = false;
  const { ask, giveUp } = asking(started, BROKEN, (output) => current?.area && addOutput(current.area, output, moved));

  // What is said of an error; where Python is gone, what it had computed is, too.
  function told({ message }) {
    if (![BROKEN, STOPPED].includes(message)) return message;
    loading = undefined;
    isLoaded = false;
    for (const cell of cells) {
      cell.ran = undefined;
      for (const slider of cell.area?.querySelectorAll(".live-explorer input") ?? []) slider.disabled = true;
    }
    return message;
  }

  const moved = (...values) => ask("moved", ...values).catch(told);

  // What stands below a cell whose code has changed has not yet run, whether it ends in an error or not.
  async function runOne(cell) {
    const { before, code, original, area, ran } = cell;
    current = cell;
    if (cell === wanted || area || code !== original) freshArea(cell);
    if (ran !== code) for (const later of cells.slice(cells.indexOf(cell) + 1)) later.ran = undefined;
    cell.ran = undefined;
    for (const each of [...before, code]) {
      const error = await ask("run", each);
      if (error) throw new Error(error);
    }
    cell.ran = code;
    if (cell.area?.childElementCount === 1) cell.area.firstChild.append(": nothing to show");
  }

  async function load() {
    try {
      await ask("load", page);
      isLoaded = true;
    } catch (error) {
      loading = undefined;
      giveUp();
      throw error;
    }
  }

  async function runUpToWanted() {
    if (!isLoaded) say(wanted, "Python starts …");
    await (loading ??= load());
    const due = cells
      .slice(0, cells.indexOf(wanted) + 1)
      .filter((cell) => cell.code !== undefined && (cell === wanted || cell.ran !== cell.code));
    for (const [n, cell] of due.entries()) {
      say(wanted, `Cell ${n + 1} of ${due.length} runs …`);
      await runOne(cell);
    }
  }

  async function run(n) {
    const cell = cells[n];
    if (cell === wanted) return; // a second click
    if (wanted) return say(cell, BUSY);
    if (cell.code === undefined) return say(cell, TOLD);
    wanted = current = cell;
    sessionStorage.setItem("cells-ran", "yes"); // which live_cells.js asks for
    cell.stop.hidden = false;
    const begun = performance.now();
    try {
      await runUpToWanted();
      say(cell, `Done in ${((performance.now() - begun) / 1000).toFixed(1)} s: your result is below.`);
    } catch (error) {
      const words = told(error);
      say(cell, isLoaded && current !== cell ? `A cell above this one ends in an error. ${words}` : words, true);
    } finally {
      wanted = current = undefined;
      if (document.activeElement === cell.stop) cell.run.focus();
      cell.stop.hidden = true;
    }
  }

  // What chapters draw with is imported before the reader asks for it.
  async function start() {
    await (loading ??= load());
    await ask("warm");
    document.body.dataset.python = "started";
  }

  function edit(n) {
    const cell = cells[n];
    if (cell.code === undefined) return say(cell, TOLD);
    if (!cell.editor) {
      cell.editor = element("textarea", { className: "live-editor", value: cell.code, spellcheck: false });
      cell.editor.rows = cell.code.split("\n").length + 1;
      cell.editor.setAttribute("aria-label", `Code of cell ${n + 1}; Control and Enter run it`);
      cell.editor.autocapitalize = "off";
      cell.editor.addEventListener("input", () => (cell.code = cell.editor.value));
      cell.editor.addEventListener("keydown", (event) => {
        if (event.key === "Escape") cell.run.focus();
        if (event.key !== "Enter" || !(event.ctrlKey || event.shiftKey || event.metaKey)) return;
        event.preventDefault();
        run(n);
      });
      cell.input.prepend(cell.editor);
      cell.input.classList.add("live-edited");
      cell.reset.hidden = false;
    }
    cell.editor.focus();
  }

  function reset(n) {
    const cell = cells[n];
    if (wanted) return say(cell, BUSY);
    cell.code = cell.original;
    cell.editor?.remove();
    cell.area?.remove();
    cell.editor = cell.area = undefined;
    cell.input.classList.remove("live-edited");
    if (cell.built) cell.built.hidden = false;
    cell.run.focus();
    cell.reset.hidden = true;
    say(cell, "The chapter's own code and result are back.");
  }

  return { start, run, edit, reset, stop: () => giveUp(STOPPED) };
}
