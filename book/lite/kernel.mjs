// The Pyodide that a notebook's kernel starts: it shares what was compiled with the book's pages.
import { keepBytecode, takeBytecode } from "../../../_static/bytecode.js";
import { loadPyodide as load } from "./pyodide.mjs";

const EVERY = 20_000; // milliseconds between two looks for what is new

export async function loadPyodide(options) {
  const python = await load(options);
  const lock = await fetch(new URL("pyodide-lock.json", import.meta.url));
  await takeBytecode(python, await lock.text()).catch(() => {});
  setInterval(() => keepBytecode().catch(() => {}), EVERY);
  return python;
}

export { keepBytecode };
