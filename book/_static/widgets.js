// ipywidgets has its texts typeset by MathJax 2: pass that on to MathJax 3, one text at a time.
document.addEventListener("DOMContentLoaded", () => {
  if (!window.MathJax) return;
  let typeset = MathJax.startup.promise;
  MathJax.Hub = {
    Queue: ([, , element]) => {
      typeset = typeset.then(() => MathJax.typesetPromise([element]));
    },
  };
});
