// What a reader of the book's notebooks expects, and JupyterLab does otherwise.
const RUN_ALL = "notebook:run-all-cells";

// All cells run, and the reader stays where they are: JupyterLab would go to the last cell.
function stayOnRunAll({ commands, shell }) {
  const execute = commands.execute.bind(commands);
  commands.execute = (id, args) => {
    if (id !== RUN_ALL) return execute(id, args);
    const { content: notebook } = shell.currentWidget;
    const place = notebook.activeCellIndex;
    notebook.scrollToItem = async () => {};
    const done = execute(id, args);
    delete notebook.scrollToItem;
    notebook.activeCellIndex = place;
    return done;
  };
}

// Arrow keys move a slider that has the focus: JupyterLab would go to another cell.
function leaveKeysToSliders() {
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches("[role=slider]")) target.dataset.lmSuppressShortcuts = "true";
  });
}

const plugin = {
  id: "book-notebooks:plugin",
  autoStart: true,
  activate(app) {
    stayOnRunAll(app);
    leaveKeysToSliders();
  },
};

window._JUPYTERLAB ??= {};
window._JUPYTERLAB["book-notebooks"] = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
