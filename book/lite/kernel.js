// The Pyodide that a notebook's kernel starts: it shares what was compiled with the book's pages.
const EVERY = 20_000; // milliseconds between two looks for what is new

self.loadPyodide = async (options) => {
  const there = (name) => new URL(name, options.indexURL).href;
  importScripts(there("pyodide.js")); // puts the true one in place of this one
  const python = await self.loadPyodide(options);
  try {
    const { keepBytecode, takeBytecode } = await import(there("../../../_static/bytecode.js"));
    setInterval(() => keepBytecode().catch(() => {}), EVERY);
    const lock = await fetch(there("pyodide-lock.json"));
    await takeBytecode(python, await lock.text());
  } catch {} // it only starts more slowly
  return python;
};
