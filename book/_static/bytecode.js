// Half of an import is the compilation of its source, and Matplotlib reads every font. The browser
// keeps what was compiled of the packages that a lock file names, and the list of the fonts; the
// next start of Python takes them from there.
const NAME = "bytecode";
const MANY = 50; // modules that are worth being kept
const KEEPING = `
import marshal
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

FONTS = "matplotlib.font_manager"  # which finds the list in Pyodide's wheel to be of another version
compiled, plainly = {}, SourceFileLoader.get_code


def fontlist(module):
    return Path(module).with_name("fontlist.json")


def get_code(loader, name):
    if "/site-packages/" not in loader.path:
        return plainly(loader, name)
    if name == FONTS and name in compiled:
        fontlist(loader.path).write_bytes(compiled[name])
    if loader.path not in compiled:
        compiled[loader.path] = marshal.dumps(plainly(loader, name))
    return marshal.loads(compiled[loader.path])


def everything():
    if FONTS in sys.modules:
        compiled[FONTS] = fontlist(sys.modules[FONTS].__file__).read_bytes()
    return marshal.dumps(compiled)


SourceFileLoader.get_code = get_code
`;

let python, scope, address, known;

const asked = (code) => python.runPython(code, { globals: scope });

async function place(lock) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lock)));
  return `${NAME}-${Array.from(digest, (byte) => byte.toString(16)).join("-")}`;
}

// Where the browser keeps nothing, as at an address without https, all is compiled each time.
export async function takeBytecode(its, lock) {
  if (!globalThis.caches) return;
  python = its;
  scope = python.toPy({});
  asked(KEEPING);
  address = new URL(await place(lock), import.meta.url);
  const kept = await (await caches.open(NAME)).match(address);
  if (kept) {
    scope.set("kept", await kept.arrayBuffer());
    asked("compiled |= marshal.loads(kept.to_bytes())");
  }
  known = asked("len(compiled)");
}

export async function keepBytecode() {
  if (!python || asked("len(compiled)") < known + MANY) return;
  known = asked("len(compiled)");
  const bytes = asked("everything()");
  await caches.delete(NAME); // of a book before this one
  await (await caches.open(NAME)).put(address, new Response(bytes.toJs()));
  bytes.destroy();
}
