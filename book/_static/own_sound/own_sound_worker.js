// Python, in a worker: what the page asks for, each by the name of a task.
import { FILES, answering, started } from "../browsers_python.js";

const INSTEAD = "Or install the package, and take the sound apart with its command.";

let python, page, sound, run, found;
let loading;

// The package alone, by its address: by its name all that chapters need would come with it.
const chosen = (packages) => ["numpy", "scipy", new URL(packages["cdlnmf-lit"].file_name, FILES).href];

async function load() {
  python = await started(chosen, ["NumPy", "SciPy"], INSTEAD);
  page = python.pyimport("cdlnmf_lit.presentation.page");
}

// What Python returns as plain values, with nothing of it left behind.
function plain(value) {
  const copy = value.toJs({ dict_converter: Object.fromEntries });
  value.destroy();
  return copy;
}

const tasks = {
  async load() {
    loading ??= load();
    await loading.catch((error) => {
      loading = undefined; // the next one may find the network
      throw error;
    });
  },

  open(name, bytes) {
    const path = `/tmp/${name.replaceAll("/", "_")}`;
    python.FS.writeFile(path, bytes);
    try {
      const [x, rate, noted] = page.heard(path).toJs({ depth: 1 });
      sound?.x.destroy();
      sound = { x, rate };
      return { rate, seconds: x.length / rate, noted: plain(noted) };
    } finally {
      python.FS.unlink(path);
    }
  },

  propose() {
    return plain(page.proposed(sound.x, sound.rate));
  },

  estimate(recipe, count) {
    return page.estimated(sound.x, sound.rate, recipe, count);
  },

  begin(recipe, count) {
    run?.destroy();
    run = page.steps(sound.x, sound.rate, recipe, count);
    return tasks.step();
  },

  step(stop) {
    const { value: step } = run.next(stop);
    const { share, words, is_last } = step;
    if (!step.found) return { share, words, is_last };
    found?.destroy();
    found = step.found;
    return { share, words, is_last, shown: plain(page.shown(found)) };
  },

  events() {
    return plain(page.events_of(found));
  },

  download(name) {
    return plain(page.download(found, name));
  },
};

answering(tasks);
