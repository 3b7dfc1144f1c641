// Runs a notebook as its kernel in the book does: what a cell imports is loaded, IPython runs the cell.
const READY = `
import os, sys, warnings
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()

def run(source):
    with capture_output() as shown:
        result = shell.run_cell(source)
    error = result.error_before_exec or result.error_in_exec
    return "" if error is None else f"{type(error).__name__}: {error}"
`;

// A little work after each cell tells how fast the machine is meanwhile, with all else that it does.
const PROBE = "sum(i * i for i in range(200_000))";

onmessage = async ({ data: { core, lock, folder, files, cells } }) => {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  try {
    const { loadPyodide } = await import(core + "pyodide.mjs");
    const { keepBytecode, takeBytecode } = await import(new URL("../../../_static/bytecode.js", core));
    const python = await loadPyodide({ indexURL: core, lockFileURL: lock });
    await takeBytecode(python, await (await fetch(lock)).text());
    const quiet = { messageCallback: () => {} };
    await python.loadPackage(["ipython", "matplotlib-inline"], quiet);
    python.FS.mkdirTree(folder);
    for (const [path, address] of Object.entries(files)) {
      python.FS.mkdirTree(`${folder}/${path}`.replace(/\/[^/]*$/, ""));
      const body = await (await fetch(address)).arrayBuffer();
      python.FS.writeFile(`${folder}/${path}`, new Uint8Array(body));
    }
    python.FS.chdir(folder);
    python.runPython(READY);
    const run = python.globals.get("run");
    const answers = [];
    let probed = 0;
    const probe = () => {
      const start = seconds();
      python.runPython(PROBE);
      probed += seconds() - start;
    };
    for (const source of cells) {
      const start = seconds();
      await python.loadPackagesFromImports(source, quiet);
      answers.push({ error: run(source), seconds: seconds() - start });
      probe();
    }
    const found = { answers, seconds: seconds() - probed, probe: probed / cells.length, bytes: python._module.HEAP8.length };
    await keepBytecode();
    postMessage(found);
  } catch (error) {
    postMessage({ failed: String(error) });
  }
};
