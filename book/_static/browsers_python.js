// The Python of the book's pages, for their workers: the Pyodide and the wheel of the notebooks.
import { keepBytecode, takeBytecode } from "./bytecode.js";

export const FILES = new URL("../lite/static/pyodide/", import.meta.url);
const IDLE = 3000; // milliseconds in which nothing is asked
const LOCK = new URL("pyodide-lock.json", FILES);
export const QUIET = { messageCallback() {}, errorCallback() {} };

async function lockFile(instead) {
  const answer = await fetch(LOCK).catch(() => null);
  if (!answer?.ok) throw new Error(`This copy of the book has no Python for the browser. ${instead}`);
  return answer.text();
}

// Load packages, which are chosen from the entries of the lock file. What is compiled comes from
// another server, unless the book has it; `instead` says what else can be done.
export async function started(chosen, compiled, instead) {
  const lock = await lockFile(instead);
  const { packages } = JSON.parse(lock);
  const { loadPyodide } = await import(new URL("pyodide.mjs", FILES));
  const python = await loadPyodide({ indexURL: FILES.href, lockFileURL: LOCK.href });
  await python.loadPackage(chosen(packages), QUIET);
  await takeBytecode(python, lock).catch(() => {}); // as where a browser is told to keep nothing
  if (compiled.every((name) => name.toLowerCase() in python.loadedPackages)) return python;
  const names = new Intl.ListFormat("en").format(compiled);
  const { host } = new URL(packages.numpy.file_name, FILES);
  throw new Error(`${names} could not be fetched from ${host}: go online, or allow that address. ${instead}`);
}

// The last line of what Python says, without the name of the error.
function sentence(error) {
  const line = error.message.trim().split("\n").at(-1);
  return line.replace(/^[\w.]*(Error|Exception): /, "") || "out of memory";
}

// Answer one question after the other, each by the name of a task.
export function answering(tasks) {
  const answer = async ({ id, name, values }) => {
    try {
      postMessage({ id, answer: await tasks[name](...values) });
    } catch (error) {
      postMessage({ id, error: sentence(error) });
    }
  };
  let last = Promise.resolve();
  let idle;
  onmessage = ({ data }) => {
    clearTimeout(idle);
    last = last.then(() => answer(data)).then(() => {
      clearTimeout(idle);
      idle = setTimeout(() => keepBytecode().catch(() => {}), IDLE);
    });
  };
}
