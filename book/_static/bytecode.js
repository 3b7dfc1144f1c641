// Half of an import is the compilation of its source, and Matplotlib reads every font. The browser
// keeps what was compiled of the packages, each module with the hash of its source, and the list of
// the fonts; the next start of Python by the same lock file takes them from there.
const NAME = `bytecode ${new URL("..", import.meta.url).pathname}`; // other books may have this host
const MANY = 50; // modules that are worth being kept
const KEEPING = `
import marshal
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import source_hash
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
    source = loader.get_data(loader.path)
    now = source_hash(source)
    before, code = compiled.get(loader.path, (None, None))
    if before != now:
        code = marshal.dumps(loader.source_to_code(source, loader.path))
        compiled[loader.path] = now, code
    return marshal.loads(code)


def everything():
    if FONTS in sys.modules and (fonts := fontlist(sys.modules[FONTS].__file__)).exists():
        compiled[FONTS] = fonts.read_bytes()
    return marshal.dumps(compiled)


SourceFileLoader.get_code = get_code
`;

let python, scope, address, known;

const asked = (code) => python.runPython(code, { globals: scope });

async function place(lock) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lock)));
  return `bytecode-${Array.from(digest, (byte) => byte.toString(16)).join("-")}`;
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
  await caches.delete(NAME); // of this book before it changed
  await (await caches.open(NAME)).put(address, new Response(bytes.toJs()));
  bytes.destroy();
}
