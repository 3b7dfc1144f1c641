// Python for the cells of a chapter. What a cell gives is posted as it comes.
import { QUIET, answering, started } from "../browsers_python.js";

const LITE = new URL("../../lite/", import.meta.url);
const INSTEAD = "The results of the build stay; or download the notebook, and run it on your own machine.";

let python, cells, shell;

async function read(path) {
  const answer = await fetch(new URL(path, LITE));
  if (!answer.ok) throw new Error(`This copy of the book lacks ${path}.`);
  return answer;
}

const listed = async (folder) => (await (await read(`api/contents/${folder}/all.json`)).json()).content;

// The numbers that a chapter reads lie beside it.
async function putKept(room) {
  const has = (await listed(room)).some(({ path }) => path === `${room}/kept`);
  python.FS.mkdirTree(`/drive/${room}/kept`);
  python.FS.chdir(`/drive/${room}`);
  const put = async ({ path }) => python.FS.writeFile(`/drive/${path}`, new Uint8Array(await (await read(`files/${path}`)).arrayBuffer()));
  if (has) await Promise.all((await listed(`${room}/kept`)).map(put));
}

const tasks = {
  async load(page) {
    python = await started(() => ["cdlnmf-lit", "ipython", "matplotlib-inline"], ["NumPy", "SciPy", "Matplotlib"], INSTEAD);
    await putKept(page.replace(/\/[^/]*$/, ""));
    cells = python.pyimport("cdlnmf_lit.presentation.cells");
    shell = cells.shell((kind, text) => postMessage({ kind, text }));
  },

  warm() {
    python.runPython("import cdlnmf_lit.presentation.plotting, matplotlib.pyplot, scipy.signal");
  },

  async run(source) {
    await python.loadPackagesFromImports(source, QUIET);
    return cells.run(shell, source);
  },

  moved(explorer, slider, index) {
    return cells.moved(explorer, slider, index);
  },
};

answering(tasks);
